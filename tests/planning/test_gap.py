"""A point mass and a wall with a gap. The shortest way is known, and with it the cheapest plan."""

import pytest
import torch

from armillary.core import Prompt, seeded
from armillary.planning.cem import CEM, CEMConfig
from armillary.planning.gradient import GradientConfig, GradientPlanner
from armillary.planning.icem import ICEM, ICEMConfig
from armillary.planning.mppi import MPPI, MPPIConfig
from tests.planning.worlds import EffortToGoal, GapWorld, OpenWorld, ThroughTheGap

STEPS = 10
WORLD, OBJECTIVE = GapWorld(), EffortToGoal()
# By the gap's lower corner the way is L = 2 |(0.6, 0.3)|. Ten equal steps (the fifth ends at the corner) that stop a distance d
# short cost (L - d)^2 / 10 + 10 d^2, least at d = L / 101.
WAY = 2.0 * (0.6**2 + 0.3**2) ** 0.5
OPTIMUM = WAY**2 * OBJECTIVE.weight / (1.0 + OBJECTIVE.weight * STEPS)
AT_THE_WALL = OBJECTIVE.weight * 0.6**2

CASES = {
    "cem": (CEM(CEMConfig(horizon=STEPS, samples=1000, elites=80, iterations=25)), 0.1),
    "icem": (ICEM(ICEMConfig(horizon=STEPS, samples=1000, elites=80, iterations=25, noise_exponent=0.5, decay=1.02)), 0.1),
    "mppi": (MPPI(MPPIConfig(horizon=STEPS, samples=500, elites=40, iterations=20, answer="best")), 0.1),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_planners_find_the_way_through(name, seed):
    planner, tolerance = CASES[name]
    start = WORLD.start(Prompt(batch_size=4), seeded(0))
    plan = planner.plan(WORLD, start, OBJECTIVE, seeded(seed))
    states = WORLD.rollout(start, plan.actions, seeded(0))
    path = torch.stack([start.x] + [state.x for state in states], dim=1)
    torch.testing.assert_close(path[:, 1:] - path[:, :-1], plan.actions, atol=1e-6, rtol=0.0)  # the wall was never touched
    assert ((path[:, -1] - OBJECTIVE.goal).norm(dim=-1) < 0.05).all()
    excess = plan.cost / OPTIMUM - 1.0
    assert (excess > -1e-4).all() and (excess < tolerance).all(), f"{name}: {excess.tolist()}"


def test_the_straight_way_is_barred():
    start = WORLD.start(Prompt(), seeded(0))
    straight = torch.tensor([0.12, 0.0]).expand(1, STEPS, 2)
    end = WORLD.rollout(start, straight, seeded(0))[-1]
    assert end.x[0, 0] < 0
    assert AT_THE_WALL > 10 * OPTIMUM, "giving up at the wall must not look good"


# Charged instead of barred, 20 (0.3 - h)^2 for passing the line at height h: then L(h)^2 = 4 (0.36 + h^2), and d cost / d h = 0 gives h.
HEIGHT = 0.3 * 2 * ThroughTheGap.price / (2 * ThroughTheGap.price + 8 * OBJECTIVE.weight / (1.0 + OBJECTIVE.weight * STEPS))
SOFT_OPTIMUM = 4 * (0.36 + HEIGHT**2) * OBJECTIVE.weight / (1.0 + OBJECTIVE.weight * STEPS) + ThroughTheGap.price * (0.3 - HEIGHT) ** 2


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_gradient_planner_finds_the_way_where_the_wall_is_soft(seed):
    """A hard wall has no gradient along itself, so for descent its price grows with the distance from the gap."""
    world, start = OpenWorld(), WORLD.start(Prompt(batch_size=4), seeded(0))
    planner = GradientPlanner(GradientConfig(horizon=STEPS, starts=4, iterations=200, learning_rate=0.05))
    plan = planner.plan(world, start, ThroughTheGap(), seeded(seed))
    states = world.rollout(start, plan.actions, seeded(0))
    heights = ThroughTheGap().heights(states, plan.actions)
    assert (torch.isfinite(heights).sum(dim=1) == 1).all(), "the line is crossed once"
    assert (heights.nan_to_num(nan=0.0).sum(dim=1) - HEIGHT).abs().max() < 0.01
    excess = plan.cost / SOFT_OPTIMUM - 1.0
    assert (excess > -1e-4).all() and (excess < 0.02).all(), excess.tolist()
