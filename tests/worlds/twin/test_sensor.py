"""Sensors: how much noise there is at which brightness, and how levels are cut off."""

import numpy as np
import pytest

from armillary.worlds.twin.sensor import Sensor


def grey(level: int) -> np.ndarray:
    return np.full((150, 150, 3), level, dtype=np.uint8)


@pytest.mark.parametrize(("level", "deviation"), [(30, 0.03), (120, 0.03), (120, 0.0)])
def test_the_variance_of_shot_noise_grows_with_the_brightness(level, deviation):
    found = Sensor(read_noise=deviation, shot_noise=0.05).expose(grey(level), np.random.default_rng(0)).astype(float)
    expected = np.sqrt((255 * deviation) ** 2 + 255**2 * 0.05**2 * level / 255 + 1 / 12)  # and that of whole levels
    assert found.mean() == pytest.approx(level, abs=0.15) and found.std() == pytest.approx(expected, rel=0.02)


def test_read_noise_is_the_same_everywhere_and_does_not_wrap_around():
    for level in (80, 160):
        found = Sensor(read_noise=0.02).expose(grey(level), np.random.default_rng(0)).astype(float)
        assert found.std() == pytest.approx(0.02 * 255, rel=0.02) and found.mean() == pytest.approx(level, abs=0.1)
    black, white = (Sensor(read_noise=0.05).expose(grey(level), np.random.default_rng(0)) for level in (0, 255))
    assert black.max() < 90 and white.min() > 165


def test_gains_are_each_channels_own_and_cut_off_at_white():
    found = Sensor(gains=(1.5, 1.0, 0.5)).expose(grey(200), np.random.default_rng(0))
    assert (found == (255, 200, 100)).all()


def test_a_perfect_sensor_changes_nothing():
    picture = grey(77)
    assert Sensor().expose(picture, np.random.default_rng(0)) is picture
