"""The gaussian bottleneck: every latent a normal distribution of its own."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor

LOG_VARIANCE = (-30.0, 20.0)  # what a log variance is kept within, as in latent diffusion: its exponential must stay a number


@dataclass(frozen=True)
class Posterior:
    """What an encoder says of every latent: normal with this mean and log variance."""

    mean: Float[Tensor, "b d t h w"]
    log_variance: Float[Tensor, "b d t h w"]

    @classmethod
    def of(cls, encoded: Float[Tensor, "b d2 t h w"]) -> "Posterior":
        """From an encoder's answer: means, then as many log variances."""
        mean, log_variance = encoded.chunk(2, dim=1)
        return cls(mean, log_variance.clamp(*LOG_VARIANCE))

    def sample(self, rng: Generator) -> Float[Tensor, "b d t h w"]:
        """One draw; gradients reach mean and variance."""
        noise = torch.randn(self.mean.shape, generator=rng, device=self.mean.device, dtype=self.mean.dtype)
        return self.mean + (0.5 * self.log_variance).exp() * noise

    def divergence(self) -> Float[Tensor, " b"]:
        """Kullback-Leibler divergence from the standard normal, in nats, summed over all latents of a video."""
        each = 0.5 * (self.mean.square() + self.log_variance.exp() - 1.0 - self.log_variance)
        return each.flatten(1).sum(dim=1)
