"""Robot states in units of the training data, and back."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from armillary.core import WorldError


class StateScale(nn.Module):
    """The mean and deviation of the training data's states. Nothing is cut off: what is foreseen must come back as it was."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]):
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32))

    def forward(self, states: Float[Tensor, "*lead s"]) -> Float[Tensor, "*lead s"]:
        """Zero mean and unit deviation on the training data."""
        return (states - self.mean) / self.std

    def told(self, state: Tensor, count: int) -> Float[Tensor, "b s"]:
        """A prompt's state, standardised. WorldError unless it is a finite state of each of `count` worlds."""
        if tuple(state.shape) != (count, len(self.mean)):
            raise WorldError(f"the prompt's state must be {(count, len(self.mean))}, received {tuple(state.shape)}")
        if not bool(torch.isfinite(state).all()):
            raise WorldError("the prompt's state holds NaN or infinity; every number must be finite, or leave the state out")
        return self(state)

    def restore(self, standardised: Float[Tensor, "*lead s"]) -> Float[Tensor, "*lead s"]:
        """States in the data's units."""
        return standardised * self.std + self.mean
