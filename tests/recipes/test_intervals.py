"""Intervals over seeds and episodes, against closed forms and a plain loop."""

import numpy as np
import pytest

from recipes.intervals import r2_difference, r2_over_seeds_and_episodes, ratio_over_seeds_and_episodes


def drawn(seed: int, noise: float) -> np.ndarray:
    """[squared errors, squared distances] of 3 seeds and 8 episodes; the episodes' difficulty is shared by all with one `seed`."""
    draw = np.random.default_rng(seed)
    spread = np.broadcast_to(draw.uniform(1.0, 5.0, size=8), (3, 8))
    return np.stack([spread * (noise + 0.02 * draw.random((3, 8))), spread], axis=1)


def test_r2_is_of_all_windows_together():
    values = drawn(0, 0.4)
    found = r2_over_seeds_and_episodes(values)
    assert found.value == pytest.approx(1 - values[:, 0].sum() / values[:, 1].sum())
    assert found.low < found.value < found.high and found.n == 8


def test_the_same_draws_are_taken_on_both_sides():
    worse, better = drawn(0, 0.4), drawn(0, 0.4)
    better[:, 0] -= 0.1 * better[:, 1]  # better by 0.1 in every seed and episode: nothing is uncertain about the difference
    found = r2_difference(better, worse)
    assert (found.value, found.low, found.high) == pytest.approx((0.1, 0.1, 0.1))


def test_a_difference_in_one_episode_alone_is_not_clear():
    first, second = drawn(0, 0.4), drawn(0, 0.4)
    first[:, 0, 2] = 0.0
    found = r2_difference(first, second)
    assert found.value > 0 and found.low <= 1e-12


def test_a_ratio_takes_the_same_draws_on_both_sides():
    errors = drawn(0, 0.4)[:, 0]
    half = ratio_over_seeds_and_episodes(0.5 * errors, errors)
    assert (half.value, half.low, half.high, half.n) == pytest.approx((0.5, 0.5, 0.5, 8))
    unlike = ratio_over_seeds_and_episodes(drawn(1, 0.4)[:, 0], errors)
    assert unlike.low < unlike.value < unlike.high
    assert unlike.value == pytest.approx(drawn(1, 0.4)[:, 0].mean() / errors.mean())
