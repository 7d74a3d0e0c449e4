"""Surprise: how far what was seen lies from what was expected, step by step, for violation of expectation."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from armillary.core import Embeds, Prompt, World, WorldError

SHRINKAGE = 0.01


@dataclass(frozen=True)
class UsualErrors:
    """What the errors of a world's predictions are like where nothing impossible happens: their mean and inverse covariance."""

    mean: Float[Tensor, " d"]
    precision: Float[Tensor, "d d"]

    def surprise(self, errors: Float[Tensor, "*lead d"]) -> Float[Tensor, "*lead"]:
        """Squared Mahalanobis distance, a dimension: 1 on average over usual errors.

        Up to scale and constant it is the negative log likelihood under a normal distribution of errors. What is always hard to foresee
        counts little, what is usually foreseen well counts much.
        """
        off = errors - self.mean
        return ((off @ self.precision) * off).mean(dim=-1)


def usual_errors(errors: Float[Tensor, "*lead d"], *, shrinkage: float = SHRINKAGE) -> UsualErrors:
    """What errors on possible videos are like (give `prediction_errors` without the given first frames).

    The covariance gets `shrinkage` times its mean variance added to its diagonal, so that directions in which nothing ever varied
    do not count without limit. WorldError for fewer than two errors.
    """
    samples = errors.flatten(0, -2).double()
    if len(samples) < 2:
        raise WorldError(f"usual errors need at least 2 samples, received {len(samples)}; give more possible videos")
    covariance = torch.cov(samples.T).reshape(samples.shape[1], samples.shape[1])
    ridge = shrinkage * covariance.diagonal().mean() + torch.finfo(errors.dtype).tiny
    precision = torch.linalg.inv(covariance + ridge * torch.eye(len(covariance), dtype=torch.float64, device=errors.device))
    return UsualErrors(mean=samples.mean(dim=0).to(errors.dtype), precision=precision.to(errors.dtype))


def surprise(
    world: World,
    frames: Float[Tensor, "b t c h w"],
    actions: Tensor,
    rng: Generator,
    *,
    context_steps: int = 1,
    usual: UsualErrors | None = None,
) -> Float[Tensor, "b t"]:
    """How badly each frame was predicted from the frames and actions before it: the squared error of its embedding, a dimension.

    With the `usual` errors of the same world, it is measured against what is normal for it (`UsualErrors.surprise`).
    `actions[:, t]` (`b t a`, or `b t` integers) leads from frame t to frame t + 1, as in `Batch`; the last one, which leads out of the
    video, may be left off. Entry t is about frame t: an object that vanishes between frames 6 and 7 shows at 7. The first
    `context_steps` frames are given, not predicted, and their entries are 0.
    The world must Embed, and its `observe` must look at the picture: the error is between `embed` after `step` and after `observe`.
    Raises WorldError when the world cannot embed or the lengths do not fit.
    """
    errors = prediction_errors(world, frames, actions, rng, context_steps=context_steps)
    found = errors.square().mean(dim=-1) if usual is None else usual.surprise(errors)
    return torch.cat([found.new_zeros(len(found), context_steps), found], dim=1)


@torch.no_grad()
def prediction_errors(
    world: World, frames: Float[Tensor, "b t c h w"], actions: Tensor, rng: Generator, *, context_steps: int = 1
) -> Float[Tensor, "b s d"]:
    """Predicted minus seen embedding of every frame after the first `context_steps`, arguments and errors as of `surprise`."""
    batch, steps = frames.shape[:2]
    if not isinstance(world, Embeds):
        raise WorldError(f"surprise needs a world that Embeds; {type(world).__name__} does not")
    if len(actions) != batch or actions.shape[1] not in (steps - 1, steps):
        raise WorldError(f"{batch} videos of {steps} frames need {steps - 1} or {steps} actions each, received {tuple(actions.shape[:2])}")
    if not 1 <= context_steps < steps:
        raise WorldError(f"context_steps must be from 1 to {steps - 1}, one less than the frames; received {context_steps}")
    context, between = frames[:, :context_steps], actions[:, : context_steps - 1]
    state = world.start(Prompt(batch_size=batch, frames=context, actions=between), rng)
    errors = []
    for t in range(context_steps, steps):
        expected = world.embed(world.step(state, actions[:, t - 1], rng))
        state = world.observe(state, actions[:, t - 1], frames[:, t], rng)
        errors.append(expected - world.embed(state))
    return torch.stack(errors, dim=1)
