"""Choosing the next token from logits: temperature, nucleus (top-p), and chance as noise that is handed in.

The choice is the largest of logits plus Gumbel noise, which draws exactly from their softmax. With the noise fixed, the choice is a
function of the logits: so guesses can be checked in parallel and give the very tokens that one after another would.
"""

import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor

from armillary.core import ConfigError

TINY = 1e-20


def check_sampling(temperature: float, top_p: float) -> None:
    """ConfigError unless the temperature is 0 or more and `top_p` in (0, 1]."""
    if not temperature >= 0:
        raise ConfigError(f"model.temperature must be >= 0 (0: always the likeliest code), received {temperature}")
    if not 0 < top_p <= 1:
        raise ConfigError(f"model.top_p must lie in (0, 1] (1 switches it off), received {top_p}")


def gumbel_noise(shape: tuple[int, ...], rng: Generator) -> Float[Tensor, "*shape"]:
    """Standard Gumbel noise on the generator's device."""
    uniform = torch.rand(shape, generator=rng, device=rng.device)
    return -(-(uniform + TINY).log() + TINY).log()


def nucleus(logits: Float[Tensor, "*lead k"], top_p: float) -> Float[Tensor, "*lead k"]:
    """Logits with minus infinity wherever likelier tokens alone already have a probability of `top_p` or more (arXiv:1904.09751).

    >>> nucleus(torch.tensor([0.5, 0.3, 0.2]).log(), 0.7).exp()
    tensor([0.5000, 0.3000, 0.0000])
    """
    if top_p >= 1:
        return logits
    ordered, order = logits.sort(dim=-1, descending=True)
    shares = ordered.softmax(dim=-1)
    beyond = shares.cumsum(dim=-1) - shares >= top_p
    return logits.masked_fill(torch.zeros_like(beyond).scatter(-1, order, beyond), -torch.inf)


def choose(
    logits: Float[Tensor, "*lead k"], noise: Float[Tensor, "*lead k"] | None, *, temperature: float, top_p: float
) -> Int[Tensor, "*lead"]:
    """One token for each row of logits; `noise` from `gumbel_noise`, None for the likeliest (temperature 0)."""
    if noise is None:
        return logits.argmax(dim=-1)
    return (nucleus(logits.float() / temperature, top_p) + noise).argmax(dim=-1)
