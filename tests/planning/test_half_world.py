"""Imagining in 16 bits: nearly the same costs, with the weights of now, and nothing of the world itself is changed."""

import pytest
import torch
from torch import nn

from armillary.core import ConfigError, seeded
from armillary.planning.cem import CEM, CEMConfig
from armillary.planning.gradient import GradientConfig, GradientPlanner
from armillary.planning.half_world import HalfWorld
from armillary.planning.rollout import Rollouts
from tests.planning.worlds import LinearWorld, Point, Quadratic, true_cost

START = Point(torch.tensor([[1.0, -0.5, 0.0, 0.3], [-0.6, 0.8, 0.4, 0.0]]))


class WeightedWorld(LinearWorld, nn.Module):
    """LinearWorld, its matrices being weights."""

    def __init__(self):
        nn.Module.__init__(self)
        LinearWorld.__init__(self)
        a, b = self.__dict__.pop("a"), self.__dict__.pop("b")
        self.a, self.b = nn.Parameter(a), nn.Parameter(b)
        self.register_buffer("count", torch.tensor([3]))


def costs(world, precision: str, rollouts: Rollouts | None = None) -> torch.Tensor:
    actions = torch.randn(2, 50, 6, 2, generator=seeded(0))
    rollouts = rollouts or Rollouts(max_rows=1000, precision=precision)
    return rollouts.costs(world, START, Quadratic(), actions, seeded(0))


def test_costs_have_about_three_digits():
    single, half = (costs(WeightedWorld(), precision) for precision in ("fp32", "bf16"))
    assert single.dtype == half.dtype == torch.float32
    torch.testing.assert_close(half, single, rtol=0.03, atol=0.0)
    assert not torch.equal(half, single), "nothing was imagined in 16 bits"


def test_plans_are_as_good():
    for planner in (CEM, GradientPlanner):
        settings = {"horizon": 8, "iterations": 20}
        kind = CEMConfig if planner is CEM else GradientConfig
        found = {}
        for precision in ("fp32", "bf16"):
            plan = planner(kind(**settings, precision=precision)).plan(WeightedWorld(), START, Quadratic(), seeded(0))
            assert plan.actions.dtype == torch.float32
            found[precision] = true_cost(WeightedWorld(), START, Quadratic(), plan)
        assert (found["bf16"] < 1.02 * found["fp32"]).all(), planner


def test_the_copy_follows_the_weights_and_leaves_them_alone():
    world, rollouts = WeightedWorld(), Rollouts(max_rows=1000, precision="bf16")
    before = {name: one.clone() for name, one in world.state_dict().items()}
    first = costs(world, "bf16", rollouts)
    assert all(torch.equal(before[name], one) and before[name].dtype == one.dtype for name, one in world.state_dict().items())
    with torch.no_grad():
        world.b.mul_(2.0)
    changed = costs(world, "bf16", rollouts)
    assert not torch.allclose(first, changed, rtol=0.05)
    torch.testing.assert_close(changed, costs(world, "bf16"), rtol=0, atol=0)
    assert all(one.requires_grad for one in world.parameters())


def test_another_world_gets_a_copy_of_its_own():
    half, one, other = HalfWorld(), WeightedWorld(), WeightedWorld()
    with torch.no_grad():
        other.b.mul_(2.0)
    assert torch.equal(half.of(one).b * 2, half.of(other).b)
    assert half.of(other).count.dtype == torch.long and half.of(other).a.dtype == torch.bfloat16


def test_a_world_without_weights_is_refused():
    with pytest.raises(ConfigError, match="LinearWorld has not; use planner"):
        costs(LinearWorld(), "bf16")
    with pytest.raises(ConfigError, match=r"planner.precision must .*received 'fp8'"):
        CEMConfig(precision="fp8")
