"""How pictures become noise and back: rectified flow and EDM, each a frozen set of settings with its maths.

In both, a noisy picture is `scale(level) * clean + level * noise`, and the path from noise to picture solves
dx / dlevel = (x - clean estimate) / level (`slope`). So one sampler serves both (samplers.py). Levels are `b` numbers, one a picture.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor

Network = Callable[[Tensor, Tensor], Tensor]  # (pictures `b ...` of about unit size, what tells it the level `b`) to pictures `b ...`


class Noising(ABC):
    """One way to add noise and to learn to remove it."""

    @abstractmethod
    def draw(self, count: int, rng: Generator) -> Float[Tensor, " count"]:
        """Levels to train at."""

    @abstractmethod
    def mix(self, clean: Float[Tensor, "b *rest"], noise: Float[Tensor, "b *rest"], level: Float[Tensor, " b"]) -> Float[Tensor, "b *rest"]:
        """The noisy pictures."""

    @abstractmethod
    def tell(self, noisy: Float[Tensor, "b *rest"], level: Float[Tensor, " b"]) -> tuple[Float[Tensor, "b *rest"], Float[Tensor, " b"]]:
        """What the network is given: the pictures at about unit size, and the number that tells it the level."""

    @abstractmethod
    def estimate(self, network: Network, noisy: Float[Tensor, "b *rest"], level: Float[Tensor, " b"]) -> Float[Tensor, "b *rest"]:
        """What the network takes the clean pictures to be."""

    @abstractmethod
    def weight(self, level: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
        """What the squared error of the estimate counts at each level."""

    @abstractmethod
    def levels(self, steps: int) -> Float[Tensor, " points"]:
        """`steps` + 1 levels to sample at, from pure noise down to zero."""

    def slope(self, network: Network, noisy: Float[Tensor, "b *rest"], level: Float[Tensor, " b"]) -> Float[Tensor, "b *rest"]:
        """dx / dlevel on the way between noise and picture, for levels above zero."""
        return (noisy - self.estimate(network, noisy, level)) / spread_out(level, noisy)

    def loss(
        self, network: Network, clean: Float[Tensor, "b *rest"], noise: Float[Tensor, "b *rest"], level: Float[Tensor, " b"]
    ) -> Float[Tensor, ""]:
        """Weighted squared error of the estimate."""
        error = (self.estimate(network, self.mix(clean, noise, level), level) - clean).square()
        return (spread_out(self.weight(level), clean) * error).mean()


@dataclass(frozen=True, kw_only=True)
class RectifiedFlow(Noising):
    """x = (1 - t) clean + t noise (arXiv:2209.03003); the level t is the sigmoid of a normal, moved towards noise by `shift`.

    The network gives the clean picture, and the error counts as an error of the velocity noise - clean does
    (arXiv:2511.13720): 1 / t^2, no more than at `LEAST`. `shift` s maps t to s t / (1 + (s - 1) t), as in arXiv:2403.03206.
    """

    location: float = 0.0
    deviation: float = 1.0
    shift: float = 3.0

    LEAST = 0.1

    def draw(self, count: int, rng: Generator) -> Float[Tensor, " count"]:
        normal = torch.randn(count, generator=rng, device=rng.device)
        return self._shifted(torch.sigmoid(self.location + self.deviation * normal))

    def mix(self, clean: Float[Tensor, "b *rest"], noise: Float[Tensor, "b *rest"], level: Float[Tensor, " b"]) -> Float[Tensor, "b *rest"]:
        return torch.lerp(clean, noise, spread_out(level, clean))

    def tell(self, noisy: Float[Tensor, "b *rest"], level: Float[Tensor, " b"]) -> tuple[Float[Tensor, "b *rest"], Float[Tensor, " b"]]:
        return noisy, level

    def estimate(self, network: Network, noisy: Float[Tensor, "b *rest"], level: Float[Tensor, " b"]) -> Float[Tensor, "b *rest"]:
        return network(noisy, level)

    def weight(self, level: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
        return level.clamp(min=self.LEAST).reciprocal().square()

    def levels(self, steps: int) -> Float[Tensor, " points"]:
        return self._shifted(torch.linspace(1.0, 0.0, steps + 1))

    def _shifted(self, level: Tensor) -> Tensor:
        return self.shift * level / (1.0 + (self.shift - 1.0) * level)


@dataclass(frozen=True, kw_only=True)
class Edm(Noising):
    """x = clean + sigma noise, with the preconditioning of arXiv:2206.00364 (table 1): the level is sigma.

    `data_std` is the deviation of clean pictures; ln sigma is drawn from a normal; sampling follows sigma^(1 / rho).
    """

    data_std: float = 1.0
    location: float = -0.4
    deviation: float = 1.2
    most: float = 20.0
    least: float = 0.02
    rho: float = 7.0

    def draw(self, count: int, rng: Generator) -> Float[Tensor, " count"]:
        normal = torch.randn(count, generator=rng, device=rng.device)
        return torch.exp(self.location + self.deviation * normal)

    def mix(self, clean: Float[Tensor, "b *rest"], noise: Float[Tensor, "b *rest"], level: Float[Tensor, " b"]) -> Float[Tensor, "b *rest"]:
        return clean + spread_out(level, clean) * noise

    def scales(self, level: Float[Tensor, " b"]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """c_skip, c_out, c_in and c_noise."""
        total = level.square() + self.data_std**2
        return self.data_std**2 / total, level * self.data_std * total.rsqrt(), total.rsqrt(), level.log() / 4.0

    def tell(self, noisy: Float[Tensor, "b *rest"], level: Float[Tensor, " b"]) -> tuple[Float[Tensor, "b *rest"], Float[Tensor, " b"]]:
        """A level of zero is told as the least: its logarithm would be none."""
        _, _, into, told = self.scales(torch.where(level > 0, level, self.least))
        return spread_out(into, noisy) * noisy, told

    def estimate(self, network: Network, noisy: Float[Tensor, "b *rest"], level: Float[Tensor, " b"]) -> Float[Tensor, "b *rest"]:
        keep, out, _, _ = self.scales(level)
        found = network(*self.tell(noisy, level))
        return spread_out(keep, noisy) * noisy + spread_out(out, noisy) * found

    def weight(self, level: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
        return self.scales(level)[1].square().reciprocal()

    def levels(self, steps: int) -> Float[Tensor, " points"]:
        root = torch.linspace(self.most ** (1.0 / self.rho), self.least ** (1.0 / self.rho), steps)
        return torch.cat([root**self.rho, torch.zeros(1)])


NOISINGS: dict[str, type[Noising]] = {"rectified-flow": RectifiedFlow, "edm": Edm}


def spread_out(values: Float[Tensor, " b"], like: Float[Tensor, "b *rest"]) -> Tensor:
    """One number a row, shaped to multiply `like`."""
    return values.reshape(-1, *(1,) * (like.ndim - 1))
