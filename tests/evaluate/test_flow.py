"""Optical flow on motion that is known exactly."""

import pytest
import torch

from armillary.evaluate.baselines import constant_velocity
from armillary.evaluate.flow import blur, estimate_flow, sample


def pattern(shift_x: float, shift_y: float, size: int = 64) -> torch.Tensor:
    """A smooth texture moved to the right and down by so many pixels, analytically."""
    y, x = torch.meshgrid(torch.arange(size) - float(shift_y), torch.arange(size) - float(shift_x), indexing="ij")
    waves = [torch.sin(0.21 * x + 0.13 * y), torch.sin(0.31 * y - 0.11 * x + 1.0), torch.sin(0.17 * x + 0.23 * y + 2.0)]
    return (torch.stack(waves) + 1.5) / 3


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.4, -0.7), (2.5, 1.0), (-3.0, 4.0)])
def test_flow_finds_a_known_translation(shift):
    flow = estimate_flow(pattern(0, 0)[None], pattern(*shift)[None])[0]
    error = (flow - torch.tensor(shift)[:, None, None])[:, 12:-12, 12:-12].abs()
    assert error.mean() < 0.05
    assert error.max() < 0.2


def test_sampling_by_the_flow_brings_the_second_picture_back():
    first, second = pattern(0, 0)[None], pattern(2.0, -1.0)[None]
    back = sample(second, estimate_flow(first, second))
    assert (back - first)[..., 12:-12, 12:-12].abs().max() < 0.02


def test_flat_pictures_do_not_move():
    assert estimate_flow(torch.full((2, 3, 33, 20), 0.4), torch.full((2, 3, 33, 20), 0.4)).abs().max() == 0


def test_constant_velocity_carries_a_translation_on():
    context = torch.stack([pattern(0, 0), pattern(1.5, -0.5)])[None]
    predicted = constant_velocity(context, torch.zeros(1, 1, 1), torch.zeros(1, 4, 1), torch.Generator())
    for step in range(4):
        truth = pattern(1.5 * (step + 2), -0.5 * (step + 2))
        error = (predicted[0, step] - truth)[:, 16:-16, 16:-16].abs().max()
        assert error < 0.06, f"step {step + 1}: {error}"


def test_one_context_frame_means_no_velocity():
    frame = torch.rand(2, 1, 3, 16, 16)
    predicted = constant_velocity(frame, torch.zeros(2, 0, 1), torch.zeros(2, 3, 1), torch.Generator())
    assert torch.equal(predicted, frame.expand(-1, 3, -1, -1, -1))


def test_blur_keeps_the_mean_and_a_constant():
    assert torch.allclose(blur(torch.full((1, 2, 9, 9), 0.3), 1.5), torch.full((1, 2, 9, 9), 0.3), atol=1e-6)
    impulse = torch.zeros(1, 1, 31, 31)
    impulse[..., 15, 15] = 1
    assert blur(impulse, 2.0).sum() == pytest.approx(1.0, abs=1e-4)
