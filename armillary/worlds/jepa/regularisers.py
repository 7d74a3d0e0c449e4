"""What keeps embeddings from collapsing, and what makes them plannable: pure functions of a batch of embeddings.

Suffixes: B windows, T frames, D dimensions. No function stops a gradient, and none needs a target network.
"""

import math
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

NUM_PROJECTIONS = 1024
NUM_KNOTS = 17
LAST_KNOT = 3.0  # e^(-t^2 / 2) is 0.011 there
DEVIATION = 1.0  # what `variance_loss` asks of every dimension
VARIANCE_FLOOR = 1e-4  # keeps the square root's gradient finite at a collapsed dimension


def epps_pulley(
    samples: Float[Tensor, "*lead n p"], *, last_knot: float = LAST_KNOT, num_knots: int = NUM_KNOTS
) -> Float[Tensor, "*lead p"]:
    """How far `n` samples are from the standard normal, for each of `p` columns (Epps and Pulley 1983; arXiv:2511.08544, section 4.2).

    n * integral over [-last_knot, last_knot] of |c(t) - e^(-t^2 / 2)|^2 e^(-t^2 / 2) dt with the samples' characteristic function
    c(t) = mean of e^(i t x), by the trapezoidal rule on `num_knots` knots in [0, last_knot] (the integrand is even).
    Zero for perfect agreement; about 1.05 for `n` true normal samples, whatever `n`; it grows in proportion to `n` for others.
    """
    knots = torch.linspace(0.0, last_knot, num_knots, device=samples.device, dtype=samples.dtype)
    normal = torch.exp(-0.5 * knots.square())
    weights = 2.0 * normal * (last_knot / (num_knots - 1))
    weights[[0, -1]] *= 0.5
    angles = samples[..., None] * knots
    apart = (angles.cos().mean(-3) - normal).square() + angles.sin().mean(-3).square()
    return samples.shape[-2] * (apart @ weights)


def sigreg(embeddings: Float[Tensor, "b t d"], rng: Generator, *, num_projections: int = NUM_PROJECTIONS) -> Float[Tensor, ""]:
    """Sketched isotropic Gaussian regularisation (LeJEPA, arXiv:2511.08544; LeWM, arXiv:2603.19312).

    By Cramer and Wold a distribution is N(0, I) if all its projections on a line are N(0, 1): `num_projections` unit vectors are drawn
    afresh and `epps_pulley` is averaged over them, and over time. Samples are the windows of the batch at one time, as in LeWM's code,
    since frames of one window are alike.
    """
    with torch.autocast(embeddings.device.type, enabled=False):
        # the leading 1 keeps the draw the same on every process that shares the batch
        normal = torch.randn(1, embeddings.shape[-1], num_projections, generator=rng, device=rng.device)[0]
        directions = normal / normal.norm(dim=0, keepdim=True)
        projected = embeddings.float().transpose(0, 1) @ directions.to(embeddings.device)
        return epps_pulley(projected).mean()


def variance_loss(embeddings: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    """Mean over dimensions of how much the standard deviation falls short of 1 (VICReg, arXiv:2105.04906, eq. 1)."""
    deviation = torch.sqrt(embeddings.float().var(dim=0) + VARIANCE_FLOOR)
    return (DEVIATION - deviation).clamp_min(0.0).mean()


def covariance_loss(embeddings: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    """Mean squared covariance of two different dimensions (VICReg eq. 4 up to a factor: the mean over pairs, as in eb_jepa)."""
    size = embeddings.shape[-1]
    with torch.autocast(embeddings.device.type, enabled=False):
        centred = embeddings.float() - embeddings.float().mean(dim=0)
        covariance = centred.T @ centred / (len(centred) - 1)
        squares = covariance.square()
        return (squares.sum() - squares.diagonal().sum()) / max(size * (size - 1), 1)


def similarity_loss(embeddings: Float[Tensor, "b t d"]) -> Float[Tensor, ""]:
    """Mean squared change from one frame to the next: small steps in the world are small steps in the latent."""
    return (embeddings[:, 1:] - embeddings[:, :-1]).square().mean()


class InverseDynamics(nn.Module):
    """Which action led from one embedding to the next: keeps in the latent what actions change."""

    def __init__(self, *, latent_size: int, action_size: int, width: int):
        super().__init__()
        sizes = (2 * latent_size, width, width)
        layers = [layer for pair in pairwise(sizes) for layer in (nn.Linear(*pair), nn.ReLU())]
        self.layers = nn.Sequential(*layers, nn.Linear(width, action_size))

    def forward(self, before: Float[Tensor, "*lead d"], after: Float[Tensor, "*lead d"]) -> Float[Tensor, "*lead a"]:
        """The standardised action between the two."""
        return self.layers(torch.cat([before, after], dim=-1))

    def loss(self, embeddings: Float[Tensor, "b t d"], actions: Float[Tensor, "b t a"]) -> Float[Tensor, ""]:
        """Mean squared error; `actions[:, t]` leads from frame t to t + 1, so the last one is not asked for."""
        return (self(embeddings[:, :-1], embeddings[:, 1:]) - actions[:, :-1]).square().mean()


def expected_of_normal_samples(last_knot: float = LAST_KNOT) -> float:
    """What `epps_pulley` gives on average for standard normal samples: integral of (1 - e^(-t^2)) e^(-t^2 / 2), about 1.053.

    >>> round(expected_of_normal_samples(), 3)
    1.053
    """
    whole = math.sqrt(2.0 * math.pi) * math.erf(last_knot / math.sqrt(2.0))
    return whole - math.sqrt(2.0 * math.pi / 3.0) * math.erf(last_knot * math.sqrt(1.5))
