"""Planner and Objective: which actions make a world go where it should."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Generator, Tensor

from armillary.core.state import State
from armillary.core.world import World


@dataclass(frozen=True)
class Plan:
    """Actions for the next `t` steps of each of `b` worlds (`b t a` or `b t`), and what they are expected to cost."""

    actions: Tensor
    cost: Float[Tensor, " b"]


class Objective(ABC):
    """What a planner makes small. Goal distance needs a world that Embeds, negative return one that Rewards."""

    @abstractmethod
    def cost(self, world: World, states: Sequence[State], actions: Tensor) -> Float[Tensor, " b"]:
        """The cost of having gone through `states` by `actions`."""


class Planner(ABC):
    """Finds actions for any world and any objective."""

    @abstractmethod
    def plan(self, world: World, state: State, objective: Objective, rng: Generator, warm_start: Plan | None = None) -> Plan:
        """Actions from `state` that make `objective` small."""
