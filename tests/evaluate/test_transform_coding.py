"""Linear codes of video against slow float64 loops, and what must hold for all of them."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from armillary.core import ConfigError, DataError, seeded
from armillary.evaluate.transform_coding import Block, FirstFrameAlone, PrincipalBlocks, TruncatedDct
from armillary.nn.dct import dct, dct_matrix

BLOCK = Block(frames=2, height=4, width=4)


def naive_dct(block: np.ndarray) -> np.ndarray:
    """The orthonormal DCT-II over all four axes, number by number."""
    found = np.zeros(block.shape)
    for frequency in np.ndindex(block.shape):
        for place in np.ndindex(block.shape):
            cosines = [math.cos(math.pi * k * (2 * n + 1) / (2 * size)) for k, n, size in zip(frequency, place, block.shape, strict=True)]
            found[frequency] += block[place] * math.prod(cosines)
        found[frequency] *= math.prod(math.sqrt((1 if k == 0 else 2) / size) for k, size in zip(frequency, block.shape, strict=True))
    return found


def moving_clip(seed: int, frames: int = 4, side: int = 16) -> torch.Tensor:
    """Smooth coloured waves that move, with a little noise: like video, most of it lies at low frequencies."""
    rng = seeded(seed)
    time, rows, columns = torch.meshgrid(*(torch.arange(size, dtype=torch.float64) for size in (frames, side, side)), indexing="ij")
    clip = torch.zeros(frames, 3, side, side, dtype=torch.float64)
    for _ in range(4):
        speed, down, right, phase = (torch.rand(4, generator=rng, dtype=torch.float64) * torch.tensor([0.4, 0.8, 0.8, 6.3])).tolist()
        colour = torch.rand(3, generator=rng, dtype=torch.float64)
        clip += colour[:, None, None] * torch.sin(speed * time + down * rows + right * columns + phase)[:, None]
    return 0.5 + 0.1 * clip + 0.01 * torch.randn(clip.shape, generator=rng, dtype=torch.float64)


def squared_error(code, clips) -> float:
    return float(torch.stack([(code.reconstruct(clip) - clip).square().mean() for clip in clips]).mean())


def test_the_transform_equals_the_naive_loops_and_comes_back():
    blocks = torch.rand(2, 2, 3, 3, 2, generator=seeded(0), dtype=torch.float64)
    found = dct(blocks)
    np.testing.assert_allclose(found.numpy(), np.stack([naive_dct(block) for block in blocks.numpy()]), atol=1e-12)
    torch.testing.assert_close(dct(found, inverse=True), blocks, atol=1e-12, rtol=0)


def test_the_colours_are_brightness_and_two_differences():
    expected = (
        torch.tensor([[1.0, 1, 1], [1, 0, -1], [1, -2, 1]], dtype=torch.float64) / torch.tensor([[3.0], [2.0], [6.0]]).double().sqrt()
    )
    torch.testing.assert_close(dct_matrix(3), expected, atol=1e-12, rtol=0)


def test_blocks_are_the_parts_of_the_clip_and_join_again():
    clip = torch.rand(4, 3, 8, 12, generator=seeded(0))
    blocks = BLOCK.cut(clip)
    assert blocks.shape == (2 * 2 * 3, 2, 3, 4, 4)
    assert torch.equal(blocks[3 + 2], clip[:2, :, 4:, 8:]) and torch.equal(blocks[6], clip[2:, :, :4, :4])
    assert torch.equal(BLOCK.join(blocks, clip.shape), clip)


def test_truncation_keeps_what_is_asked_for_and_only_that():
    clip = moving_clip(0, side=4, frames=2)
    code = TruncatedDct.zonal(BLOCK, 7)
    expected = naive_dct(clip.numpy()) * code.kept.numpy()
    np.testing.assert_allclose(naive_dct(code.reconstruct(clip).numpy()), expected, atol=1e-12)
    assert np.count_nonzero(expected) == code.count == 7


def test_the_zone_is_the_lowest_frequencies_brightness_first():
    kept = TruncatedDct.zonal(BLOCK, 5).kept.nonzero().tolist()
    assert kept == [[0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0], [0, 1, 0, 0], [0, 2, 0, 0]]


def test_the_fitted_positions_are_those_that_vary():
    pattern = torch.zeros(1, *BLOCK.shape, dtype=torch.float64)
    pattern[0, 1, 2, 3, 1], pattern[0, 0, 0, 2, 2], pattern[0, 0, 1, 0, 0] = 3.0, -2.0, 1.0
    clip = dct(pattern, inverse=True)[0]
    code = TruncatedDct.fitted([clip], BLOCK, 2)
    assert code.kept.nonzero().tolist() == [[0, 0, 2, 2], [1, 2, 3, 1]]
    assert squared_error(code, [clip]) == pytest.approx(1.0 / BLOCK.numbers)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_all_numbers_give_the_clip_back(dtype):
    clips = [torch.rand(4, 3, 8, 8, generator=seeded(seed), dtype=dtype) for seed in range(30)]
    for code in (TruncatedDct.zonal(BLOCK, BLOCK.numbers), PrincipalBlocks(clips, BLOCK, BLOCK.numbers)):
        found = code.reconstruct(clips[0])
        assert found.dtype == dtype
        torch.testing.assert_close(found, clips[0], atol=1e-6, rtol=0)


def test_more_numbers_are_better_and_each_code_is_better_than_the_one_before():
    clips = [moving_clip(seed) for seed in range(4)]
    zonal, fitted, principal = (
        [squared_error(make(count), clips) for count in (1, 3, 8, 20, 60)]
        for make in (
            lambda count: TruncatedDct.zonal(BLOCK, count),
            lambda count: TruncatedDct.fitted(clips, BLOCK, count),
            lambda count: PrincipalBlocks(clips, BLOCK, count),
        )
    )
    for errors in (zonal, fitted, principal):
        assert all(more < less for less, more in pairwise(errors))
    assert all(best <= better <= plain for best, better, plain in zip(principal, fitted, zonal, strict=True))
    assert principal[2] < 0.9 * fitted[2] < 0.9 * zonal[2]


def test_principal_blocks_leave_out_exactly_the_smallest_variances():
    clips = [moving_clip(seed) for seed in range(4)]
    flat = torch.cat([BLOCK.cut(clip).flatten(1) for clip in clips])
    values = torch.linalg.svdvals(flat - flat.mean(0)).square()
    assert squared_error(PrincipalBlocks(clips, BLOCK, 9), clips) == pytest.approx(float(values[9:].sum()) / flat.numel(), rel=1e-6)


def test_the_first_frame_alone():
    clip = moving_clip(0, frames=5)
    first, rest = TruncatedDct.zonal(Block(frames=1, height=4, width=4), 3), TruncatedDct.zonal(BLOCK, 6)
    code = FirstFrameAlone(first, rest)
    found = code.reconstruct(clip)
    assert torch.equal(found[:1], first.reconstruct(clip[:1])) and torch.equal(found[1:], rest.reconstruct(clip[1:]))
    assert code.numbers_of(clip.shape) == 16 * 3 + 2 * 16 * 6
    with pytest.raises(ConfigError, match="one frame, received 2"):
        FirstFrameAlone(rest, rest)


def test_refusals():
    with pytest.raises(DataError, match=r"2 x 4 x 4 do not fill .*\(3, 3, 8, 8\)"):
        TruncatedDct.zonal(BLOCK, 4).reconstruct(torch.zeros(3, 3, 8, 8))
    with pytest.raises(ConfigError, match=r"from 1 to 96.*received 97"):
        PrincipalBlocks([torch.zeros(2, 3, 4, 4)], BLOCK, 97)
    with pytest.raises(ConfigError, match="received 0"):
        TruncatedDct.zonal(BLOCK, 0)
    with pytest.raises(DataError, match="received none"):
        TruncatedDct.fitted([], BLOCK, 4)
    with pytest.raises(ConfigError, match="at least one frame"):
        Block(frames=0, height=4, width=4)
