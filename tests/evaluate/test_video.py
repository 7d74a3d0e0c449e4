"""PSNR and SSIM against slow float64 loops and closed forms."""

import math

import numpy as np
import pytest
import torch

from armillary.evaluate.video import Psnr, Ssim, laplacian_energy, psnr, ssim


def naive_ssim(x: np.ndarray, y: np.ndarray) -> float:
    """Wang et al. 2004, pixel by pixel in float64; `c h w`."""
    weights = np.array([[math.exp(-((i - 5) ** 2 + (j - 5) ** 2) / (2 * 1.5**2)) for j in range(11)] for i in range(11)])
    weights /= weights.sum()
    channels, height, width = x.shape
    values = []
    for c in range(channels):
        for i in range(height - 10):
            for j in range(width - 10):
                a, b = x[c, i : i + 11, j : j + 11], y[c, i : i + 11, j : j + 11]
                mean_a, mean_b = (weights * a).sum(), (weights * b).sum()
                variance_a, variance_b = (weights * (a - mean_a) ** 2).sum(), (weights * (b - mean_b) ** 2).sum()
                covariance = (weights * (a - mean_a) * (b - mean_b)).sum()
                top = (2 * mean_a * mean_b + 1e-4) * (2 * covariance + 9e-4)
                values.append(top / ((mean_a**2 + mean_b**2 + 1e-4) * (variance_a + variance_b + 9e-4)))
    return float(np.mean(values))


@pytest.mark.parametrize("height,width", [(11, 11), (16, 21)])
def test_ssim_equals_the_naive_loops(height, width):
    rng = np.random.default_rng(height)
    real = rng.random((4, 3, height, width))
    predicted = np.clip(real + rng.normal(0, [[[[0.02]]], [[[0.1]]], [[[0.3]]], [[[0.0]]]], real.shape), 0, 1)
    expected = [naive_ssim(a, b) for a, b in zip(predicted, real, strict=True)]
    assert np.allclose(ssim(torch.tensor(predicted), torch.tensor(real)).numpy(), expected, atol=1e-10)
    assert np.allclose(ssim(torch.tensor(predicted).float(), torch.tensor(real).float()).numpy(), expected, atol=1e-4)
    assert expected[3] == pytest.approx(1.0)


def test_ssim_keeps_leading_axes_and_does_not_mix_frames():
    frames, others = torch.rand(5, 60, 1, 12, 13), torch.rand(5, 60, 1, 12, 13)
    whole = ssim(frames, others)
    assert whole.shape == (5, 60)
    assert torch.allclose(whole[3, 41], ssim(frames[3, 41], others[3, 41]), atol=1e-6)


def test_ssim_has_a_gradient():
    predicted = torch.rand(1, 1, 12, 12, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: ssim(x, torch.full_like(x, 0.3)), predicted)


def test_ssim_refuses_pictures_smaller_than_its_window():
    with pytest.raises(ValueError, match=r"11x11.*received 10x64"):
        ssim(torch.rand(1, 3, 10, 64), torch.rand(1, 3, 10, 64))


def test_psnr_closed_forms():
    real = torch.zeros(4, 3, 8, 8, dtype=torch.float64)
    errors = torch.tensor([0.0, 1.0, 0.1, 0.01], dtype=torch.float64)
    assert psnr(real + errors[:, None, None, None], real).tolist() == pytest.approx([100.0, 0.0, 20.0, 40.0])


def test_metrics_average_frames_then_episodes():
    metric = Psnr()
    real = torch.zeros(2, 3, 16, 16)
    metric.update(real + torch.tensor([0.1, 0.01])[:, None, None, None], real)
    metric.update(real + 0.1, real)
    found = metric.compute()
    assert found.n == 2 and found.value == pytest.approx(25.0, abs=1e-3)
    assert found.low == pytest.approx(20.0, abs=1e-3) and found.high == pytest.approx(30.0, abs=1e-3)
    similar = Ssim()
    similar.update(real, real)
    assert similar.compute().value == pytest.approx(1.0)


def test_laplacian_energy_of_a_wave_is_its_closed_form():
    """A cosine of angular frequency w along one axis is multiplied by 2 - 2 cos w; over whole waves its mean square is a half."""
    omega = 2 * torch.pi / 8
    wave = torch.cos(omega * torch.arange(34))[None, None].expand(3, 34, 34)
    expected = (2 - 2 * torch.cos(torch.tensor(omega))) ** 2 / 2
    assert float(laplacian_energy(wave)) == pytest.approx(float(expected), rel=1e-4)


def test_blur_takes_the_laplacian_energy():
    noise = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.avg_pool2d(noise, 3, stride=1, padding=1)
    assert (laplacian_energy(smooth) < 0.15 * laplacian_energy(noise)).all()
    ramp = torch.arange(16.0).expand(1, 16, 16)
    assert laplacian_energy(ramp).item() == 0.0
