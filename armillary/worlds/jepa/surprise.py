"""Surprise: how far what was seen lies from what was expected, step by step, for violation of expectation."""

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from armillary.core import Embeds, Prompt, World, WorldError


@torch.no_grad()
def surprise(
    world: World, frames: Float[Tensor, "b t c h w"], actions: Tensor, rng: Generator, *, context_steps: int = 1
) -> Float[Tensor, "b t"]:
    """The squared error, a dimension, of the embedding of each frame predicted from the frames and actions before it.

    `actions[:, t]` (`b t a`, or `b t` integers) leads from frame t to frame t + 1, as in `Batch`; the last one, which leads out of the
    video, may be left off. Entry t is about frame t: an object that vanishes between frames 6 and 7 shows at 7. The first
    `context_steps` frames are given, not predicted, and their entries are 0.
    The world must Embed, and its `observe` must look at the picture: the error is between `embed` after `step` and after `observe`.
    Raises WorldError when the world cannot embed or the lengths do not fit.
    """
    batch, steps = frames.shape[:2]
    if not isinstance(world, Embeds):
        raise WorldError(f"surprise needs a world that Embeds; {type(world).__name__} does not")
    if len(actions) != batch or actions.shape[1] not in (steps - 1, steps):
        raise WorldError(f"{batch} videos of {steps} frames need {steps - 1} or {steps} actions each, received {tuple(actions.shape[:2])}")
    if not 1 <= context_steps < steps:
        raise WorldError(f"context_steps must be from 1 to {steps - 1}, one less than the frames; received {context_steps}")
    context, between = frames[:, :context_steps], actions[:, : context_steps - 1]
    state = world.start(Prompt(batch_size=batch, frames=context, actions=between), rng)
    errors = [frames.new_zeros(batch)] * context_steps
    for t in range(context_steps, steps):
        expected = world.embed(world.step(state, actions[:, t - 1], rng))
        state = world.observe(state, actions[:, t - 1], frames[:, t], rng)
        errors.append((expected - world.embed(state)).square().mean(dim=-1))
    return torch.stack(errors, dim=1)
