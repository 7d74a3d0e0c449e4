"""The frame table agrees with FFmpeg's, joined files show the same frames, and no damaged file gets past VideoError."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from armillary.core.errors import VideoError
from armillary.data.mp4 import read_track
from armillary.data.mp4_join import join, stretch_of
from armillary.data.video import decode_video, encode_video
from tests.data.pictures import moving_square


def encode(path: Path, frames: np.ndarray, *, fps: int = 10, gop: int = 12, bframes: int = 2, flags: str = "faststart") -> Path:
    """H.264 with B-frames, whose packets are stored in another order than they are shown."""
    with av.open(str(path), "w", format="mp4", options={"movflags": flags}) as container:
        stream = container.add_stream("libx264", rate=Fraction(fps))
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], "yuv420p"
        stream.codec_context.thread_count = 1
        stream.options = {"g": str(gop), "bf": str(bframes), "x264-params": "scenecut=0"}
        for picture in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def packets(path: Path) -> list:
    with av.open(str(path)) as container:
        return [packet for packet in container.demux(video=0) if packet.dts is not None]


@pytest.mark.parametrize("bframes", [0, 3])
@pytest.mark.parametrize("flags", ["faststart", "disable_chpl"])
def test_the_frame_table_is_ffmpegs(tmp_path: Path, bframes: int, flags: str):
    path = encode(tmp_path / "a.mp4", moving_square(40), bframes=bframes, flags=flags)
    track, known = read_track(path), packets(path)
    assert (len(track), track.codec, track.width, track.height) == (40, "h264", 64, 48)
    np.testing.assert_array_equal(track.sizes, [packet.size for packet in known])
    np.testing.assert_allclose(track.seconds, [float(packet.pts * packet.time_base) for packet in known], atol=1e-6)
    np.testing.assert_array_equal(track.keyframe, [packet.is_keyframe for packet in known])
    assert b"".join(track.blocks(np.arange(40))) == b"".join(bytes(packet) for packet in known)
    assert track.frames_per_second == pytest.approx(10)


def test_joined_files_show_every_frame_of_their_parts(tmp_path: Path):
    parts = [encode(tmp_path / f"{n}.mp4", moving_square(15 + n, seed=n), bframes=n) for n in (3, 0, 2)]
    tracks = [read_track(path) for path in parts]
    same = [track for track in tracks if track.decoding == tracks[0].decoding] + [tracks[0]]
    join(tmp_path / "all.mp4", [stretch_of(track, 0, len(track)) for track in same], 10)
    joined = read_track(tmp_path / "all.mp4")
    np.testing.assert_allclose(joined.shown, np.arange(len(joined)) / 10, atol=1e-9)
    expected = np.concatenate([decode_video(track.path) for track in same])
    np.testing.assert_array_equal(decode_video(tmp_path / "all.mp4", expected_frames=len(expected)), expected)
    with av.open(str(tmp_path / "all.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.frames, stream.average_rate, stream.duration * stream.time_base) == (len(expected), 10, Fraction(len(expected), 10))
    first = len(same[0])
    middle = stretch_of(joined, first, len(same[1]))
    assert joined.hash_packets(middle.packets) == same[1].hash_packets(np.arange(len(same[1])))


@pytest.mark.parametrize("fps", [10, 29.97, 12.5])
def test_any_rate_is_kept(tmp_path: Path, fps: float):
    encode_video(tmp_path / "a.mp4", moving_square(30), fps)
    track = read_track(tmp_path / "a.mp4")
    join(tmp_path / "b.mp4", [stretch_of(track, 0, 30)] * 3, fps)
    joined = read_track(tmp_path / "b.mp4")
    np.testing.assert_allclose(joined.shown, np.arange(90) / fps, atol=1e-4)


def test_a_cut_that_needs_other_frames_is_refused(tmp_path: Path):
    track = read_track(encode(tmp_path / "a.mp4", moving_square(36), gop=12))
    assert len(stretch_of(track, 12, 12).packets) == 12
    with pytest.raises(VideoError, match="cannot be cut out"):
        stretch_of(track, 5, 12)
    with pytest.raises(VideoError, match="36 frames"):
        stretch_of(track, 30, 12)


def test_unlike_codings_are_not_joined(tmp_path: Path):
    small, large = encode(tmp_path / "a.mp4", moving_square(8)), encode(tmp_path / "b.mp4", moving_square(8, 64, 96))
    with pytest.raises(ValueError, match="coded differently"):
        join(tmp_path / "c.mp4", [stretch_of(read_track(path), 0, 8) for path in (small, large)], 10)


def test_every_truncation_is_found(tmp_path: Path):
    whole = encode(tmp_path / "a.mp4", moving_square(12)).read_bytes()
    cut = tmp_path / "cut.mp4"
    for length in range(0, len(whole) - 1, 37):
        cut.write_bytes(whole[:length])
        with pytest.raises(VideoError, match=r"cut\.mp4"):
            read_track(cut)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes, int]:
    folder = tmp_path_factory.mktemp("fuzz")
    whole = encode(folder / "sound.mp4", moving_square(12)).read_bytes()
    return folder / "mutated.mp4", whole, whole.index(b"mdat")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_mutated_index_gives_a_table_or_video_error(sound: tuple[Path, bytes, int], data):
    path, whole, end = sound
    mutated = bytearray(whole)
    for place in data.draw(st.lists(st.integers(0, end), min_size=1, max_size=6)):
        mutated[place] = data.draw(st.sampled_from([0, 1, 0x7F, 0xFF, mutated[place] ^ 1]))
    path.write_bytes(mutated)
    try:
        track = read_track(path)
    except VideoError as error:
        assert "mutated.mp4" in str(error)
    else:
        assert len(track) == len(track.seconds) == len(track.offsets) and (track.offsets + track.sizes <= len(whole)).all()


def test_audio_and_foreign_files(tmp_path: Path):
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), dtype=np.float32), format="fltp", layout="mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(VideoError, match="no video track"):
        read_track(tmp_path / "sound.mp4")
    path = encode(tmp_path / "pieces.mp4", moving_square(12), flags="frag_keyframe+empty_moov")
    with pytest.raises(VideoError, match="fragmented"):
        read_track(path)
    with pytest.raises(VideoError, match="does not exist"):
        read_track(tmp_path / "nothing.mp4")
