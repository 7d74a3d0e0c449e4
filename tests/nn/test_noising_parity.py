"""Rectified flow and EDM with Euler's steps against diffusers' schedulers, on one denoiser: levels, one step, a whole trajectory."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from armillary.core import seeded
from armillary.nn.noising import Edm, RectifiedFlow
from armillary.nn.samplers import euler

TOLERANCE = 1e-5
STEPS = 7


@pytest.fixture(scope="module")
def diffusers():
    return pytest.importorskip("diffusers", reason="parity needs diffusers")


def denoiser(pictures: torch.Tensor, told: torch.Tensor) -> torch.Tensor:
    """Any smooth function of the pictures and their level."""
    return torch.tanh(0.7 * pictures + pictures.roll(1, dims=-1)) * torch.cos(told)[:, None]


def start(scale: float) -> torch.Tensor:
    return scale * torch.randn(3, 16, generator=seeded(0))


def close(found: torch.Tensor, expected: torch.Tensor) -> bool:
    return torch.allclose(found, expected.to(found.dtype), atol=TOLERANCE, rtol=TOLERANCE)


def test_edm_goes_the_way_of_their_euler_scheduler(diffusers):
    edm = Edm(data_std=0.5, most=80.0, least=0.002)
    theirs = diffusers.EDMEulerScheduler()
    theirs.set_timesteps(STEPS)
    assert close(edm.levels(STEPS), theirs.sigmas)
    noisy = start(80.0)
    expected = noisy
    for (now, then), told in zip(pairwise(edm.levels(STEPS)), theirs.timesteps, strict=True):
        level = now.expand(3)
        scaled = theirs.scale_model_input(expected, told)
        given, said = edm.tell(expected, level)
        assert close(given, scaled) and close(said, told.expand(3))
        stepped = theirs.step(denoiser(scaled, told.expand(3)), told, expected, return_dict=False)[0]
        assert close(expected + (then - now) * edm.slope(denoiser, expected, level), stepped)
        expected = stepped
    trajectory = euler(lambda x, level: edm.slope(denoiser, x, level), noisy, edm.levels(STEPS))
    assert close(trajectory, expected)


@pytest.mark.parametrize("shift", [1.0, 3.0, 5.0])
def test_rectified_flow_goes_the_way_of_their_euler_scheduler(diffusers, shift):
    """Their network says the velocity, ours the clean picture."""
    flow = RectifiedFlow(shift=shift)
    theirs = diffusers.FlowMatchEulerDiscreteScheduler(shift=shift)
    theirs.set_timesteps(sigmas=np.linspace(1.0, 1.0 / STEPS, STEPS).tolist())
    levels = flow.levels(STEPS)
    assert close(levels, theirs.sigmas)
    noisy = start(1.0)
    expected = noisy
    for level, (now, then), time in zip(theirs.sigmas, pairwise(levels), theirs.timesteps, strict=False):
        velocity = (expected - denoiser(expected, level.expand(3))) / level
        stepped = theirs.step(velocity, time, expected, return_dict=False)[0]
        assert close(expected + (then - now) * flow.slope(denoiser, expected, now.expand(3)), stepped)
        expected = stepped
    assert close(euler(lambda x, level: flow.slope(denoiser, x, level), noisy, levels), expected)
    clean, noise = start(1.0), torch.randn(3, 16, generator=seeded(1))
    mixed = theirs.scale_noise(clean, theirs.timesteps[:3], noise)
    assert close(flow.mix(clean, noise, levels[:3]), mixed)
