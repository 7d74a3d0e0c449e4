"""Random shooting: draw plans uniformly, keep the cheapest. The baseline that every other planner must beat for its cost."""

from dataclasses import dataclass

import gymnasium
import torch
from jaxtyping import Shaped
from torch import Generator, Tensor

from armillary.core import Objective, Plan, State, World
from armillary.planning.action_bounds import ActionBounds, num_discrete, to_steps
from armillary.planning.config import SearchConfig
from armillary.planning.search_planner import SearchPlanner
from armillary.planning.warm_start import warm_blocks


@dataclass(frozen=True, kw_only=True)
class RandomShootingConfig(SearchConfig):
    """`samples` plans an episode, drawn once."""

    samples: int = 1000

    def __post_init__(self):
        super().__post_init__()
        self.check(self.samples >= 1, "samples", "be at least 1")


class RandomShooting(SearchPlanner):
    """Plans Box and Discrete actions alike; a warm start is one candidate more."""

    Config = RandomShootingConfig

    def plan(self, world: World, state: State, objective: Objective, rng: Generator, warm_start: Plan | None = None) -> Plan:
        """Actions of `horizon * block` steps, never dearer than the warm start."""
        blocks = self._draw(world, state.batch_size, rng)
        if warm_start is not None:
            fitted = warm_blocks(
                warm_start,
                batch_size=state.batch_size,
                action_shape=tuple(blocks.shape[3:]),
                block=self.config.block,
                horizon=self.config.horizon,
            )
            blocks = torch.cat([fitted[:, None].to(blocks), blocks], dim=1)
        actions = to_steps(blocks, self.config.block)
        cost, index = self.rollouts.costs(world, state, objective, actions, rng).min(dim=1)
        return Plan(actions[torch.arange(len(index), device=index.device), index], cost)

    def _draw(self, world: World, batch: int, rng: Generator) -> Shaped[Tensor, "b n h *a"]:
        shape = (batch, self.config.samples, self.config.horizon)
        if isinstance(world.spec.action_space, gymnasium.spaces.Discrete):
            count, first = num_discrete(world)
            return torch.randint(first, first + count, shape, generator=rng, device=rng.device)
        bounds = ActionBounds.of(world, rng.device)
        return bounds.to_actions(2.0 * torch.rand(*shape, len(bounds.low), generator=rng, device=rng.device) - 1.0)
