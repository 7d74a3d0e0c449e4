"""Coloured noise: unit variance, and power that falls as it should."""

import pytest
import torch

from armillary.core import seeded
from armillary.planning.coloured_noise import coloured_noise


@pytest.mark.parametrize("horizon", [1, 2, 7, 16])
@pytest.mark.parametrize("exponent", [0.0, 2.0])
def test_each_number_has_unit_variance(horizon, exponent):
    noise = coloured_noise((2, 5000, horizon, 2), exponent, seeded(0))
    assert noise.shape == (2, 5000, horizon, 2)
    std, mean = torch.std_mean(noise.double(), dim=(0, 1, 3))  # 20,000 numbers each: standard errors 0.005 and 0.007
    torch.testing.assert_close(std, torch.ones_like(std), atol=0.03, rtol=0.0)
    torch.testing.assert_close(mean, torch.zeros_like(mean), atol=0.03, rtol=0.0)


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
def test_power_falls_with_frequency(exponent):
    noise = coloured_noise((1, 4000, 32, 1), exponent, seeded(1))[0, :, :, 0].double()
    power = torch.fft.rfft(noise, dim=-1).abs().square().mean(dim=0)[1:-1]
    frequency = torch.fft.rfftfreq(32)[1:-1].double()
    expected = frequency.pow(-exponent)
    torch.testing.assert_close(power / power.sum(), expected / expected.sum(), rtol=0.1, atol=0.0)


def test_white_noise_is_independent_in_time():
    noise = coloured_noise((1, 20_000, 6, 1), 0.0, seeded(2))[0, :, :, 0].double()
    torch.testing.assert_close(noise.T @ noise / 20_000, torch.eye(6).double(), atol=0.04, rtol=0.0)


def test_no_candidates_are_no_error():
    assert coloured_noise((3, 0, 4, 2), 2.0, seeded(0)).shape == (3, 0, 4, 2)
