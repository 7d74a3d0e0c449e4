"""iCEM: the cross-entropy method made cheap enough for control. Pinneri et al. 2020, arXiv:2008.06389, algorithm 1."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from armillary.core import Objective, Plan, State, World, WorldError
from armillary.planning.action_bounds import to_blocks
from armillary.planning.box_search import Best, BoxSearch, choose_elites, moments
from armillary.planning.coloured_noise import coloured_noise
from armillary.planning.config import SearchConfig
from armillary.planning.search_planner import SearchPlanner
from armillary.planning.warm_start import ElitePlan


@dataclass(frozen=True, kw_only=True)
class ICEMConfig(SearchConfig):
    """The paper's letters: `samples` N, `elites` K, `decay` gamma, `noise_exponent` beta, `keep` xi, `momentum` alpha."""

    samples: int = 200
    elites: int = 20
    iterations: int = 6
    initial_std: float = 0.5
    min_std: float = 0.0
    momentum: float = 0.1
    decay: float = 1.25
    noise_exponent: float = 2.0
    keep: float = 0.3

    def __post_init__(self):
        super().__post_init__()
        self.check_elites(self.samples, self.elites)
        self.check_spread(self.initial_std, self.min_std)
        self.check(self.iterations >= 1, "iterations", "be at least 1")
        self.check(0 <= self.momentum < 1, "momentum", "be at least 0 and below 1")
        self.check(self.decay >= 1, "decay", "be at least 1 (1: as many samples in every iteration)")
        self.check(self.noise_exponent >= 0, "noise_exponent", "be at least 0 (0: white noise)")
        self.check(0 <= self.keep <= 1, "keep", "be from 0 to 1")

    def samples_in(self, iteration: int) -> int:
        """How many plans are drawn in an iteration: max(N gamma^-i, 2 K)."""
        return max(int(self.samples * self.decay**-iteration), 2 * self.elites)


class ICEM(SearchPlanner):
    """Plans Box actions. Its answer is an ElitePlan; shifted and handed back, its elites join the next plan's first candidates."""

    Config = ICEMConfig

    def plan(self, world: World, state: State, objective: Objective, rng: Generator, warm_start: Plan | None = None) -> Plan:
        """Actions of `horizon * block` steps, never dearer than the warm start. Raises WorldError without bounded Box actions."""
        config = self.config
        search = BoxSearch.of(config, self.rollouts, world, state, objective, rng)
        mean = search.first_mean(warm_start)
        std = torch.full_like(mean, config.initial_std)
        best = Best.of(mean)
        num_kept = round(config.keep * config.elites)
        batch, horizon, size = search.shape
        kept = mean.new_empty(batch, 0, horizon, size)
        for iteration in range(config.iterations):
            noise = coloured_noise((batch, config.samples_in(iteration), horizon, size), config.noise_exponent, rng)
            candidates = (mean[:, None] + std[:, None] * noise).clamp(-1.0, 1.0)
            if iteration == 0 and warm_start is not None:
                kept = torch.cat([mean[:, None], self._shifted_elites(search, warm_start, candidates, num_kept)], dim=1)
            candidates = torch.cat([candidates, kept], dim=1)
            if iteration == config.iterations - 1:
                candidates = torch.cat([candidates, mean[:, None]], dim=1)
            costs = search.costs(candidates)
            best = best.or_better(candidates, costs)
            elites, elite_costs = choose_elites(candidates, costs, config.elites)
            kept = elites[:, :num_kept]
            new_mean, new_std = moments(elites, torch.isfinite(elite_costs).to(elites))
            mean = config.momentum * mean + (1.0 - config.momentum) * new_mean
            std = (config.momentum * std + (1.0 - config.momentum) * new_std).clamp_min(config.min_std)
        answer = search.plan(best.blocks, best.cost)
        return ElitePlan(answer.actions, answer.cost, search.to_actions(elites))

    def _shifted_elites(self, search: BoxSearch, warm_start: Plan, drawn: Float[Tensor, "b n h a"], count: int) -> Float[Tensor, "b k h a"]:
        """The last plan's elites as candidates; the blocks that they do not reach are taken from freshly drawn plans."""
        if not isinstance(warm_start, ElitePlan):
            return drawn[:, :0]
        elites = warm_start.elites[:, :count]
        batch, horizon, size = search.shape
        if elites.shape[0] != batch or elites.shape[3] != size or elites.shape[2] < 1:
            raise WorldError(f"the warm start's elites must be ({batch}, k, t, {size}), received {tuple(elites.shape)}")
        blocks = to_blocks(elites.flatten(0, 1), self.config.block, horizon).unflatten(0, (batch, elites.shape[1]))
        reached = -(-elites.shape[2] // self.config.block)
        units = search.bounds.to_units(blocks.to(search.bounds.low))
        return torch.cat([units[:, :, :reached], drawn[:, : elites.shape[1], reached:]], dim=2)
