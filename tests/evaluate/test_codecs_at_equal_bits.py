"""JPEG and H.264 within a budget of bits: what is counted, that it fits, that more bits are better."""

from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from armillary.core import ConfigError, DataError, seeded, to_disk
from armillary.evaluate.codecs_at_equal_bits import h264_at, motion_jpeg_at
from armillary.evaluate.video import psnr


def clip_of(frames: int = 5, height: int = 48, width: int = 64) -> torch.Tensor:
    """A textured picture that moves to the right by two pixels a frame."""
    texture = torch.rand(3, height // 4, (width + 2 * frames) // 4 + 1, generator=seeded(0))
    whole = torch.nn.functional.interpolate(texture[None], scale_factor=4, mode="bilinear")[0]
    return torch.stack([whole[:, :, 2 * number : 2 * number + width] for number in range(frames)])


@pytest.mark.parametrize("codec", [motion_jpeg_at, h264_at])
def test_the_budget_is_kept_and_more_bits_are_better(codec):
    clip = clip_of()
    found = [codec(clip, bits) for bits in (16_000, 40_000, 100_000)]
    near = [float(psnr(one.clip, clip).mean()) for one in found]
    assert all(one.fits and 0.5 * bits < one.bits <= bits for one, bits in zip(found, (16_000, 40_000, 100_000), strict=True))
    assert near[0] + 1 < near[1] < near[2] - 1
    assert all(one.clip.shape == clip.shape and one.clip.min() >= 0 and one.clip.max() <= 1 for one in found)


@pytest.mark.parametrize("codec", [motion_jpeg_at, h264_at])
def test_what_cannot_fit_is_told_and_is_the_lowest_quality(codec):
    clip = clip_of()
    found = codec(clip, 8)
    assert not found.fits and found.bits > 8
    again = codec(clip, found.bits)
    assert again.fits and again.bits <= found.bits


@pytest.mark.parametrize("codec", [motion_jpeg_at, h264_at])
def test_frames_come_back_in_order(codec):
    grey = torch.linspace(0.1, 0.9, 9)[:, None, None, None].expand(9, 3, 32, 32)
    torch.testing.assert_close(codec(grey, 200_000).clip, grey, atol=0.02, rtol=0)


def test_only_the_compressed_picture_of_a_jpeg_counts():
    frame = clip_of(1)
    found = motion_jpeg_at(frame, 10**9)
    file = BytesIO()
    Image.fromarray(to_disk(frame)[0]).save(file, format="JPEG", quality=95, subsampling="4:4:4")
    data = file.getvalue()
    scan = data.index(b"\xff\xda")
    header = 2 + int.from_bytes(data[scan + 2 : scan + 4], "big")
    assert found.bits == 8 * len(data[scan + header :].removesuffix(b"\xff\xd9"))
    np.testing.assert_array_equal(to_disk(found.clip)[0], np.asarray(Image.open(BytesIO(data))))


def test_h264_uses_that_frames_are_alike_and_jpeg_does_not():
    one, many = clip_of(1), clip_of(1).expand(8, -1, -1, -1)
    jpeg, h264 = motion_jpeg_at(one, 20_000), h264_at(one, 20_000)
    assert motion_jpeg_at(many, 8 * jpeg.bits).bits == 8 * jpeg.bits
    assert float(psnr(h264_at(many, 2 * h264.bits).clip, many).mean()) >= float(psnr(h264.clip, one).mean()) - 0.5


def test_h264_counts_slices_and_not_the_remarks_of_the_encoder():
    grey = torch.full((1, 3, 16, 16), 0.5)
    assert h264_at(grey, 10_000).bits < 400, "the encoder's list of options alone is some 5,000 bits"


def test_odd_sizes_come_back():
    clip = clip_of(3)[:, :, :33, :47]
    for codec in (motion_jpeg_at, h264_at):
        assert codec(clip, 60_000).clip.shape == clip.shape


@pytest.mark.parametrize("codec", [motion_jpeg_at, h264_at])
def test_refusals(codec):
    with pytest.raises(ConfigError, match="bits must be at least 1, received 0"):
        codec(clip_of(1), 0)
    with pytest.raises(DataError, match="without frames"):
        codec(torch.zeros(0, 3, 16, 16), 100)
