"""Where actions may lie, and how few planned actions become many steps.

Continuous planners search in units in which every action runs from -1 to 1. A plan of `h` blocks is `h * block` steps of the
world, each planned action being repeated `block` times.
"""

from dataclasses import dataclass

import gymnasium
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from armillary.core import World, WorldError


@dataclass(frozen=True)
class ActionBounds:
    """The box that holds every action, in the world's own units."""

    low: Float[Tensor, " a"]
    high: Float[Tensor, " a"]

    @staticmethod
    def of(world: World, device: torch.device) -> "ActionBounds":
        """The bounds of a world's Box actions. Raises WorldError for a Discrete space, and for a Box without an end."""
        space = world.spec.action_space
        if not isinstance(space, gymnasium.spaces.Box) or len(space.shape) != 1:
            raise WorldError(
                f"this planner needs a world with Box actions of one axis, {type(world).__name__} has {space}; "
                "plan with categorical_cem or random_shooting where actions are Discrete"
            )
        low, high = (torch.as_tensor(bound, dtype=torch.float32, device=device) for bound in (space.low, space.high))
        if not bool((torch.isfinite(low) & torch.isfinite(high) & (low < high)).all()):
            raise WorldError(f"planning needs finite bounds, low below high, {type(world).__name__} has {space}; give it a bounded Box")
        return ActionBounds(low, high)

    def to_actions(self, units: Float[Tensor, "*lead a"]) -> Float[Tensor, "*lead a"]:
        """From [-1, 1] to the world's units, cut off at the bounds."""
        middle, half = (self.high + self.low) / 2, (self.high - self.low) / 2
        # rounding must not carry an action over its bound
        return torch.minimum(torch.maximum(middle + half * units, self.low), self.high)

    def to_units(self, actions: Float[Tensor, "*lead a"]) -> Float[Tensor, "*lead a"]:
        """From the world's units to [-1, 1], cut off there."""
        middle, half = (self.high + self.low) / 2, (self.high - self.low) / 2
        return ((actions - middle) / half).clamp(-1.0, 1.0)


def num_discrete(world: World) -> tuple[int, int]:
    """How many Discrete actions a world has, and the first one's number. Raises WorldError where actions are not Discrete."""
    space = world.spec.action_space
    if not isinstance(space, gymnasium.spaces.Discrete):
        raise WorldError(
            f"this planner needs a world with Discrete actions, {type(world).__name__} has {space}; plan with cem, icem, mppi or gradient"
        )
    return int(space.n), int(space.start)


def to_steps(blocks: Shaped[Tensor, "b n h *a"], block: int) -> Shaped[Tensor, "b n t *a"]:
    """Every planned action repeated `block` times: `t = h * block`."""
    return blocks if block == 1 else blocks.repeat_interleave(block, dim=2)


def to_blocks(steps: Shaped[Tensor, "b t *a"], block: int, horizon: int) -> Shaped[Tensor, "b {horizon} *a"]:
    """The blocks nearest to `t >= 1` actions: their means, or of whole numbers the first. The last action goes on to the horizon."""
    wanted = horizon * block
    missing = wanted - steps.shape[1]
    if missing > 0:
        steps = torch.cat([steps, steps[:, -1:].expand(-1, missing, *steps.shape[2:])], dim=1)
    grouped = steps[:, :wanted].unflatten(1, (horizon, block))
    return grouped.mean(dim=2) if steps.is_floating_point() else grouped[:, :, 0]
