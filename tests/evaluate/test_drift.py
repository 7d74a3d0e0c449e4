"""Drift of dreams that are exact, that fade, and that stand still."""

import pytest

from armillary.core import ConfigError, DataError
from armillary.evaluate.drift import better_until_s, evaluate_drift
from tests.evaluate.toy import CAMERA, Levels, walk

EPISODES = [walk(index, length=90) for index in range(6)]


class Fading(Levels):
    """Exact, but everything gets darker by 1 % a step."""

    def step(self, state, action, rng):
        return type(state)(0.99 * (state.value + action[:, 0]))


def test_an_exact_world_does_not_drift():
    found = evaluate_drift(Levels(), EPISODES, camera=CAMERA, trained_steps=4)
    assert found.num_steps == 40 and found.subjects == ("model", "copy_last")
    assert tuple(found.curves["sharpness"]) == ("model", "copy_last", "real")
    assert found.estimate("psnr", "model", 4.0).value > 90
    assert found.estimate("colour_shift", "model", 4.0).value == pytest.approx(0.0, abs=1e-5)
    for measure in ("motion", "sharpness"):
        assert found.estimate(measure, "model", 4.0).value == pytest.approx(found.estimate(measure, "real", 4.0).value, abs=1e-5)
    assert found.estimate("motion", "copy_last", 4.0).value == 0.0 < found.estimate("motion", "real", 4.0).value
    assert better_until_s(found) == pytest.approx(4.0)
    assert found.reported_s == pytest.approx((0.4, 1.0, 2.0, 4.0))


def test_a_world_that_fades_is_found_out_by_its_colours():
    found = evaluate_drift(Fading(), EPISODES, camera=CAMERA, trained_steps=4)
    shifts = [found.estimate("colour_shift", "model", horizon_s).value for horizon_s in found.reported_s]
    assert shifts == sorted(shifts) and shifts[-1] > 5 * shifts[0]
    assert 0.0 <= better_until_s(found) < 4.0


def test_what_is_too_short_is_refused():
    with pytest.raises(DataError, match="no held-out episode has the 401 steps"):
        evaluate_drift(Levels(), EPISODES, camera=CAMERA, trained_steps=40)
    with pytest.raises(ConfigError, match="at least 1, received 0 and 10"):
        evaluate_drift(Levels(), EPISODES, camera=CAMERA, trained_steps=0)
