"""Predictors that know nothing of the world: what a model must beat before anyone should believe it."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor

from armillary.core import DataError, Episode, to_model
from armillary.evaluate.flow import estimate_flow, sample

Predict = Callable[[Tensor, Tensor, Tensor, Generator], Tensor]
"""(context `b k c h w`, context actions `b k-1 a`, future actions `b t a`, rng) -> predicted frames `b t c h w`."""

ADVECTION_ROUNDS = 4


def copy_last(
    context: Float[Tensor, "b k c h w"], context_actions: Float[Tensor, "b m a"], future_actions: Float[Tensor, "b t a"], rng: Generator
) -> Float[Tensor, "b t c h w"]:
    """The world stands still: the last frame seen, again and again."""
    return context[:, -1:].expand(-1, future_actions.shape[1], -1, -1, -1)


def mean_frame(frame: Float[np.ndarray, "h w c"]) -> Predict:
    """The world is always its average: one frame (in [0, 1]) whatever was seen."""
    picture = torch.as_tensor(frame, dtype=torch.float32).movedim(-1, 0)

    def predict(context: Tensor, context_actions: Tensor, future_actions: Tensor, rng: Generator) -> Tensor:
        return picture.to(context.device).expand(len(context), future_actions.shape[1], -1, -1, -1)

    return predict


def constant_velocity(
    context: Float[Tensor, "b k c h w"], context_actions: Float[Tensor, "b m a"], future_actions: Float[Tensor, "b t a"], rng: Generator
) -> Float[Tensor, "b t c h w"]:
    """Everything keeps the velocity that it had between the last two frames: optical flow, carried on."""
    steps = future_actions.shape[1]
    last = context[:, -1]
    if context.shape[1] < 2:
        return last[:, None].expand(-1, steps, -1, -1, -1)
    velocity = -estimate_flow(last, context[:, -2])
    frames, displacement = [], torch.zeros_like(velocity)
    for step in range(1, steps + 1):
        for _ in range(ADVECTION_ROUNDS):
            # What is at x after `step` steps started at x + d where d = -step * velocity(x + d): a fixed point.
            displacement = -step * sample(velocity, displacement)
        frames.append(sample(last, displacement))
    return torch.stack(frames, dim=1)


def average_frame(episodes: Sequence[Episode], camera: str) -> Float[np.ndarray, "h w c"]:
    """The mean over all frames of the (training) episodes, in [0, 1]: what `mean_frame` predicts."""
    if not episodes:
        raise DataError("the mean frame needs at least one training episode, received none")
    total, count = 0.0, 0
    for episode in episodes:
        frames = to_model(np.asarray(episode.frames[camera]))
        total = total + frames.sum(dim=0, dtype=torch.float64)
        count += len(frames)
    return (total / count).movedim(0, -1).to(torch.float32).numpy()
