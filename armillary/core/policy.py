"""Policy: what decides. Its memory is explicit, like a world's state."""

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from torch import Generator, Tensor

from armillary.core.world import Action

M = TypeVar("M")


class Policy(ABC, Generic[M]):
    """From what is seen to what is done, for a batch of `b` bodies at once."""

    @abstractmethod
    def start(self, batch_size: int) -> M:
        """The memory before anything was seen."""

    @abstractmethod
    def act(self, observation: Tensor, memory: M, rng: Generator) -> tuple[Action, M]:
        """The action for what is seen now (`b ...`), and the memory to hand in next time."""
