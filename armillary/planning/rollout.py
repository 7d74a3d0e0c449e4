"""What candidate actions cost: every episode's every candidate in one batch, in chunks that bound memory."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Shaped
from torch import Generator, Tensor

from armillary.core import Objective, State, World, WorldError
from armillary.planning.half_world import HalfWorld, to_half, to_single


class Rollouts:
    """Rolls candidates out, about `max_rows` worlds at a time, and asks the objective.

    With `compile` the world's `rollout` is compiled once for each world and horizon, all its steps in one graph. A world that draws noise
    inside `step` gains little: each draw ends a compiled graph.
    With `precision` "bf16" a 16-bit copy of the world is rolled out (half_world.py); the objective sees its states in 32 bits and the
    world itself.
    """

    def __init__(self, *, max_rows: int, compile: bool = False, precision: str = "fp32"):
        self.max_rows = max_rows
        self.compile = compile
        self.half = HalfWorld() if precision == "bf16" else None
        self._compiled: tuple[World, Callable] | None = None

    def samples_at_once(self, batch_size: int) -> int:
        """How many candidates of each episode are rolled out together."""
        return max(1, self.max_rows // batch_size)

    @torch.no_grad()
    def costs(
        self, world: World, state: State, objective: Objective, actions: Shaped[Tensor, "b n t *a"], rng: Generator
    ) -> Float[Tensor, "b n"]:
        """The cost of each of `n` candidates for each of `b` episodes; what is not a number counts as infinite.

        Raises WorldError if an episode has no candidate of finite cost.
        """
        parts = actions.split(self.samples_at_once(state.batch_size), dim=1)
        costs = torch.cat([self.one_chunk(world, state, objective, part, rng) for part in parts], dim=1)
        costs = torch.where(torch.isfinite(costs), costs, torch.inf)
        check_costs(world, costs)
        return costs

    def one_chunk(
        self, world: World, state: State, objective: Objective, actions: Shaped[Tensor, "b n t *a"], rng: Generator
    ) -> Float[Tensor, "b n"]:
        """The costs of candidates rolled out as one batch, differentiable if the world is. Rows of an episode are neighbours."""
        batch, count = actions.shape[:2]
        if batch != state.batch_size:
            raise WorldError(f"the state holds {state.batch_size} episodes, the actions are for {batch}")
        flat = actions.flatten(0, 1)
        cost = objective.cost(world, self._imagined(world, state.repeat(count), flat, rng), flat)
        if tuple(cost.shape) != (batch * count,):
            raise WorldError(f"{type(objective).__name__} must give one cost a row, {(batch * count,)}; it gave {tuple(cost.shape)}")
        return cost.unflatten(0, (batch, count))

    def _imagined(self, world: World, state: State, actions: Shaped[Tensor, "r t *a"], rng: Generator) -> Sequence[State]:
        if self.half is None:
            return self._states(world, state, actions, rng)
        states = self._states(self.half.of(world), state.map(to_half), to_half(actions), rng)
        return [one.map(to_single) for one in states]

    def _states(self, world: World, state: State, actions: Shaped[Tensor, "r t *a"], rng: Generator) -> Sequence[State]:
        if not self.compile:
            return world.rollout(state, actions, rng)
        if self._compiled is None or self._compiled[0] is not world:
            self._compiled = (world, torch.compile(world.rollout))
        return self._compiled[1](state, actions, rng)


def check_costs(world: World, costs: Float[Tensor, "b n"]) -> None:
    """Raise WorldError for an episode none of whose candidates has a finite cost."""
    lost = (~torch.isfinite(costs)).all(dim=1).nonzero()[:, 0].tolist()
    if lost:
        raise WorldError(
            f"no plan for episode {', '.join(map(str, lost[:5]))} of {len(costs)} has a finite cost: {type(world).__name__} or the "
            "objective gave NaN or infinity; check the state planned from, or plan less far (planner.horizon)"
        )
