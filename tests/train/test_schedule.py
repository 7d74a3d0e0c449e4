"""Where phases begin, and the learning rate within them."""

import math
from itertools import pairwise

import pytest

from armillary.core import ConfigError, Phase, WorldError
from armillary.train import TrainConfig
from armillary.train.schedule import lay_out, learning_rate, mixed_seed


def phases(*shares: float) -> tuple[Phase, ...]:
    return tuple(Phase(name=f"p{i}", share=share, batch_size=2, num_frames=3, learning_rate=0.1) for i, share in enumerate(shares))


def test_phases_follow_one_another_without_gap():
    laid = lay_out(phases(0.15, 0.25, 0.6), 1001)
    assert [(s.first_step, s.last_step) for s in laid] == [(0, 150), (150, 400), (400, 1001)]


def test_thirds_sum_to_one():
    assert lay_out(phases(1 / 3, 1 / 3, 1 / 3), 10)[-1].last_step == 10


@pytest.mark.parametrize("shares", [(), (0.5,), (0.5, 0.6)])
def test_shares_that_do_not_sum_to_one_are_refused(shares):
    with pytest.raises(WorldError, match="sum to 1"):
        lay_out(phases(*shares), 10)


@pytest.mark.parametrize(
    ("shares", "steps", "borders"), [((0.01, 0.99), 8, [1, 8]), ((0.99, 0.01), 8, [7, 8]), ((0.9, 0.05, 0.05), 3, [1, 2, 3])]
)
def test_every_phase_gets_a_step(shares, steps, borders):
    assert [stretch.last_step for stretch in lay_out(phases(*shares), steps)] == borders


def test_fewer_steps_than_phases_are_refused():
    with pytest.raises(ConfigError, match=r"steps = 1 is too few.*p0, p1"):
        lay_out(phases(0.1, 0.9), 1)


def test_the_rate_warms_up_and_falls_to_zero_in_each_phase():
    config = TrainConfig(steps=100, warmup_steps=10, learning_rate_scale=2.0)
    laid = lay_out(phases(0.4, 0.6), 100)[1]
    rates = [learning_rate(laid, step, config) for step in range(40, 100)]
    assert rates[:10] == pytest.approx([0.02 * (i + 1) for i in range(10)])
    assert rates[10] == pytest.approx(0.2)
    assert rates[35] == pytest.approx(0.1)  # half-way through the cosine
    assert rates[59] == pytest.approx(0.1 * (1 + math.cos(math.pi * 49 / 50)))
    assert all(a > b for a, b in pairwise(rates[10:]))


def test_a_constant_rate_stays():
    config = TrainConfig(warmup_steps=0, schedule="constant")
    assert {learning_rate(lay_out(phases(1.0), 50)[0], step, config) for step in range(50)} == {0.1}


def test_seeds_do_not_collide_and_do_not_change():
    seeds = {mixed_seed(seed, what, step) for seed in range(10) for what in ("noise", "order") for step in range(100)}
    assert len(seeds) == 2000
    assert mixed_seed(0, "noise", 0) == 2015677924900976760  # runs made before must be resumed with the same noise
