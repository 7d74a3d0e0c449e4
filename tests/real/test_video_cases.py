"""Decoder edge cases and real recordings: AV1, HEVC, 10 bit, full range, several streams, and TorchCodec's reference pictures."""

import zipfile
from pathlib import Path

import av
import numpy as np
import pytest

from armillary.data.resize import area_resize
from armillary.data.video import decode_video, probe_video

CASES = {
    "av1_video.mkv": ("av1", 125, 360, 640),
    "bt709_full_range.mp4": ("h264", 30, 720, 1280),
    "h264_10bits.mp4": ("h264", 30, 200, 200),
    "h265_10bits.mp4": ("hevc", 30, 200, 200),
    "h265_video.mp4": ("hevc", 10, 128, 128),
    "nasa_13013.mp4": ("h264", 390, 270, 480),
}


@pytest.mark.parametrize("name", CASES)
def test_every_edge_case_decodes_whole(real_data: Path, name: str):
    codec, count, height, width = CASES[name]
    info = probe_video(real_data / "decode_cases" / name)
    assert (info.codec, info.frames, info.height, info.width) == (codec, count, height, width)
    small = decode_video(real_data / "decode_cases" / name, expected_frames=count, size=(64, 64))
    assert small.shape == (count, 64, 64, 3) and small.std() > 5


@pytest.mark.parametrize("frame", [0, 388])
def test_pictures_equal_those_of_torchcodec(real_data: Path, frame: int):
    """The reference files are zip archives with the pixels stored raw in one member: read without unpickling."""
    reference = real_data / "decode_cases" / f"nasa_13013.mp4.stream3.frame{frame:06d}.pt"
    with zipfile.ZipFile(reference) as archive:
        (member,) = [name for name in archive.namelist() if name.endswith("/data/0")]
        pixels = np.frombuffer(archive.read(member), dtype=np.uint8).reshape(270, 480, 3)
    span = ((frame - 1) * 1001 / 30000, (frame + 1) * 1001 / 30000) if frame else (0.0, 0.05)
    decoded = decode_video(real_data / "decode_cases" / "nasa_13013.mp4", stream=3, span_s=span)
    np.testing.assert_array_equal(decoded[1 if frame else 0], pixels)


def test_a_stream_may_be_chosen(real_data: Path):
    path = real_data / "decode_cases" / "nasa_13013.mp4"
    assert decode_video(path, stream=0, size=(18, 32)).shape == (325, 18, 32, 3)


def test_full_range_is_read_as_full_range(real_data: Path):
    """Read as limited range, greys would be off by 6 to 9 levels here."""
    path = real_data / "decode_cases" / "bt709_full_range.mp4"
    with av.open(str(path)) as container:
        plane = next(container.decode(video=0)).planes[0]
        luma = np.frombuffer(plane, dtype=np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width].astype(float)
    grey = decode_video(path, span_s=(0.0, 0.03))[0].astype(float) @ [0.2126, 0.7152, 0.0722]
    assert np.abs(grey - luma).mean() < 2


def test_the_original_av1_recording_shrinks_to_the_derived_one(real_data: Path):
    original = next((real_data / "g1_inspire_original_av1").rglob("*.mp4"))
    frames = decode_video(original, size=(64, 64))
    assert frames.shape == (290, 64, 64, 3)
    part = decode_video(original, span_s=(3.0, 3.5))
    np.testing.assert_array_equal(area_resize(part, (64, 64)), frames[90:105])
