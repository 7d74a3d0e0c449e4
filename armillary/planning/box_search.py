"""One planning problem with continuous actions, in units in which every action runs from -1 to 1.

Letters: b episodes, n candidates, h blocks of a plan, a numbers of an action, k elites.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from armillary.core import Objective, Plan, State, World
from armillary.planning.action_bounds import ActionBounds, to_steps
from armillary.planning.config import SearchConfig
from armillary.planning.rollout import Rollouts
from armillary.planning.warm_start import warm_blocks


@dataclass(frozen=True)
class BoxSearch:
    """What a planner of Box actions works on: where it stands, what it may do, and what that would cost."""

    config: SearchConfig
    rollouts: Rollouts
    world: World
    state: State
    objective: Objective
    rng: Generator
    bounds: ActionBounds

    @staticmethod
    def of(config: SearchConfig, rollouts: Rollouts, world: World, state: State, objective: Objective, rng: Generator) -> "BoxSearch":
        """Raises WorldError for a world whose actions are not a bounded Box."""
        return BoxSearch(config, rollouts, world, state, objective, rng, ActionBounds.of(world, rng.device))

    @property
    def shape(self) -> tuple[int, int, int]:
        """b h a"""
        return self.state.batch_size, self.config.horizon, len(self.bounds.low)

    def to_actions(self, candidates: Float[Tensor, "b n h a"]) -> Float[Tensor, "b n t a"]:
        """The world's actions, step by step."""
        return to_steps(self.bounds.to_actions(candidates), self.config.block)

    def costs(self, candidates: Float[Tensor, "b n h a"]) -> Float[Tensor, "b n"]:
        """What candidates cost, without gradients; infinite where it is not a number."""
        return self.rollouts.costs(self.world, self.state, self.objective, self.to_actions(candidates), self.rng)

    def noise(self, count: int) -> Float[Tensor, "b {count} h a"]:
        """Independent standard normal numbers."""
        batch, horizon, size = self.shape
        return torch.randn(batch, count, horizon, size, generator=self.rng, device=self.rng.device)

    def first_mean(self, warm_start: Plan | None) -> Float[Tensor, "b h a"]:
        """Where a search begins: the warm start, else the middle of every action's range."""
        batch, horizon, size = self.shape
        if warm_start is None:
            return torch.zeros(self.shape, device=self.rng.device)
        blocks = warm_blocks(warm_start, batch_size=batch, action_shape=(size,), block=self.config.block, horizon=horizon)
        return self.bounds.to_units(blocks.to(self.bounds.low))

    def plan(self, blocks: Float[Tensor, "b h a"], cost: Float[Tensor, " b"]) -> Plan:
        """The answer in the world's units, one action a step."""
        return Plan(self.to_actions(blocks[:, None])[:, 0], cost)


@dataclass(frozen=True)
class Best:
    """The cheapest plan seen so far of every episode."""

    blocks: Float[Tensor, "b h a"]
    cost: Float[Tensor, " b"]

    @staticmethod
    def of(blocks: Float[Tensor, "b h a"]) -> "Best":
        """A plan that nobody has costed yet: anything finite is better."""
        return Best(blocks, torch.full_like(blocks[:, 0, 0], torch.inf))

    def or_better(self, candidates: Float[Tensor, "b n h a"], costs: Float[Tensor, "b n"]) -> "Best":
        """The best of these and of what was best before."""
        cost, index = costs.min(dim=1)
        found = candidates[torch.arange(len(index), device=index.device), index]
        better = cost < self.cost
        return replace(self, blocks=torch.where(better[:, None, None], found, self.blocks), cost=torch.where(better, cost, self.cost))


def choose_elites(
    candidates: Float[Tensor, "b n h a"], costs: Float[Tensor, "b n"], count: int
) -> tuple[Float[Tensor, "b k h a"], Float[Tensor, "b k"]]:
    """Each episode's `count` cheapest candidates and their costs, cheapest first."""
    cost, index = costs.topk(count, dim=1, largest=False)
    return candidates.gather(1, index[:, :, None, None].expand(-1, -1, *candidates.shape[2:])), cost


def moments(elites: Float[Tensor, "b k h a"], weights: Float[Tensor, "b k"]) -> tuple[Float[Tensor, "b h a"], Float[Tensor, "b h a"]]:
    """Weighted mean and standard deviation over the elites; the weights need not sum to one."""
    share = (weights / weights.sum(dim=1, keepdim=True))[:, :, None, None]
    mean = (share * elites).sum(dim=1)
    return mean, (share * (elites - mean[:, None]).square()).sum(dim=1).sqrt()
