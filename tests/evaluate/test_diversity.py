"""Spread, skill and CRPS against closed forms of Gaussians; a world whose noise is right, too small, or none."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from armillary.core import ConfigError
from armillary.evaluate.diversity import evaluate_diversity, measure_spread, rank_histogram, spread_skill
from armillary.evaluate.result import Protocol
from tests.evaluate.toy import CAMERA, Level, Levels, walk

RNG = torch.Generator().manual_seed(0)


def gaussian(deviation: float, count: int):
    """Samples of N(0, deviation^2) beside a truth of N(0, 1)."""
    real = torch.randn(40, 5, 3, 16, 16, generator=RNG)
    return deviation * torch.randn(count, *real.shape, generator=RNG), real


@pytest.mark.parametrize("deviation", [0.5, 1.0, 2.0])
def test_gaussians_in_closed_form(deviation):
    samples, real = gaussian(deviation, 5)
    spread = measure_spread(samples, real)
    assert spread.variance.mean().item() == pytest.approx(deviation**2, rel=0.02)
    assert spread.squared_error.mean().item() == pytest.approx(1 + deviation**2 / 5, rel=0.02)
    # E|x - y| - E|x - x'| / 2 for independent Gaussians
    expected = np.sqrt(2 * (1 + deviation**2) / np.pi) - deviation / np.sqrt(np.pi)
    assert spread.crps.mean().item() == pytest.approx(expected, rel=0.02)
    ratio = spread_skill(spread.variance.mean().numpy(), spread.squared_error.mean().numpy(), 5)
    assert ratio == pytest.approx(deviation * np.sqrt((1 + 1 / 5) / (1 + deviation**2 / 5)), rel=0.02)


def test_the_crps_is_that_of_all_pairs():
    samples, real = gaussian(1.0, 4)
    pairs = (samples[:, None] - samples[None]).abs().sum(dim=(0, 1)) / (2 * 4 * 3)
    expected = ((samples - real).abs().mean(dim=0) - pairs).mean(dim=(2, 3, 4))
    assert torch.allclose(measure_spread(samples, real).crps, expected, atol=1e-6)


def test_ranks_are_flat_when_calibrated_and_a_u_when_over_confident():
    assert rank_histogram(*gaussian(1.0, 4)) == pytest.approx(0.2, abs=0.01)
    confident = rank_histogram(*gaussian(0.3, 4))
    assert confident[0] > 0.3 and confident[4] > 0.3 and confident[2] < 0.12
    assert rank_histogram(torch.zeros(3, 7), torch.zeros(7)) == pytest.approx(0.25)  # all alike: any rank


def test_one_answer_that_is_right_is_calibrated():
    assert spread_skill(np.array(0.0), np.array(0.0), 4) == 1.0
    assert spread_skill(np.array(0.0), np.array(1.0), 4) == 0.0
    assert spread_skill(np.array(1.0), np.array(0.0), 4) == np.inf


@dataclass
class Noisy(Levels):
    """Levels that take the actions to be noise of the deviation that the walks' actions have, times `share`."""

    share: float = 1.0

    def __post_init__(self):
        Levels.__init__(self, obeys=0.0)

    def step(self, state, action, rng):
        return Level(state.value + self.share * torch.randint(-6, 7, state.value.shape, generator=rng) / 255)


@pytest.mark.parametrize(("share", "low", "high"), [(1.0, 0.8, 1.25), (0.3, 0.2, 0.4), (0.0, 0.0, 0.0)])
def test_a_world_whose_noise_is_the_walks_is_calibrated(share, low, high):
    episodes = [walk(index) for index in range(24)]
    protocol = Protocol(context_s=0.1, horizon_s=0.4, starts_every_s=1.0)
    found = evaluate_diversity(Noisy(share=share), episodes, camera=CAMERA, protocol=protocol, num_samples=6)
    for horizon_s in (0.1, 0.4):
        assert low <= found.calibration("model", horizon_s).value <= high
    assert found.ranks.sum() == pytest.approx(1.0) and found.ranks.shape == (7,)
    if share == 1.0:
        assert found.crps("model", 0.4).value < 0.8 * found.crps("one_sample", 0.4).value
        assert {row["metric"] for row in found.rows()} == {"spread_skill", "crps"}
    if share == 0.0:  # single answers: the CRPS is the absolute error, and this one is copy-last
        assert found.crps("model", 0.4).value == pytest.approx(found.crps("copy_last", 0.4).value, rel=1e-4)


def test_one_sample_has_no_spread():
    with pytest.raises(ConfigError, match="at least two samples of each window, received 1"):
        measure_spread(*gaussian(1.0, 1))
    with pytest.raises(ConfigError, match="num_samples must be at least 2"):
        evaluate_diversity(Noisy(), [walk(0)], camera=CAMERA, num_samples=1)
