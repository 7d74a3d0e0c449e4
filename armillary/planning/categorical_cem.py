"""The cross-entropy method for Discrete actions: one independent categorical distribution a block, fitted to the best plans.

De Boer, Kroese, Mannor and Rubinstein, *A Tutorial on the Cross-Entropy Method* (2005), with its smoothed updating.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor

from armillary.core import Objective, Plan, State, World
from armillary.planning.action_bounds import num_discrete, to_steps
from armillary.planning.config import SearchConfig
from armillary.planning.search_planner import SearchPlanner
from armillary.planning.warm_start import warm_blocks


@dataclass(frozen=True, kw_only=True)
class CategoricalCEMConfig(SearchConfig):
    """`momentum` is the share of the old probabilities that stays, `exploration` the share that is always spread over all actions.

    `warm_share` is the probability that a warm start's actions begin with.
    """

    samples: int = 300
    elites: int = 20
    iterations: int = 8
    momentum: float = 0.2
    exploration: float = 0.1
    warm_share: float = 0.5

    def __post_init__(self):
        super().__post_init__()
        self.check_elites(self.samples, self.elites)
        self.check(self.iterations >= 1, "iterations", "be at least 1")
        self.check(0 <= self.momentum < 1, "momentum", "be at least 0 and below 1")
        self.check(0 <= self.exploration <= 1, "exploration", "be from 0 to 1")
        self.check(0 <= self.warm_share < 1, "warm_share", "be at least 0 and below 1")


class CategoricalCEM(SearchPlanner):
    """Plans Discrete actions; the answer is the cheapest plan seen, never dearer than the warm start."""

    Config = CategoricalCEMConfig

    def plan(self, world: World, state: State, objective: Objective, rng: Generator, warm_start: Plan | None = None) -> Plan:
        """Whole-numbered actions `b t` of `horizon * block` steps. Raises WorldError where actions are not Discrete."""
        config = self.config
        num_actions, first = num_discrete(world)
        batch = state.batch_size
        probability = torch.full((batch, config.horizon, num_actions), 1.0 / num_actions, device=rng.device)
        best = torch.zeros(batch, config.horizon, dtype=torch.long, device=rng.device)
        if warm_start is not None:
            blocks = warm_blocks(warm_start, batch_size=batch, action_shape=(), block=config.block, horizon=config.horizon)
            best = (blocks.to(best) - first).clamp(0, num_actions - 1)
            chosen = torch.nn.functional.one_hot(best, num_actions).to(probability)
            probability = config.warm_share * chosen + (1.0 - config.warm_share) * probability
        best_cost = torch.full((batch,), torch.inf, device=rng.device)
        for _ in range(config.iterations):
            # the best plan so far is a candidate again: the first time that is the warm start
            mixed = (1.0 - config.exploration) * probability + config.exploration / num_actions
            drawn = draw_categories(mixed, config.samples - 1, rng)
            candidates = torch.cat([best[:, None], drawn], dim=1)
            costs = self.rollouts.costs(world, state, objective, to_steps(candidates + first, config.block), rng)
            elite_costs, index = costs.topk(config.elites, dim=1, largest=False)
            elites = candidates.gather(1, index[:, :, None].expand(-1, -1, config.horizon))
            better = elite_costs[:, 0] < best_cost
            best = torch.where(better[:, None], elites[:, 0], best)
            best_cost = torch.where(better, elite_costs[:, 0], best_cost)
            counted = torch.nn.functional.one_hot(elites, num_actions) * torch.isfinite(elite_costs)[:, :, None, None]
            frequency = counted.sum(dim=1).to(probability)
            frequency = frequency / frequency.sum(dim=-1, keepdim=True)
            probability = config.momentum * probability + (1.0 - config.momentum) * frequency
        return Plan(to_steps(best[:, None] + first, config.block)[:, 0], best_cost)


def draw_categories(probability: Float[Tensor, "b h c"], count: int, rng: Generator) -> Int[Tensor, "b {count} h"]:
    """`count` independent draws an episode and block, by inverting the cumulative distribution."""
    batch, horizon, categories = probability.shape
    uniform = torch.rand(batch, horizon, count, generator=rng, device=rng.device)
    # rounding may leave the last sum below 1, or put a category of probability 0 at its end: search within the true total
    cumulative = probability.cumsum(dim=-1)
    drawn = torch.searchsorted(cumulative, uniform * cumulative[..., -1:], right=True)
    return drawn.clamp(max=categories - 1).movedim(2, 1)
