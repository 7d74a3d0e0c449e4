"""Replay: the same actions again, whatever is seen. The baseline of everything that looks."""

from jaxtyping import Float, Float64
from torch import Generator, Tensor

from armillary.core import Policy
from armillary.worlds.twin.world import TwinWorld


class Replay(Policy[int]):
    """Plays `actions` (`t a`) in every row; after the last one the drives hold their targets."""

    def __init__(self, world: TwinWorld, actions: Float[Tensor, "t a"]):
        self._actions, self._targets = actions, world.targets

    def start(self, batch_size: int) -> int:
        """Before the first action."""
        return 0

    def act(self, observation: Float64[Tensor, "b s"], memory: int, rng: Generator) -> tuple[Float[Tensor, "b a"], int]:
        """The next action, the same for every row."""
        action = self._actions[memory] if memory < len(self._actions) else self._targets
        return action.expand(len(observation), -1), memory + 1
