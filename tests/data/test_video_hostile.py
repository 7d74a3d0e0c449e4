"""Damaged and hostile video: a typed error that names the file, never wrong frames, never a hung or bloated process."""

import os
import random
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import av
import numpy as np
import pytest

from armillary.core.errors import VideoError
from armillary.data.video import VideoLimits, decode_video, encode_video, probe_video, worker
from tests.data.pictures import moving_square


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "square.mp4"
    encode_video(path, moving_square(40), 30)
    return path


@pytest.fixture(scope="module")
def dull(tmp_path_factory) -> Path:
    """A small bomb: 300 black pictures of 1024x1024 in some kilobytes."""
    path = tmp_path_factory.mktemp("bomb") / "dull.mp4"
    write(path, "libx264", [np.zeros((1024, 1024, 3), dtype=np.uint8)] * 300, options={"preset": "ultrafast", "g": "1000"})
    return path


@pytest.fixture(scope="module")
def wide(tmp_path_factory) -> Path:
    """Three black pictures, nearly as large as is allowed."""
    path = tmp_path_factory.mktemp("wide") / "wide.mp4"
    write(path, "libx264", [np.zeros((4000, 4000, 3), dtype=np.uint8)] * 3, options={"preset": "ultrafast"})
    return path


def write(path: Path, codec: str, pictures, *, options=None, pix_fmt="yuv420p", rate=30, spacing=1) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pix_fmt
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = number * spacing
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.mark.parametrize("kept", [0.0, 0.01, 0.3, 0.7, 0.98])
def test_a_truncated_mp4_is_refused_by_name(clip, tmp_path, kept):
    raw = clip.read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(raw[: int(len(raw) * kept)])
    with pytest.raises(VideoError, match=r"cut\.mp4: .*; .*"):
        decode_video(cut)


@pytest.mark.parametrize("kept", [0.3, 0.7, 0.95])
def test_a_truncated_mkv_is_refused(tmp_path, kept):
    whole, cut = tmp_path / "whole.mkv", tmp_path / "cut.mkv"
    write(whole, "libx264", list(moving_square(60)))
    assert len(decode_video(whole)) == 60
    cut.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * kept)])
    with pytest.raises(VideoError, match=r"cut\.mkv"):
        decode_video(cut)


def test_strict_decoding_refuses_the_damage_that_plain_decoding_hides(tmp_path):
    path = tmp_path / "damaged.mp4"
    encode_video(path, moving_square(40), 30)
    raw, right = path.read_bytes(), decode_video(path)
    rng, hidden, passed = random.Random(0), 0, 0
    for _ in range(60):
        damaged = bytearray(raw)
        for _ in range(3):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        path.write_bytes(damaged)
        hidden += hides_damage(path, right)
        try:
            passed += not np.array_equal(decode_video(path, expected_frames=40), right)
        except VideoError as error:
            assert "damaged.mp4" in str(error)
    assert hidden >= 20, "plain decoding should hide much of this damage, or the test shows nothing"
    assert passed <= 1


def hides_damage(path: Path, right: np.ndarray) -> bool:
    """Whether an ordinary decode gives the full count of frames, wrong ones among them, and no error."""
    try:
        with av.open(str(path)) as container:
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    except (av.FFmpegError, ValueError):
        return False
    return len(frames) == len(right) and not all(np.array_equal(a, b) for a, b in zip(frames, right, strict=True))


def test_a_hole_in_the_middle_is_refused(clip, tmp_path):
    raw = bytearray(clip.read_bytes())
    middle = len(raw) // 2
    raw[middle : middle + 2000] = bytes(2000)
    (tmp_path / "hole.mp4").write_bytes(raw)
    with pytest.raises(VideoError):
        decode_video(tmp_path / "hole.mp4")


def test_every_cap_is_named_when_it_is_hit(dull):
    assert dull.stat().st_size < 200_000
    for limits, words in [
        (VideoLimits(pixels=1_000_000), "pixels a frame"),
        (VideoLimits(frames=299), "300 frames"),
        (VideoLimits(seconds=9.0), "seconds"),
        (VideoLimits(ratio=1000.0, ratio_free_bytes=0), "decoded bytes for each byte"),
        (VideoLimits(output_bytes=100 << 20), "bytes for one call"),
        (VideoLimits(wall_seconds=0.05), "longer than the limit"),
    ]:
        with pytest.raises(VideoError, match=words):
            decode_video(dull, limits=limits)


def test_a_header_that_claims_a_small_picture_does_not_smuggle_a_large_one(tmp_path):
    path = tmp_path / "liar.mkv"
    write(path, "libx264", [np.zeros((1024, 1024, 3), dtype=np.uint8)] * 3)
    large, small = b"\xb0\x82\x04\x00\xba\x82\x04\x00", b"\xb0\x82\x00\x40\xba\x82\x00\x40"
    raw = path.read_bytes()
    assert raw.count(large) == 1
    path.write_bytes(raw.replace(large, small))
    with pytest.raises(VideoError):
        decode_video(path, limits=VideoLimits(pixels=500_000))


def test_memory_is_capped_by_the_kernel(wide):
    """Five times over, for a child may hold free what it decoded before; a picture alone, as it is and as RGB, takes 72 MB."""
    needs = VideoLimits(memory_bytes=_decoder_alone() + (48 << 20))
    for _ in range(5):
        # Where an allocation of FFmpeg's own fails, it says that the data are invalid: refused all the same.
        with pytest.raises(VideoError, match=r"bytes of memory|crashed|decoding failed"):
            decode_video(wide, limits=needs)
        assert len(decode_video(wide)) == 3


def test_a_child_that_has_outgrown_a_cap_is_not_asked_to_keep_it(dull):
    """The kernel's cap only stops what is new, so a child that decoded much before could live beyond it."""
    cap = _decoder_alone() + (8 << 20)
    worker._end_idle()
    decode_video(dull, size=(8, 8))
    (child,) = worker._idle
    assert _address_space(child.process) > cap
    assert probe_video(dull, limits=VideoLimits(memory_bytes=cap)).frames == 300
    assert child.process.poll() is not None


def test_a_cap_below_the_decoder_itself_says_so(dull):
    with pytest.raises(VideoError, match=r"the decoder alone takes [\d,]+ bytes of memory, the limit is 1,048,576; raise the limit"):
        probe_video(dull, limits=VideoLimits(memory_bytes=1 << 20))


def _address_space(process: subprocess.Popen) -> int:
    return int(Path(f"/proc/{process.pid}/statm").read_text().split()[0]) * resource.getpagesize()


def _decoder_alone() -> int:
    """Bytes of address space that a new child takes, from the error that says so."""
    with pytest.raises(VideoError) as refused:
        worker.request(dict(task="probe", path="none", span_s=None, stream=None), VideoLimits(memory_bytes=0))
    return int(re.search(r"alone takes ([\d,]+) bytes", str(refused.value))[1].replace(",", ""))


def test_processor_time_is_capped_by_the_kernel(tmp_path):
    """The kernel counts whole seconds, so the video takes several: noise, every picture whole."""
    noise = np.random.default_rng(0).integers(0, 256, size=(1024, 1024, 3), dtype=np.uint8)
    path = tmp_path / "noise.mp4"
    write(path, "libx264", [noise] * 240, options={"preset": "ultrafast", "g": "1"})
    with pytest.raises(VideoError, match="processor time"):
        decode_video(path, limits=VideoLimits(cpu_seconds=0), size=(8, 8))
    assert len(decode_video(path, size=(8, 8))) == 240


def test_the_parent_holds_none_of_a_bomb(dull):
    with open("/proc/self/statm") as before:
        pages = int(before.read().split()[1])
    with pytest.raises(VideoError):
        decode_video(dull, limits=VideoLimits(ratio=1000.0, ratio_free_bytes=0))
    with open("/proc/self/statm") as after:
        assert int(after.read().split()[1]) - pages < 10_000


@pytest.mark.parametrize(
    "text",
    [
        "ffconcat version 1.0\nfile square.mp4\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsquare.mp4\n#EXT-X-ENDLIST\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
        "just text",
    ],
)
def test_playlists_and_other_texts_are_not_followed(clip, tmp_path, text):
    (tmp_path / "square.mp4").write_bytes(clip.read_bytes())
    (tmp_path / "list.mp4").write_text(text)
    with pytest.raises(VideoError, match="cannot be opened as mp4"):
        decode_video(tmp_path / "list.mp4")


def test_containers_and_codecs_off_the_list_are_refused(tmp_path):
    pictures = list(moving_square(5))
    write(tmp_path / "a.avi", "mpeg4", pictures)
    with pytest.raises(VideoError, match="cannot be opened"):
        decode_video(tmp_path / "a.avi")
    write(tmp_path / "a.mkv", "ffv1", pictures)
    with pytest.raises(VideoError, match=r"ffv1|cannot be opened"):
        decode_video(tmp_path / "a.mkv")


def test_addresses_are_not_files():
    for address in ("http://127.0.0.1:9/a.mp4", "concat:a.mp4|b.mp4", "/nowhere/a.mp4"):
        with pytest.raises(VideoError, match="no such video file"):
            decode_video(address)


def test_a_change_of_size_midway_is_refused(tmp_path):
    small, large, joined = (tmp_path / name for name in ("small.h264", "large.h264", "joined.mkv"))
    write(small, "libx264", list(moving_square(5)))
    write(large, "libx264", list(moving_square(5, 64, 96)))
    (tmp_path / "both.h264").write_bytes(small.read_bytes() + large.read_bytes())
    with av.open(str(tmp_path / "both.h264")) as source, av.open(str(joined), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(packet for packet in source.demux(video=0) if packet.size):
            packet.stream, packet.pts, packet.dts = stream, number * 40, number * 40
            target.mux(packet)
    with pytest.raises(VideoError, match=r"size changes|cut short|decoding failed"):
        decode_video(joined)


def test_a_killed_child_is_a_typed_error_and_the_next_call_works(clip, dull):
    decode_video(clip)
    child = worker._idle[-1].process

    def strike():
        time.sleep(0.15)
        os.kill(child.pid, signal.SIGKILL)

    thread = threading.Thread(target=strike)
    thread.start()
    with pytest.raises(VideoError, match=r"dull\.mp4: the decoder crashed on it \(SIGKILL\)"):
        decode_video(dull, size=(8, 8))
    thread.join()
    assert len(decode_video(clip)) == 40


def test_the_child_ends_with_its_parent(clip):
    code = (
        "import os, sys; from armillary.data.video import decode_video, worker;"
        "decode_video(sys.argv[1]); print(worker._idle[-1].process.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    root = Path(worker.__file__).parents[3]
    result = subprocess.run([sys.executable, "-c", code, str(clip)], stdout=subprocess.PIPE, text=True, cwd=root)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and alive(int(result.stdout)):
        time.sleep(0.02)
    assert not alive(int(result.stdout))


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z"
    except FileNotFoundError:
        return False


def test_the_child_is_limited_and_light(clip):
    decode_video(clip)
    pid = worker._idle[-1].process.pid
    limits = Path(f"/proc/{pid}/limits").read_text()
    soft = {line[:26].strip(): line[26:].split()[0] for line in limits.splitlines()[1:]}
    assert soft["Max file size"] == "0" and soft["Max open files"] == "32" and soft["Max core file size"] == "0"
    assert soft["Max address space"] == str(VideoLimits().memory_bytes) and soft["Max cpu time"] != "unlimited"
    assert os.getsid(pid) != os.getsid(0), "Ctrl-C must not reach the child, or it would look like a damaged file"
    code = "import sys, armillary.data.video.child as c; print(*(m for m in ('torch', 'gymnasium', 'pyarrow') if m in sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(worker.__file__).parents[3])
    assert result.stdout.strip() == ""
