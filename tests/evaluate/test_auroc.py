"""AUROC against counts by hand, ranks, and intervals whose coverage is known."""

import numpy as np
import pytest

from armillary.evaluate.auroc import auroc, auroc_over_scenes


@pytest.mark.parametrize(
    ("positive", "negative", "expected"),
    [
        ([2.0, 3.0], [0.0, 1.0], 1.0),
        ([0.0], [1.0, 2.0], 0.0),
        ([1.0, 1.0], [1.0], 0.5),
        ([0.1, 0.4, 0.4, 0.9], [0.4, 0.2, 0.5], (0 + 0 + 0 + 1.5 + 1.5 + 3) / 12),
    ],
)
def test_counts_by_hand(positive, negative, expected):
    assert auroc(np.array(positive), np.array(negative)) == pytest.approx(expected)


def test_it_is_the_rank_sum_and_only_order_matters():
    draw = np.random.default_rng(0)
    positive, negative = draw.normal(0.5, 1, 50), draw.normal(0, 1, 70)
    ranks = np.concatenate([positive, negative]).argsort().argsort()[:50] + 1
    assert auroc(positive, negative) == pytest.approx((ranks.sum() - 50 * 51 / 2) / (50 * 70))
    assert auroc(np.exp(positive), np.exp(negative)) == auroc(positive, negative)
    assert auroc(negative, positive) == pytest.approx(1 - auroc(positive, negative))


def test_over_scenes_the_value_is_the_mean_of_the_models():
    draw = np.random.default_rng(1)
    scene = np.arange(40) // 2
    positive, negative = [draw.normal(shift, 1, 40) for shift in (0.2, 2.0)], [draw.normal(0, 1, 40) for _ in range(2)]
    found = auroc_over_scenes(positive, negative, scene)
    assert found.value == pytest.approx(np.mean([auroc(p, n) for p, n in zip(positive, negative, strict=True)]))
    assert found.low < found.value < found.high and found.n == 20
    # scores of two models are never compared with each other
    moved = auroc_over_scenes([positive[0], positive[1] + 100], [negative[0], negative[1] + 100], scene)
    assert moved == found


def test_copies_within_a_scene_do_not_narrow_the_interval():
    draw = np.random.default_rng(2)
    positive, negative = draw.normal(1, 1, 60), draw.normal(0, 1, 60)
    once = auroc_over_scenes([positive], [negative], np.arange(60))
    thrice = auroc_over_scenes([positive.repeat(3)], [negative.repeat(3)], np.arange(60).repeat(3))
    assert (thrice.low, thrice.high) == pytest.approx((once.low, once.high)) and thrice.n == 60
    alone = auroc_over_scenes([positive.repeat(3)], [negative.repeat(3)], np.arange(180))
    assert alone.high - alone.low < 0.7 * (once.high - once.low)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    draw = np.random.default_rng(3)
    truth = 0.7602  # of N(1, 1) over N(0, 1): Phi(1 / sqrt 2)
    covered = 0
    for _ in range(100):
        found = auroc_over_scenes([draw.normal(1, 1, 40)], [draw.normal(0, 1, 40)], np.arange(40), resamples=400)
        covered += found.low <= truth <= found.high
    assert 86 <= covered <= 100


def test_a_perfect_score_and_chance():
    scene = np.arange(30)
    assert auroc_over_scenes([np.ones(30)], [np.zeros(30)], scene).low == pytest.approx(1.0)
    tied = auroc_over_scenes([np.ones(30)], [np.ones(30)], scene)
    assert (tied.low, tied.value, tied.high) == pytest.approx((0.5, 0.5, 0.5))


def test_scores_that_cannot_be_judged_are_refused():
    one = np.ones(3)
    with pytest.raises(ValueError, match="finite positive"):
        auroc(np.array([1.0, np.nan]), one)
    with pytest.raises(ValueError, match="at least one finite negative"):
        auroc(one, np.array([]))
    with pytest.raises(ValueError, match="one score a row"):
        auroc_over_scenes([one], [np.ones(4)], np.arange(3))
    with pytest.raises(ValueError, match="as many models"):
        auroc_over_scenes([one], [], np.arange(3))
