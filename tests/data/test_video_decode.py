"""Encode and decode of pictures that we know, whole, in spans and resized."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import numpy as np
import pytest

from armillary.core.errors import StorageError, VideoError
from armillary.data.resize import area_resize
from armillary.data.video import decode_video, encode_video, probe_video
from tests.data.pictures import moving_square


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "square.mp4"
    encode_video(path, moving_square(90), 30)
    return path


def in_this_process(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def test_decoding_gives_the_frames_that_were_encoded(clip):
    decoded = decode_video(clip, expected_frames=90)
    assert decoded.shape == (90, 48, 64, 3)
    difference = np.abs(decoded.astype(int) - moving_square(90).astype(int))
    assert difference.mean() < 2.5
    np.testing.assert_array_equal(decoded, in_this_process(clip))


def test_the_square_is_where_it_was_at_every_frame(clip):
    bright = decode_video(clip).min(axis=-1) > 215
    centre = [float(np.nonzero(frame)[1].mean()) for frame in bright]
    truth = [float(np.nonzero(frame.min(axis=-1) > 215)[1].mean()) for frame in moving_square(90)]
    assert np.abs(np.subtract(centre, truth)).max() < 0.6


@pytest.mark.parametrize("gop", [1, 2, 30])
def test_a_span_is_a_cut_of_the_whole(tmp_path, gop):
    path = tmp_path / "a.mp4"
    encode_video(path, moving_square(60), 29.97, gop=gop)
    whole = decode_video(path)
    for first, last in [(0, 60), (0, 1), (17, 43), (59, 60)]:
        cut = decode_video(path, span_s=(first / 29.97, last / 29.97), expected_frames=last - first)
        np.testing.assert_array_equal(cut, whole[first:last])


def test_a_span_with_reordered_frames_is_a_cut_of_the_whole(tmp_path):
    path = tmp_path / "reordered.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.options = {"bf": "3", "g": "12", "b-adapt": "0"}
        for picture in moving_square(80):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    whole = decode_video(path, expected_frames=80)
    for first, last in [(0, 5), (11, 26), (40, 80)]:
        np.testing.assert_array_equal(decode_video(path, span_s=(first / 30, last / 30)), whole[first:last])


def test_resized_in_the_child_is_resized_here(clip):
    np.testing.assert_array_equal(decode_video(clip, size=(20, 24)), area_resize(decode_video(clip), (20, 24)))


def test_probe_tells_what_is_there(clip):
    info = probe_video(clip)
    assert (info.codec, info.width, info.height, info.fps, info.frames) == ("h264", 64, 48, 30.0, 90)
    assert info.first_s == 0 and info.last_s == pytest.approx(89 / 30)
    assert probe_video(clip, span_s=(1.0, 2.0)).frames == 30


def test_the_same_frames_give_the_same_bytes(tmp_path):
    for name in ("a.mp4", "b.mp4"):
        encode_video(tmp_path / name, moving_square(20), 30)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_frames_may_come_one_after_another(tmp_path):
    frames = moving_square(20)
    encode_video(tmp_path / "whole.mp4", frames, 30)
    encode_video(tmp_path / "streamed.mp4", (frame for frame in frames), 30)
    assert (tmp_path / "whole.mp4").read_bytes() == (tmp_path / "streamed.mp4").read_bytes()
    with pytest.raises(VideoError, match="at least one frame"):
        encode_video(tmp_path / "none.mp4", iter(()), 30)


def test_a_comment_stays_with_the_file_and_changes_no_picture(tmp_path):
    words = "Dreamt by a world model; é"
    encode_video(tmp_path / "plain.mp4", moving_square(4), 30)
    encode_video(tmp_path / "marked.mp4", moving_square(4), 30, comment=words)
    with av.open(str(tmp_path / "marked.mp4")) as marked, av.open(str(tmp_path / "plain.mp4")) as plain:
        assert marked.metadata["comment"] == words and "comment" not in plain.metadata
    assert np.array_equal(decode_video(tmp_path / "marked.mp4"), decode_video(tmp_path / "plain.mp4"))


def test_odd_sizes_survive(tmp_path):
    frames = moving_square(6, 33, 47)
    encode_video(tmp_path / "odd.mp4", frames, 10)
    decoded = decode_video(tmp_path / "odd.mp4")
    assert decoded.shape == frames.shape
    assert np.abs(decoded.astype(int) - frames.astype(int)).mean() < 2


def test_key_frames_are_two_apart_by_default(clip):
    with av.open(str(clip)) as container:
        keys = [packet.is_keyframe for packet in container.demux(video=0) if packet.size]
    assert keys[::2] == [True] * 45


def test_a_failed_encode_leaves_the_old_file(tmp_path):
    path = tmp_path / "kept.mp4"
    encode_video(path, moving_square(4), 30)
    before = path.read_bytes()
    with pytest.raises(VideoError, match="at least one frame"):
        encode_video(path, moving_square(4)[:0], 30)
    assert path.read_bytes() == before and [file.name for file in tmp_path.iterdir()] == ["kept.mp4"]


def test_writing_into_a_folder_that_is_a_file_is_a_storage_error(tmp_path):
    (tmp_path / "taken").write_text("x")
    with pytest.raises((StorageError, FileExistsError, NotADirectoryError)):
        encode_video(tmp_path / "taken" / "a.mp4", moving_square(4), 30)


def test_a_wrong_count_is_refused_by_name(clip):
    with pytest.raises(VideoError, match=r"square\.mp4: it gives 90 frames where 91 were recorded"):
        decode_video(clip, expected_frames=91)


def test_a_span_beyond_the_end_or_backwards_is_refused(clip):
    with pytest.raises(VideoError, match="0 frames where 5"):
        decode_video(clip, span_s=(100.0, 101.0), expected_frames=5)
    with pytest.raises(VideoError, match="no frame"):
        decode_video(clip, span_s=(100.0, 101.0))
    with pytest.raises(VideoError, match="start < end"):
        decode_video(clip, span_s=(2.0, 1.0))


def test_threads_may_decode_at_the_same_time(clip):
    whole = decode_video(clip)
    with ThreadPoolExecutor(4) as pool:
        cuts = list(pool.map(lambda n: decode_video(clip, span_s=(n / 30, (n + 20) / 30)), range(0, 60, 5)))
    for n, cut in zip(range(0, 60, 5), cuts, strict=True):
        np.testing.assert_array_equal(cut, whole[n : n + 20])
