"""Robot states in units of the training data, and back."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn


class StateScale(nn.Module):
    """The mean and deviation of the training data's states. Nothing is cut off: what is foreseen must come back as it was."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]):
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32))

    def forward(self, states: Float[Tensor, "*lead s"]) -> Float[Tensor, "*lead s"]:
        """Zero mean and unit deviation on the training data."""
        return (states - self.mean) / self.std

    def restore(self, standardised: Float[Tensor, "*lead s"]) -> Float[Tensor, "*lead s"]:
        """States in the data's units."""
        return standardised * self.std + self.mean
