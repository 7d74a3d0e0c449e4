"""Model-predictive path integral control: the mean of plans, each weighted by exp(-cost / temperature).

Williams et al. 2017 (arXiv:1707.02342), iterated over elites as in TD-MPC (arXiv:2203.04955) and TD-MPC2 (arXiv:2310.16828).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from armillary.core import Objective, Plan, State, World
from armillary.planning.box_search import Best, BoxSearch, choose_elites, moments
from armillary.planning.config import SearchConfig
from armillary.planning.search_planner import SearchPlanner


@dataclass(frozen=True, kw_only=True)
class MPPIConfig(SearchConfig):
    """`temperature` is Williams' lambda (TD-MPC2 writes its inverse): small trusts the best, large averages the elites.

    `temperature_unit` is "spread", the elites' mean cost above the cheapest, so that no cost needs scaling by hand, or "cost",
    the objective's own unit as published. Standard deviations are in halves of an action's range. `answer`: "mean" or "best".
    """

    samples: int = 300
    elites: int = 30
    iterations: int = 8
    initial_std: float = 0.7
    min_std: float = 0.02
    temperature: float = 0.5
    temperature_unit: str = "spread"
    answer: str = "mean"

    def __post_init__(self):
        super().__post_init__()
        self.check_elites(self.samples, self.elites)
        self.check_spread(self.initial_std, self.min_std)
        self.check(self.iterations >= 1, "iterations", "be at least 1")
        self.check(self.temperature > 0, "temperature", "be above 0")
        self.check(self.temperature_unit in ("spread", "cost"), "temperature_unit", "be 'spread' or 'cost'")
        self.check(self.answer in ("best", "mean"), "answer", "be 'best' or 'mean'")


class MPPI(SearchPlanner):
    """Plans Box actions by a weighted mean of the elites."""

    Config = MPPIConfig

    def plan(self, world: World, state: State, objective: Objective, rng: Generator, warm_start: Plan | None = None) -> Plan:
        """Actions of `horizon * block` steps. Raises WorldError for a world without bounded Box actions."""
        config = self.config
        search = BoxSearch.of(config, self.rollouts, world, state, objective, rng)
        mean = search.first_mean(warm_start)
        std = torch.full_like(mean, config.initial_std)
        best = Best.of(mean)
        for _ in range(config.iterations):
            drawn = mean[:, None] + std[:, None] * search.noise(config.samples - 1)
            candidates = torch.cat([mean[:, None], drawn.clamp(-1.0, 1.0)], dim=1)
            costs = search.costs(candidates)
            best = best.or_better(candidates, costs)
            elites, elite_costs = choose_elites(candidates, costs, config.elites)
            mean, std = moments(elites, path_weights(elite_costs, config.temperature, config.temperature_unit))
            std = std.clamp(config.min_std, config.initial_std)
        mean_cost = search.costs(mean[:, None])
        if config.answer == "mean":
            return search.plan(mean, mean_cost[:, 0])
        best = best.or_better(mean[:, None], mean_cost)
        return search.plan(best.blocks, best.cost)


def path_weights(costs: Float[Tensor, "b k"], temperature: float, unit: str) -> Float[Tensor, "b k"]:
    """exp(-(cost - cheapest) / temperature), 1 for the cheapest and 0 for an infinite cost (shifted to stay finite)."""
    excess = costs - costs.min(dim=1, keepdim=True).values
    if unit == "spread":
        finite = torch.isfinite(excess)
        spread = torch.where(finite, excess, 0.0).sum(dim=1, keepdim=True) / finite.sum(dim=1, keepdim=True)
        excess = excess / spread.clamp_min(torch.finfo(costs.dtype).tiny)
    return torch.exp(-excess / temperature)
