"""Wrong settings and worlds that do not fit: said before anything is rolled out, with what to do next."""

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch

from armillary.core import ConfigError, Plan, Prompt, WorldError, seeded
from armillary.planning.catalog import build_planner
from armillary.planning.categorical_cem import CategoricalCEM, CategoricalCEMConfig
from armillary.planning.cem import CEM, CEMConfig
from armillary.planning.gradient import GradientConfig
from armillary.planning.icem import ICEMConfig
from armillary.planning.mppi import MPPIConfig, path_weights
from armillary.planning.objectives import GoalEmbedding
from armillary.planning.random_shooting import RandomShootingConfig
from tests.planning.worlds import LinearWorld, Point, Price, Quadratic, TableWorld, box_planners

START = Point(torch.ones(2, 4))
BOX_NAMES = tuple(box_planners(3))


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (CEMConfig, {"horizon": 0}),
        (CEMConfig, {"block": 0}),
        (CEMConfig, {"max_rows": 0}),
        (CEMConfig, {"samples": 1}),
        (CEMConfig, {"elites": 301}),
        (CEMConfig, {"elites": 0}),
        (CEMConfig, {"iterations": 0}),
        (CEMConfig, {"momentum": 1.0}),
        (CEMConfig, {"initial_std": 0.0}),
        (CEMConfig, {"min_std": 1.0}),
        (CEMConfig, {"answer": "worst"}),
        (ICEMConfig, {"decay": 0.5}),
        (ICEMConfig, {"noise_exponent": -1.0}),
        (ICEMConfig, {"keep": 1.5}),
        (MPPIConfig, {"temperature": 0.0}),
        (MPPIConfig, {"temperature_unit": "kelvin"}),
        (GradientConfig, {"starts": 0}),
        (GradientConfig, {"learning_rate": 0.0}),
        (CategoricalCEMConfig, {"warm_share": 1.0}),
        (CategoricalCEMConfig, {"exploration": 1.5}),
        (RandomShootingConfig, {"samples": 0}),
    ],
)
def test_wrong_settings_are_named(kind, settings):
    name, value = next(iter(settings.items()))
    with pytest.raises(ConfigError, match=f"planner.{name} must .*received {value!r}"):
        kind(**settings)


@pytest.mark.parametrize("name", [name for name in BOX_NAMES if name != "random-shooting"])
def test_discrete_actions_are_refused_by_planners_of_boxes(name):
    world = TableWorld()
    state = world.start(Prompt(batch_size=2), seeded(0))
    with pytest.raises(WorldError, match=r"TableWorld has Discrete.*categorical_cem"):
        box_planners(3)[name].plan(world, state, Price(), seeded(0))


def test_a_box_is_refused_by_the_planner_of_discrete_actions():
    with pytest.raises(WorldError, match="needs a world with Discrete actions, LinearWorld has Box"):
        CategoricalCEM().plan(LinearWorld(), START, Quadratic(), seeded(0))


@pytest.mark.parametrize("name", BOX_NAMES)
def test_a_box_without_an_end_is_refused(name):
    world = LinearWorld()
    world.spec = replace(world.spec, action_space=gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float32))
    with pytest.raises(WorldError, match="finite bounds"):
        box_planners(3)[name].plan(world, START, Quadratic(), seeded(0))


@pytest.mark.parametrize("name", BOX_NAMES)
def test_a_state_that_is_not_a_number_is_found(name):
    broken = Point(torch.stack([torch.ones(4), torch.full((4,), torch.nan)]))
    with pytest.raises(WorldError, match="episode 1 of 2 has a finite cost"):
        box_planners(3)[name].plan(LinearWorld(), broken, Quadratic(), seeded(0))


class Cliff(LinearWorld):
    """Half of all actions lead to NaN."""

    def step(self, state, action, rng):
        moved = super().step(state, action, rng)
        return Point(torch.where(action[:, :1] > 0, torch.nan, moved.x))


@pytest.mark.parametrize("name", BOX_NAMES)
def test_plans_that_blow_up_are_avoided(name):
    """All but a few candidates cost NaN, fewer than there are elites: they must not spoil the mean."""
    plan = box_planners(3)[name].plan(Cliff(), START, Quadratic(), seeded(0))
    assert torch.isfinite(plan.cost).all() and torch.isfinite(plan.actions).all()
    assert (plan.actions[..., 0] <= 0).all()


def test_an_infinite_cost_weighs_nothing():
    weights = path_weights(torch.tensor([[1.0, 3.0, torch.inf]]), 1.0, "spread")
    torch.testing.assert_close(weights, torch.tensor([[1.0, torch.e**-2, 0.0]]))
    weights = path_weights(torch.tensor([[1.0, 3.0, torch.inf]]), 4.0, "cost")
    torch.testing.assert_close(weights, torch.tensor([[1.0, torch.e**-0.5, 0.0]]))


def test_no_gradient_is_named():
    class Steps(LinearWorld):
        def step(self, state, action, rng):
            return super().step(state, action.detach(), rng)

    with pytest.raises(WorldError, match="no gradient reaches the actions through Steps"):
        box_planners(3)["gradient"].plan(Steps(), START, GoalEmbedding(torch.zeros(4)), seeded(0))


@pytest.mark.parametrize("shape", [(3, 4, 2), (2, 4, 3), (2, 0, 2), (2, 4)])
def test_a_warm_start_of_something_else_is_refused(shape):
    with pytest.raises(WorldError, match=r"warm start must hold actions \(2, t, 2\)"):
        CEM().plan(LinearWorld(), START, Quadratic(), seeded(0), Plan(torch.zeros(shape), torch.zeros(shape[0])))


def test_unknown_planners_get_a_hint():
    with pytest.raises(ConfigError, match="did you mean 'icem'"):
        build_planner("icmm")
    with pytest.raises(ConfigError, match="takes a CEMConfig, received a ICEMConfig"):
        build_planner("cem", ICEMConfig())
