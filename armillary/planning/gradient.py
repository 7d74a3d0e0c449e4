"""Planning by descent: Adam on the actions, through a world that can be differentiated, from several starts at once.

Adam is Kingma and Ba 2015, arXiv:1412.6980; its step falls to zero along a cosine, so that it settles.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from armillary.core import Objective, Plan, State, World, WorldError
from armillary.planning.box_search import Best, BoxSearch
from armillary.planning.coloured_noise import coloured_noise
from armillary.planning.config import SearchConfig
from armillary.planning.rollout import check_costs
from armillary.planning.search_planner import SearchPlanner

ADAM_MEMORY = (0.9, 0.95)  # a descent is short: with the usual 0.999 the steep first gradients would slow all of it down


@dataclass(frozen=True, kw_only=True)
class GradientConfig(SearchConfig):
    """`starts` plans an episode descend for `iterations` steps. Rates and deviations are in halves of an action's range.

    The starts' noise has power 1 / frequency^`noise_exponent` (0: white), so that they set out in different directions.
    """

    starts: int = 8
    iterations: int = 60
    learning_rate: float = 0.1
    initial_std: float = 0.5
    noise_exponent: float = 2.0

    def __post_init__(self):
        super().__post_init__()
        self.check(self.starts >= 1, "starts", "be at least 1")
        self.check(self.iterations >= 1, "iterations", "be at least 1")
        self.check(self.learning_rate > 0, "learning_rate", "be above 0")
        self.check(self.initial_std >= 0, "initial_std", "be at least 0")
        self.check(self.noise_exponent >= 0, "noise_exponent", "be at least 0 (0: white noise)")


class GradientPlanner(SearchPlanner):
    """Plans Box actions. The first start is the warm start (or the middle of the range), the others lie around it."""

    Config = GradientConfig

    def plan(self, world: World, state: State, objective: Objective, rng: Generator, warm_start: Plan | None = None) -> Plan:
        """The cheapest plan met on the way, of `horizon * block` steps, never dearer than the warm start.

        A gradient that is not finite counts as zero for its start. Raises WorldError where no gradient reaches the actions, and
        for a world without bounded Box actions.
        """
        config = self.config
        search = BoxSearch.of(config, self.rollouts, world, state, objective, rng)
        mean = search.first_mean(warm_start)
        batch, horizon, size = search.shape
        noise = coloured_noise((batch, config.starts - 1, horizon, size), config.noise_exponent, rng)
        around = mean[:, None] + config.initial_std * noise
        blocks = torch.cat([mean[:, None], around.clamp(-1.0, 1.0)], dim=1)
        best = Best.of(mean)
        optimizer = torch.optim.Adam([blocks], lr=config.learning_rate, betas=ADAM_MEMORY)
        for iteration in range(config.iterations):
            costs, blocks.grad = self._costs_and_gradient(search, blocks)
            best = best.or_better(blocks, costs)
            cosine = 0.5 * (1.0 + math.cos(math.pi * iteration / config.iterations))
            optimizer.param_groups[0]["lr"] = config.learning_rate * cosine
            optimizer.step()
            blocks.clamp_(-1.0, 1.0)
        best = best.or_better(blocks, search.costs(blocks))
        return search.plan(best.blocks, best.cost)

    def _costs_and_gradient(
        self, search: BoxSearch, blocks: Float[Tensor, "b n h a"]
    ) -> tuple[Float[Tensor, "b n"], Float[Tensor, "b n h a"]]:
        """Costs (infinite where not a number) and d cost / d blocks; nothing reaches the weights of the world."""
        costs, gradients = [], []
        for part in blocks.split(self.rollouts.samples_at_once(len(blocks)), dim=1):
            with torch.enable_grad():
                leaf = part.detach().clone().requires_grad_(True)
                cost = self.rollouts.one_chunk(search.world, search.state, search.objective, search.to_actions(leaf), search.rng)
                gradient = torch.autograd.grad(cost.sum(), leaf, allow_unused=True)[0] if cost.requires_grad else None
            if gradient is None:
                raise WorldError(
                    f"no gradient reaches the actions through {type(search.world).__name__} and {type(search.objective).__name__}; "
                    "plan with cem, icem or mppi, which need none"
                )
            costs.append(cost.detach())
            gradients.append(gradient)
        cost, gradient = torch.cat(costs, dim=1), torch.cat(gradients, dim=1)
        cost = torch.where(torch.isfinite(cost), cost, torch.inf)
        check_costs(search.world, cost)
        usable = torch.isfinite(gradient).flatten(2).all(dim=2)[:, :, None, None]
        return cost, torch.where(usable, gradient, 0.0)
