"""The linear-quadratic regulator: the best plan is a closed form, and every continuous planner comes near it."""

import pytest
import torch

from armillary.core import seeded
from armillary.planning.cem import CEM, CEMConfig
from armillary.planning.gradient import GradientConfig, GradientPlanner
from armillary.planning.icem import ICEM, ICEMConfig
from armillary.planning.mppi import MPPI, MPPIConfig
from armillary.planning.random_shooting import RandomShooting, RandomShootingConfig
from tests.planning.worlds import LinearWorld, Point, Quadratic, true_cost

HORIZON = 8
WORLD, OBJECTIVE = LinearWorld(), Quadratic()
START = torch.tensor([[0.8, -0.4, 0.0, 0.2], [-0.5, 0.6, 0.3, 0.0], [0.2, 0.8, -0.4, -0.4]])


def least_squares() -> tuple[torch.Tensor, torch.Tensor]:
    """The best actions `b t a` and their cost, in float64: u = -(G'QG + R)^-1 G'Q F x for states F x + G u."""
    a, b, x = WORLD.a.double(), WORLD.b.double(), START.double()
    power = [torch.linalg.matrix_power(a, t) for t in range(HORIZON + 1)]
    free = torch.cat(power[1:])
    zero = torch.zeros_like(b)
    forced = torch.cat([torch.cat([power[t - s] @ b if s <= t else zero for s in range(HORIZON)], 1) for t in range(HORIZON)])
    q = torch.diag(OBJECTIVE.q.double().repeat(HORIZON))
    hessian = forced.T @ q @ forced + OBJECTIVE.r * torch.eye(2 * HORIZON, dtype=torch.float64)
    actions = -torch.linalg.solve(hessian, forced.T @ q @ free @ x.T).T
    states = x @ free.T + actions @ forced.T
    cost = ((states @ q) * states).sum(-1) + OBJECTIVE.r * actions.square().sum(-1)
    return actions.unflatten(1, (HORIZON, 2)), cost


def riccati_cost() -> torch.Tensor:
    """The cost-to-go x' P x of the Riccati recursion, without the first state's own cost."""
    a, b, q = WORLD.a.double(), WORLD.b.double(), torch.diag(OBJECTIVE.q.double())
    p = torch.zeros_like(a)
    for _ in range(HORIZON):
        ahead = q + p  # the state after the step is the first that costs
        gain = torch.linalg.solve(OBJECTIVE.r * torch.eye(2, dtype=torch.float64) + b.T @ ahead @ b, b.T @ ahead @ a)
        p = a.T @ ahead @ (a - b @ gain)
    return ((START.double() @ p) * START.double()).sum(-1)


def test_the_two_closed_forms_agree():
    actions, cost = least_squares()
    torch.testing.assert_close(cost, riccati_cost())
    assert actions.abs().max() < 2.0, "the optimum must lie inside the bounds"


# How much dearer than the optimum a plan may be, as a share of the optimum's cost.
CASES = {
    "cem": (CEM(CEMConfig(horizon=HORIZON, samples=300, elites=30, iterations=15)), 0.01),
    "icem": (ICEM(ICEMConfig(horizon=HORIZON, samples=500, elites=50, iterations=20, noise_exponent=0.5, decay=1.02)), 0.01),
    "mppi": (MPPI(MPPIConfig(horizon=HORIZON, samples=300, elites=30, iterations=15, min_std=0.01)), 0.01),
    "gradient": (GradientPlanner(GradientConfig(horizon=HORIZON, starts=2, iterations=150)), 1e-5),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_planners_find_the_optimum(name, seed):
    planner, tolerance = CASES[name]
    plan = planner.plan(WORLD, Point(START), OBJECTIVE, seeded(seed))
    actions, optimum = least_squares()
    cost = true_cost(WORLD, Point(START), OBJECTIVE, plan)
    torch.testing.assert_close(plan.cost, cost)
    excess = cost.double() / optimum - 1.0
    assert (excess > -1e-6).all(), "nothing is cheaper than the optimum"
    assert (excess < tolerance).all(), f"{name}: {excess.tolist()}"
    if name == "gradient":
        torch.testing.assert_close(plan.actions.double(), actions, atol=0.02, rtol=0.0)


def test_shooting_is_not_enough():
    """The tolerance above means something: as many random plans are far from it."""
    plan = RandomShooting(RandomShootingConfig(horizon=HORIZON, samples=4500)).plan(WORLD, Point(START), OBJECTIVE, seeded(0))
    assert (plan.cost / least_squares()[1] - 1.0 > 0.1).all()


def test_at_a_bound_the_gradient_planner_rests_on_it():
    """With weak actions the best plan starts at the bound; the optimum of the bounded problem is found by projected descent."""
    world = LinearWorld(low=-0.5, high=0.25)
    plan = GradientPlanner(GradientConfig(horizon=HORIZON, starts=2, iterations=150)).plan(world, Point(START), OBJECTIVE, seeded(0))
    actions = torch.zeros(3, HORIZON, 2, requires_grad=True)
    for _ in range(800):
        cost = OBJECTIVE.cost(world, world.rollout(Point(START), actions, seeded(0)), actions).sum()
        actions = (actions - 0.05 * torch.autograd.grad(cost, actions)[0]).clamp(-0.5, 0.25).detach().requires_grad_(True)
    expected = OBJECTIVE.cost(world, world.rollout(Point(START), actions, seeded(0)), actions)
    assert (actions[0, 0] == torch.tensor([-0.5, 0.25])).all()
    torch.testing.assert_close(plan.cost, expected.detach(), rtol=1e-4, atol=0.0)
