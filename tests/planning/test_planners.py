"""What holds for every planner: bounds, blocks, seeds, warm starts, rows that ignore one another, chunks and compilation."""

import pytest
import torch

from armillary.core import ConfigError, Plan, Prompt, seeded
from armillary.planning import rollout
from armillary.planning.catalog import PLANNERS, build_planner, planner_config
from armillary.planning.categorical_cem import CategoricalCEM, CategoricalCEMConfig
from armillary.planning.icem import ICEM, ICEMConfig
from armillary.planning.objectives import NegativeReturn
from armillary.planning.warm_start import ElitePlan, shifted
from tests.core.counting import NoisyWorld
from tests.planning.worlds import LinearWorld, Point, Price, Quadratic, TableWorld, box_planners, true_cost

NAMES = tuple(box_planners(4))
START = torch.tensor([[1.0, -0.5, 0.0, 0.3], [-0.6, 0.8, 0.4, 0.0], [0.2, 1.0, -0.5, -0.5]])


@pytest.mark.parametrize("name", NAMES)
def test_bounds_and_blocks_are_kept(name):
    """Uneven bounds, far goals (so that the bounds matter), three block lengths."""
    world = LinearWorld(low=-0.2, high=0.7)
    for seed, block in enumerate((1, 2, 3)):
        start = Point(START * 10.0)
        plan = box_planners(4, block)[name].plan(world, start, Quadratic(), seeded(seed))
        assert plan.actions.shape == (3, 4 * block, 2)
        assert plan.actions.min() >= torch.tensor(-0.2) and plan.actions.max() <= torch.tensor(0.7)
        assert name == "random-shooting" or (plan.actions > 0.65).any() or (plan.actions < -0.18).any()
        blocks = plan.actions.unflatten(1, (4, block))
        assert (blocks == blocks[:, :, :1]).all()
        torch.testing.assert_close(plan.cost, true_cost(world, start, Quadratic(), plan))


@pytest.mark.parametrize("name", NAMES)
def test_the_seed_decides(name):
    world, start = LinearWorld(), Point(START)
    first, again, other = (box_planners(4)[name].plan(world, start, Quadratic(), seeded(seed)) for seed in (5, 5, 6))
    assert torch.equal(first.actions, again.actions) and torch.equal(first.cost, again.cost)
    assert not torch.equal(first.actions, other.actions)


@pytest.mark.parametrize("name", NAMES)
def test_rows_do_not_influence_one_another(name):
    world = LinearWorld()
    moved = START.clone()
    moved[0] = torch.tensor([-1.5, 1.5, 1.0, -1.0])
    planner = box_planners(4)[name]
    plan = planner.plan(world, Point(START), Quadratic(), seeded(0))
    changed = planner.plan(world, Point(moved), Quadratic(), seeded(0))
    assert not torch.equal(plan.actions[0], changed.actions[0])
    torch.testing.assert_close(plan.actions[1:], changed.actions[1:])


@pytest.mark.parametrize("name", [name for name in NAMES if name != "mppi"])
def test_a_warm_start_is_never_made_worse(name):
    """Started from a plan better than they could find in one go, they still end no dearer."""
    world, start = LinearWorld(), Point(START)
    good = box_planners(8, max_rows=10_000)["gradient"]
    for seed in range(3):
        rng = seeded(seed)
        warm = good.plan(world, start, Quadratic(), rng, good.plan(world, start, Quadratic(), rng))
        plan = box_planners(8)[name].plan(world, start, Quadratic(), rng, Plan(warm.actions, warm.cost))
        assert (plan.cost <= warm.cost * (1 + 1e-5)).all()


@pytest.mark.parametrize("name", ["cem", "icem", "mppi", "gradient"])
def test_a_warm_start_helps(name):
    """After five steps of control, a plan begun each time from the last one is cheaper than one begun from nothing."""
    world, warm_total, cold_total = LinearWorld(), 0.0, 0.0
    for seed in range(3):
        rng, state = seeded(seed), Point(START)
        planner = box_planners(8)[name]
        plan = planner.plan(world, state, Quadratic(), rng)
        for _ in range(5):
            state = world.step(state, plan.actions[:, 0], rng)
            plan = planner.plan(world, state, Quadratic(), rng, shifted(plan, 1))
        warm_total += float(plan.cost.sum())
        cold_total += float(planner.plan(world, state, Quadratic(), rng).cost.sum())
    assert warm_total < cold_total


def test_a_discrete_warm_start_is_kept_unless_bettered():
    world = TableWorld(0, first=1)
    state = world.start(Prompt(batch_size=12), seeded(0))
    good = CategoricalCEM(CategoricalCEMConfig(horizon=6, samples=200, elites=20, iterations=6)).plan(world, state, Price(), seeded(0))
    weak = CategoricalCEM(CategoricalCEMConfig(horizon=6, samples=2, elites=1, iterations=1, warm_share=0.0))
    assert (weak.plan(world, state, Price(), seeded(1), good).cost <= good.cost).all()
    assert not (weak.plan(world, state, Price(), seeded(1)).cost <= good.cost).all()


def test_shifting_drops_what_is_done():
    actions = torch.arange(12.0).reshape(1, 6, 2)
    plan = ElitePlan(actions, torch.zeros(1), actions[:, None].repeat(1, 3, 1, 1))
    left = shifted(plan, 2)
    assert isinstance(left, ElitePlan)
    torch.testing.assert_close(left.actions, actions[:, 2:])
    torch.testing.assert_close(left.elites[:, 2], actions[:, 2:])
    assert shifted(plan, 6) is None
    with pytest.raises(ValueError, match="received 7"):
        shifted(plan, 7)


def test_icem_takes_over_the_elites():
    """With one candidate drawn near nothing, the answer can only come from the elites handed over."""
    world, start = LinearWorld(), Point(START[:1])
    good = box_planners(8)["gradient"].plan(world, start, Quadratic(), seeded(0))
    bad = Plan(torch.full_like(good.actions, 2.0), good.cost)
    planner = ICEM(ICEMConfig(horizon=8, samples=2, elites=1, iterations=1, initial_std=1e-3, keep=1.0))
    without = planner.plan(world, start, Quadratic(), seeded(0), bad)
    handed = planner.plan(world, start, Quadratic(), seeded(0), ElitePlan(bad.actions, bad.cost, good.actions[:, None]))
    torch.testing.assert_close(handed.actions, good.actions)
    assert without.cost > 2 * handed.cost


@pytest.mark.parametrize("name", NAMES)
def test_chunks_change_nothing(name):
    world, start = LinearWorld(), Point(START)
    whole = box_planners(4)[name].plan(world, start, Quadratic(), seeded(0))
    for max_rows in (1, 7, 100):
        part = box_planners(4, max_rows=max_rows)[name].plan(world, start, Quadratic(), seeded(0))
        torch.testing.assert_close(part.actions, whole.actions, atol=1e-5, rtol=1e-5)


def test_chunks_bound_the_rows():
    rows = []

    class Watched(LinearWorld):
        def step(self, state, action, rng):
            rows.append(len(action))
            return super().step(state, action, rng)

    box_planners(4, max_rows=50)["cem"].plan(Watched(), Point(START), Quadratic(), seeded(0))
    assert max(rows) == 48  # 16 samples of each of 3 episodes


@pytest.mark.parametrize("name", ["cem", "gradient"])
def test_compiled_rollouts_agree(name, monkeypatch):
    """The graph is really traced; only the code generator, which takes a minute, is left out."""
    traced, real_compile = [], torch.compile
    monkeypatch.setattr(rollout.torch, "compile", lambda step: traced.append(step) or real_compile(step, backend="aot_eager"))
    world, start = LinearWorld(), Point(START)
    plain = box_planners(4)[name].plan(world, start, Quadratic(), seeded(0))
    planner = box_planners(4, compile=True)[name]
    for _ in range(2):
        compiled = planner.plan(world, start, Quadratic(), seeded(0))
        torch.testing.assert_close(compiled.actions, plain.actions, atol=1e-5, rtol=1e-5)
    assert len(traced) == 1


def test_nothing_reaches_the_weights_or_the_state():
    """Planning leaves no gradient in a world and writes to no state."""
    world = LinearWorld()
    world.a = torch.nn.Parameter(world.a)
    start = Point(START.clone())
    for name, planner in box_planners(3).items():
        plan = planner.plan(world, start, Quadratic(), seeded(0))
        assert world.a.grad is None, name
        assert not plan.actions.requires_grad and not plan.cost.requires_grad, name
        assert torch.equal(start.x, START)


def test_a_noisy_world_can_be_planned_in():
    world = NoisyWorld()
    state = world.start(Prompt(batch_size=2), seeded(0))
    for name, planner in box_planners(4).items():
        plan = planner.plan(world, state, NegativeReturn(), seeded(0))
        again = planner.plan(world, state, NegativeReturn(), seeded(0))
        assert torch.equal(plan.actions, again.actions), name


def test_the_catalog_knows_each_by_name():
    for name, planner in PLANNERS.items():
        assert type(planner_config(name)) is planner.Config
        assert type(build_planner(name)) is planner
        other = "mppi" if name == "cem" else "cem"
        with pytest.raises(ConfigError, match=f"takes a {planner.Config.__name__}"):
            build_planner(name, planner_config(other))
