"""The bootstrap interval covers what it says it covers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from armillary.core import bootstrap


def test_the_interval_covers_the_true_mean_about_as_often_as_it_says():
    chance = np.random.default_rng(0)
    covered = [
        estimate.low <= 3.0 <= estimate.high
        for estimate in (bootstrap(chance.normal(3.0, 2.0, size=30).tolist(), resamples=600, seed=seed) for seed in range(400))
    ]
    assert 0.90 <= np.mean(covered) <= 0.98


def test_a_wider_level_gives_a_wider_interval():
    values = np.random.default_rng(1).normal(size=20).tolist()
    narrow, wide = bootstrap(values, level=0.5), bootstrap(values, level=0.99)
    assert wide.low < narrow.low < narrow.high < wide.high


def test_the_interval_shrinks_with_the_square_root_of_n():
    chance = np.random.default_rng(2)
    few, many = (bootstrap(chance.normal(size=n).tolist()) for n in (25, 400))
    assert (few.high - few.low) / (many.high - many.low) == pytest.approx(4.0, rel=0.35)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=12))
def test_the_value_is_the_mean_and_lies_inside(values):
    estimate = bootstrap(values, resamples=50)
    assert estimate.value == pytest.approx(np.mean(values))
    assert min(values) - 1e-6 <= estimate.low <= estimate.high <= max(values) + 1e-6
    assert estimate.n == len(values)


def test_the_same_seed_gives_the_same_interval():
    assert bootstrap([1.0, 2.0, 5.0], seed=3) == bootstrap([1.0, 2.0, 5.0], seed=3)


@pytest.mark.parametrize("values", [[], [1.0, float("nan")], [float("inf")]])
def test_what_has_no_mean_is_refused(values):
    with pytest.raises(ValueError, match="bootstrap needs"):
        bootstrap(values)
