"""The cross-entropy method: draw plans from a Gaussian, keep the best few, fit the Gaussian to them, again.

De Boer, Kroese, Mannor and Rubinstein, *A Tutorial on the Cross-Entropy Method* (2005), with its smoothed updating.
"""

from dataclasses import dataclass

import torch
from torch import Generator

from armillary.core import Objective, Plan, State, World
from armillary.planning.box_search import Best, BoxSearch, choose_elites, moments
from armillary.planning.config import SearchConfig
from armillary.planning.search_planner import SearchPlanner


@dataclass(frozen=True, kw_only=True)
class CEMConfig(SearchConfig):
    """`samples` plans an iteration, of which `elites` are kept. Standard deviations are in halves of an action's range.

    `momentum` is the share of the old mean and deviation that stays (0: none). `answer` is "best", the cheapest plan seen,
    or "mean", the last mean: steadier where the world is noisy, wrong where there are two ways round an obstacle.
    """

    samples: int = 300
    elites: int = 30
    iterations: int = 10
    initial_std: float = 0.7
    min_std: float = 0.0
    momentum: float = 0.0
    answer: str = "best"

    def __post_init__(self):
        super().__post_init__()
        self.check_elites(self.samples, self.elites)
        self.check_spread(self.initial_std, self.min_std)
        self.check(self.iterations >= 1, "iterations", "be at least 1")
        self.check(0 <= self.momentum < 1, "momentum", "be at least 0 and below 1")
        self.check(self.answer in ("best", "mean"), "answer", "be 'best' or 'mean'")


class CEM(SearchPlanner):
    """Plans Box actions. The mean itself is always the first candidate, so an answer "best" is never worse than its warm start."""

    Config = CEMConfig

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
            new_mean, new_std = moments(elites, torch.isfinite(elite_costs).to(elites))
            mean = config.momentum * mean + (1.0 - config.momentum) * new_mean
            std = (config.momentum * std + (1.0 - config.momentum) * new_std).clamp_min(config.min_std)
        if config.answer == "mean":
            return search.plan(mean, search.costs(mean[:, None])[:, 0])
        best = best.or_better(mean[:, None], search.costs(mean[:, None]))
        return search.plan(best.blocks, best.cost)
