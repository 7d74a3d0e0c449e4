"""Actions in units of the training data: what every model of recorded actions does with them before it looks."""

from collections.abc import Sequence

import gymnasium
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from armillary.core import Prompt, WorldError

LIMIT_STD = 5.0  # beyond so many deviations nothing was learned


class ActionScale(nn.Module):
    """The mean and deviation of the training data's actions. Called, it standardises; it travels with the weights."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]):
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32))

    def forward(self, actions: Float[Tensor, "*lead a"]) -> Float[Tensor, "*lead a"]:
        """Zero mean and unit deviation on the training data, cut off at LIMIT_STD."""
        return ((actions - self.mean) / self.std).clamp(-LIMIT_STD, LIMIT_STD)

    def space(self) -> gymnasium.spaces.Box:
        """Every action within LIMIT_STD deviations of the mean, in the data's units."""
        mean, std = self.mean.numpy(), self.std.numpy()
        return gymnasium.spaces.Box(mean - LIMIT_STD * std, mean + LIMIT_STD * std, dtype=np.float32)

    def one_step(self, action: Tensor, batch_size: int) -> Float[Tensor, "b a"]:
        """The standardised action of each of `batch_size` worlds. WorldError for another shape."""
        if tuple(action.shape) != (batch_size, len(self.mean)):
            raise WorldError(f"actions must be {(batch_size, len(self.mean))}, received {tuple(action.shape)}")
        return self(action)

    def between_frames(self, prompt: Prompt, picture: tuple[int, int, int]) -> Float[Tensor, "b steps a"]:
        """The standardised actions between a prompt's frames, which must be `b t` pictures of this shape; the mean where none are given.

        WorldError when frames or actions have another shape.
        """
        count, steps = prompt.frames.shape[:2]
        if tuple(prompt.frames.shape[2:]) != picture or steps < 1:
            raise WorldError(f"the prompt's frames must be b t {picture}, received {tuple(prompt.frames.shape)}")
        actions = self.mean.expand(count, steps - 1, -1) if prompt.actions is None else prompt.actions
        if tuple(actions.shape) != (count, steps - 1, len(self.mean)):
            raise WorldError(
                f"{steps} context frames need {steps - 1} actions of size {len(self.mean)} between them, received {tuple(actions.shape)}"
            )
        return self(actions)
