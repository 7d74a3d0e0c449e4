"""The inverse-dynamics round trip on a world whose truth is known by hand."""

from dataclasses import replace

import numpy as np
import pytest

from armillary.core import DataError
from armillary.evaluate.inverse_dynamics import ProbeConfig, evaluate_inverse_dynamics, fit_probe
from tests.evaluate.toy import CAMERA, Levels, walk

HELD_OUT = [walk(index) for index in range(100, 105)]


@pytest.fixture(scope="module")
def probe():
    return fit_probe([walk(index) for index in range(20)], camera=CAMERA, config=ProbeConfig(steps=70, batch_size=24))


@pytest.fixture(scope="module")
def result(probe):
    return evaluate_inverse_dynamics(Levels(), probe, HELD_OUT, camera=CAMERA)


def test_a_perfect_dream_reads_like_reality_and_wrong_actions_do_not(result):
    ceiling, dreamed = result.r2("state", "real", 2.0), result.r2("state", "model", 2.0)
    assert ceiling.value > 0.9 and ceiling.n == 5
    assert dreamed.value == pytest.approx(ceiling.value, abs=0.02)
    assert result.r2_gain("state", "model", "copy_last", 2.0).low > 0.05
    assert result.r2_gain("state", "model", "shuffled_actions", 2.0).low > 0.05


def test_the_action_is_read_from_the_pair_that_it_joins(result):
    # A frozen picture says "no action" whatever was done: no better than the mean.
    assert result.r2("action", "copy_last", 1.0).value < 0.1


def test_a_world_that_ignores_its_actions_reads_like_a_frozen_picture(probe):
    found = evaluate_inverse_dynamics(Levels(obeys=0.0), probe, HELD_OUT, camera=CAMERA)
    for target in ("state", "action"):
        assert found.r2_gain(target, "model", "shuffled_actions", 1.0).high == pytest.approx(0.0, abs=1e-3)
        assert found.r2_gain(target, "model", "copy_last", 1.0).value == pytest.approx(0.0, abs=1e-3)


def test_rows_have_the_documented_form(result):
    rows = result.rows()
    assert {tuple(row) for row in rows} == {("metric", "horizon_s", "subject", "value", "low", "high", "n")}
    assert {row["subject"] for row in rows if row["metric"] == "idm_state_r2"} == {"real", "model", "shuffled_actions", "copy_last"}
    assert all(row["low"] <= row["value"] <= row["high"] for row in rows)


def test_targets_are_aligned_by_hand(probe):
    episode = HELD_OUT[0]
    truth = probe.targets.of(episode) * probe.targets.std + probe.targets.mean
    assert np.allclose(truth[7], [episode.state[8, 0], episode.actions[7, 0]], atol=1e-5)


def test_without_state_only_actions_are_read():
    blind = [replace(walk(index), state=None) for index in range(2)]
    assert set(fit_probe(blind, camera=CAMERA, config=ProbeConfig(steps=1)).targets.parts) == {"action"}


def test_nothing_to_read_is_an_error():
    still = replace(walk(0), state=None, actions=np.zeros_like(walk(0).actions))
    with pytest.raises(DataError, match="nothing for the probe to read"):
        fit_probe([still], camera=CAMERA, config=ProbeConfig(steps=1))


def test_the_probe_repeats_from_its_seed():
    one, two = (fit_probe([walk(0)], camera=CAMERA, config=ProbeConfig(steps=3), seed=4) for _ in range(2))
    assert all((a == b).all() for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True))
