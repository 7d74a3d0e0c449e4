"""The rival planner is given the same question as ours, and a word when it is missing."""

import importlib.util
import sys

import pytest
import torch

from armillary.core import ConfigError, seeded
from armillary.planning.objectives import GoalEmbedding
from armillary.planning.rollout import Rollouts
from armillary.worlds.jepa.end_to_end_world import EndToEndState
from benchmarks import planning_cost
from tests.worlds.jepa.small_end_to_end import SHAPE, SIDE, small_world


def test_the_cost_model_costs_what_our_rollouts_do():
    world = small_world().eval().requires_grad_(False)
    rng = seeded(0)
    pictures, goals = torch.rand(2, 3, SIDE, SIDE, generator=rng), torch.randn(2, 8, generator=rng)
    units = torch.randn(2, 5, 4, SHAPE.action_size, generator=rng)
    info = {"pixels": pictures[:, None, None].expand(-1, 5, -1, -1, -1, -1), "goal_emb": goals[:, None].expand(-1, 5, -1)}
    model = planning_cost.CostModel(world)
    theirs = model.get_cost(info, units)
    state = EndToEndState(world.encode(pictures[:, None])[:, 0], torch.zeros(2, 0))
    actions = units * torch.tensor(SHAPE.action_std) + torch.tensor(SHAPE.action_mean)
    ours = Rollouts(max_rows=100).costs(world, state, GoalEmbedding(goals), actions, rng)
    torch.testing.assert_close(theirs, ours, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(theirs[0], theirs[1]), "each episode has its own picture and goal"
    world.encode = None  # what was seen is encoded once a solve
    torch.testing.assert_close(model.get_cost(info, units), theirs)


def test_seconds_become_ratios_within_rounds():
    def taken(ours: float, theirs: float, inverse: float) -> dict:
        seconds = {planning_cost.OURS: ours, planning_cost.HALF: ours / 2, planning_cost.THEIRS: theirs, planning_cost.INVERSE: inverse}
        return {"1 episode": {who: (value, 5.0) for who, value in seconds.items()}}

    rows = planning_cost.rows_of([taken(1.0, 2.0, 0.01), taken(3.0, 4.0, 0.03)])
    ratios = {one["subject"]: one["value"] for one in rows if one["unit"] == "x"}
    assert ratios == {
        f"{planning_cost.OURS} / {planning_cost.THEIRS}": pytest.approx(0.625),
        f"{planning_cost.HALF} / {planning_cost.THEIRS}": pytest.approx(0.3125),
        f"{planning_cost.INVERSE} / {planning_cost.OURS}": pytest.approx(0.01),
        f"{planning_cost.INVERSE} / {planning_cost.HALF}": pytest.approx(0.02),
    }


def test_a_missing_rival_is_said(monkeypatch):
    monkeypatch.delitem(sys.modules, "stable_worldmodel", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pip install --no-deps"):
        planning_cost.load_solver()
