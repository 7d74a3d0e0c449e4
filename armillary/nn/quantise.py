"""What a quantiser is: latents in; out come whole numbers and the latents that they stand for."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor, nn

from armillary.core import ConfigError, DataError


@dataclass(frozen=True, kw_only=True)
class Quantised:
    """Latents after quantisation.

    `z` has the shape and dtype of what went in; its values are those of codes, its gradient is passed straight through. `codes` says
    which code lies at each place. `losses` (by name, already weighed) are to be added to what is minimised.
    """

    z: Float[Tensor, "b d *places"]
    codes: Int[Tensor, "b *places"]
    losses: Mapping[str, Float[Tensor, ""]]


class Quantiser(nn.Module, ABC):
    """Replaces the `size` channels of a latent at each place by one of `num_codes` codes.

    In training, `observe` what was quantised and call `after_step` after each step of the optimiser: quantisers that learn by other
    means than gradients learn there, and for the others both do nothing. No projection is built in: the layers around it have `size`
    channels there.
    """

    def __init__(self, *, num_codes: int, size: int):
        super().__init__()
        self.num_codes, self.size = num_codes, size

    @abstractmethod
    def quantise(self, z: Float[Tensor, "b d *places"]) -> Quantised:
        """The code of each place. Changes nothing and draws nothing. ConfigError when `d` is not `size`."""

    @abstractmethod
    def codes_to_z(self, codes: Int[Tensor, "b *places"]) -> Float[Tensor, "b d *places"]:
        """The latents that codes stand for: what `quantise` gave with them, in float32. DataError for a code that does not exist."""

    def observe(self, z: Float[Tensor, "b d *places"], codes: Int[Tensor, "b *places"], rng: Generator) -> None:
        """Take in what `quantise` made of `z`, for `after_step` to learn from. In eval mode it does nothing."""
        return None

    def after_step(self) -> None:
        """Learn from what was observed since the last call."""
        return None

    def require_size(self, z: Tensor) -> None:
        """Raise ConfigError unless `z` has `size` channels on its second axis."""
        if z.ndim < 2 or z.shape[1] != self.size:
            raise ConfigError(
                f"this quantiser takes latents of {self.size} channels on axis 1, received shape {tuple(z.shape)}; "
                f"give the layer before it {self.size} output channels"
            )


def straight_through(values: Float[Tensor, "*shape"], smooth: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Exactly `values` forward; the gradient goes to `smooth` as if nothing had been between (arXiv:1308.3432)."""
    return values.detach() + (smooth - smooth.detach())


def require_codes(codes: Int[Tensor, "*shape"], num_codes: int) -> None:
    """Raise DataError unless every code lies in [0, num_codes)."""
    if codes.numel() == 0:
        return
    low, high = (int(value) for value in torch.aminmax(codes))
    if low < 0 or high >= num_codes:
        raise DataError(
            f"codes must lie between 0 and {num_codes - 1}, received {low} to {high}; were they made by a tokenizer of another size?"
        )


def count_codes(codes: Int[Tensor, "*shape"], num_codes: int) -> Int[Tensor, " num_codes"]:
    """How often each code occurs."""
    return torch.bincount(codes.flatten(), minlength=num_codes)


def entropy_nats(counts: Int[Tensor, " k"]) -> Float[Tensor, ""]:
    """The entropy of the shares that counts make up, in nats and float64. 0 for one code only, ln k where all are as frequent.

    >>> round(float(entropy_nats(torch.tensor([3, 3, 0]))), 4)
    0.6931
    """
    shares = counts.double() / counts.sum()
    return -torch.xlogy(shares, shares).sum()


def perplexity(codes: Int[Tensor, "*shape"], num_codes: int) -> Float[Tensor, ""]:
    """The number of codes that, all as frequent, would be as uncertain as these: 1 when one code does all, at most `num_codes`."""
    return entropy_nats(count_codes(codes, num_codes)).exp()
