"""What V, M and whole dreams are trained to make small. B windows, T frames each, S chosen frames of a window."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Generator, Tensor, nn
from torch.nn import functional

from armillary.core import Loss
from armillary.worlds.vmc.model import Encoder, Memory, Mixture

FREE_NATS = 0.5  # per latent dimension, as published: below it the KL divergence costs nothing
DIVERGENCE_WEIGHT = 0.01
PIXEL_WEIGHT = 100.0  # brings the mean squared error of a picture near one
LEAST_CHANGE = 0.08  # of a colour, where a pixel counts as changed
SPREAD_WEIGHT = 0.02
OUTCOME_WEIGHT = 0.05


def pixel_loss(
    drawn: Float[Tensor, "n 3 h w"], true: Float[Tensor, "n 3 h w"], context: Float[Tensor, "b 3 h w"], weight: float
) -> Float[Tensor, ""]:
    """Mean squared error of pictures, each of the `b` contexts belonging to `n / b` in a row; a pixel that is no longer as in the context
    counts `1 + weight` times."""
    error = (drawn - true).square().mean(1)
    if weight:
        before = context.repeat_interleave(len(true) // len(context), dim=0)
        error = error * (1.0 + weight * ((true - before).abs().amax(1) > LEAST_CHANGE))
    return PIXEL_WEIGHT * error.mean()


def published_vision_loss(encoder: Encoder, decoder: nn.Module, frames: Float[Tensor, "b s 3 h w"], rng: Generator) -> Loss:
    """Squared error summed over the picture, plus the KL divergence with its floor (A.1)."""
    pictures = frames.flatten(0, 1)
    seen = encoder(pictures)
    noise = torch.randn(seen.mean.shape, generator=rng, device=rng.device)
    drawn = decoder(seen.sample(noise), pictures)
    pixels = (drawn - pictures).square().sum((1, 2, 3)).mean()
    divergence = seen.divergence().clamp(min=FREE_NATS * seen.mean.shape[-1]).mean()
    return Loss(pixels + divergence, {"pixels": pixels.detach(), "divergence": divergence.detach()})


def context_vision_loss(
    encoder: Encoder,
    decoder: nn.Module,
    frames: Float[Tensor, "b s 3 h w"],
    context: Float[Tensor, "b 3 h w"],
    rng: Generator,
    changed_weight: float = 0.0,
) -> Loss:
    """V draws any frame of a window as a change of the window's context frame."""
    pictures = frames.flatten(0, 1)
    seen = encoder(pictures)
    noise = torch.randn(seen.mean.shape, generator=rng, device=rng.device)
    pixels = pixel_loss(decoder(seen.sample(noise), context), pictures, context, changed_weight)
    size = seen.mean.shape[-1]
    divergence = seen.divergence().clamp(min=FREE_NATS * size).mean() / size
    return Loss(pixels + DIVERGENCE_WEIGHT * divergence, {"pixels": pixels.detach(), "divergence": divergence.detach()})


def outcome_loss(
    memory: Memory, hidden: Float[Tensor, "b t n"], rewards: Float[Tensor, "b t"] | None, terminated: Bool[Tensor, "b t"] | None
) -> dict[str, Float[Tensor, ""]]:
    """Squared error of the reward and cross-entropy of done, of the step that led to each hidden state."""
    losses = {}
    if rewards is not None:
        losses["reward"] = (memory.reward(hidden)[..., 0] - rewards).square().mean()
    if terminated is not None:
        losses["done"] = functional.binary_cross_entropy_with_logits(memory.done(hidden)[..., 0], terminated.float())
    return losses


def density_loss(density: Mixture, latent: Float[Tensor, "b t z"]) -> Float[Tensor, ""]:
    """Negative log likelihood of what V saw next, in nats a dimension."""
    return density.negative_log_likelihood(latent).mean()


def spread_loss(density: Mixture, latent: Float[Tensor, "b t z"]) -> Float[Tensor, ""]:
    """`density_loss` for the scales alone: how far what V saw lay from what the dream expected.

    Means and weights are left to the pixels. Near a sharp latent their likelihood has gradients that drown everything else.
    """
    return SPREAD_WEIGHT * density_loss(Mixture(density.log_weight.detach(), density.mean.detach(), density.log_scale), latent)


def choose_frames(windows: int, count: int, first: int, last: int, rng: Generator) -> Int[Tensor, "b s"]:
    """`count` frames of each window, uniformly from first..last-1."""
    return torch.randint(first, last, (windows, count), generator=rng, device=rng.device)


def take(values: Float[Tensor, "b t *rest"], index: Int[Tensor, "b s"]) -> Float[Tensor, "b s *rest"]:
    """The chosen frames (or latents) of each window."""
    return values[torch.arange(len(values), device=values.device)[:, None], index]
