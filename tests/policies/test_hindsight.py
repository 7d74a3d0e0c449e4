"""Goals in hindsight: every pair lies in its window, and distances are distributed as said."""

import pytest
import torch

from armillary.core import seeded
from armillary.policies.hindsight import draw_pairs, steps_to_goal


@pytest.mark.parametrize("discount", [1.0, 0.8])
@pytest.mark.parametrize(("num_frames", "goal_steps"), [(7, 6), (9, 4), (5, 30), (2, 1)])
def test_pairs_lie_in_the_window(num_frames, goal_steps, discount):
    times, steps = draw_pairs(300, num_frames, 4, goal_steps=goal_steps, discount=discount, rng=seeded(0))
    longest = min(goal_steps, num_frames - 1)
    assert times.shape == steps.shape == (300, 4)
    assert times.min() == 0 and (times + steps).max() == num_frames - 1, "both ends of the window are used"
    assert steps.min() == 1 and steps.max() == longest
    both = {(t, k) for t, k in zip(times.flatten().tolist(), steps.flatten().tolist(), strict=True)}
    assert both == {(t, k) for k in range(1, longest + 1) for t in range(num_frames - k)}, "every pair that fits can be drawn, no other"


@pytest.mark.parametrize("discount", [1.0, 0.9, 0.5])
def test_distances_have_the_stated_distribution(discount):
    uniform = (torch.arange(100_000, dtype=torch.float64) + 0.5) / 100_000
    counted = torch.bincount(steps_to_goal(uniform, 8, discount), minlength=9)[1:] / 100_000
    wanted = discount ** torch.arange(8, dtype=torch.float64)
    torch.testing.assert_close(counted.double(), wanted / wanted.sum(), atol=2e-5, rtol=0)


def test_the_ends_of_the_uniform_range_stay_in_reach():
    for discount in (1.0, 0.9):
        assert steps_to_goal(torch.tensor([0.0, 1.0 - 2**-24]), 5, discount).tolist() == [1, 5]


def test_far_goals_are_not_rarer_than_near_ones():
    _, steps = draw_pairs(4000, 11, 5, goal_steps=10, discount=1.0, rng=seeded(1))
    shares = torch.bincount(steps.flatten(), minlength=11)[1:] / 20_000
    assert (shares - 0.1).abs().max() < 0.01
