"""Haar patching against loops in float64, its inverse, its energy, and what an image is."""

import itertools

import pytest
import torch

from armillary.core import seeded
from armillary.nn.wavelet import HaarPatching, haar_matrix

SIDES = [(size, in_time) for size in (1, 2, 4) for in_time in (True, False)]


def halves(video: torch.Tensor, axis: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Sums and differences of neighbours along one axis, one pair at a time."""
    pairs = [(video.select(axis, i), video.select(axis, i + 1)) for i in range(0, video.shape[axis], 2)]
    return torch.stack([a + b for a, b in pairs], dim=axis) / 2, torch.stack([a - b for a, b in pairs], dim=axis) / 2


def naive(video: torch.Tensor, levels: int, axes: tuple[int, ...]) -> torch.Tensor:
    for _ in range(levels):
        bands = [video]
        for axis in axes:
            bands = [half for band in bands for half in halves(band, axis)]
        video = torch.cat(bands, dim=1)
    return video


def made(frames: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(2, 3, frames, 8, 12, generator=seeded(seed), dtype=torch.float64)


@pytest.mark.parametrize(("size", "in_time"), SIDES)
def test_patches_are_the_loops_and_the_first_frame_fills_a_block(size, in_time):
    time = size if in_time else 1
    video = made(1 + 2 * time)
    filled = torch.cat([video[:, :, :1].repeat(1, 1, time - 1, 1, 1), video], dim=2)
    expected = naive(filled, size.bit_length() - 1, (2, 3, 4) if in_time else (3, 4))
    patching = HaarPatching(size, in_time=in_time).double()
    torch.testing.assert_close(patching(video), expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(patching(filled, begins=False), patching(video), atol=0, rtol=0)


@pytest.mark.parametrize(("size", "in_time"), SIDES)
def test_the_inverse_is_exact_and_energy_is_kept(size, in_time):
    time = size if in_time else 1
    patching = HaarPatching(size, in_time=in_time)
    for frames, begins in itertools.product((0, 1, 3), (True, False)):
        video = made(int(begins) + frames * time).float()
        if video.shape[2]:
            patches = patching(video, begins=begins)
            torch.testing.assert_close(patching.inverse(patches, begins=begins), video, atol=1e-6, rtol=0)
            if not begins:
                energy = patches.double().square().sum() * len(patching.matrix)
                torch.testing.assert_close(energy, video.double().square().sum(), atol=0, rtol=1e-6)


def test_the_matrix_is_orthonormal_and_its_first_row_a_mean():
    matrix = haar_matrix(2, 3).double()
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(64, dtype=torch.float64), atol=1e-6, rtol=0)
    means = HaarPatching(4).double()(made(5))[:, :3]
    torch.testing.assert_close(means[:, :, 1, 1, 2], made(5)[:, :, 1:5, 4:8, 8:12].mean(dim=(2, 3, 4)), atol=1e-6, rtol=0)


def test_a_still_image_has_no_band_of_time():
    patches = HaarPatching(2)(made(1).float())
    assert patches.shape == (2, 24, 1, 4, 6)
    assert patches[:, 12:].abs().max() < 1e-6 < patches[:, :12].abs().amax(dim=(0, 2, 3, 4)).min()


@pytest.mark.parametrize("size", [0, 3, -2])
def test_a_side_that_is_no_power_of_two_is_refused(size):
    with pytest.raises(ValueError, match=f"power of two, received {size}"):
        HaarPatching(size)
