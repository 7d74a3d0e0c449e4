"""Video in: probe and strict decode, always in the resource-limited child process."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from armillary.core.errors import VideoError
from armillary.data.video.limits import VideoLimits
from armillary.data.video.worker import request


@dataclass(frozen=True, kw_only=True)
class VideoInfo:
    """What a video file says, checked against the packets that are really in it.

    `frames` counts packets (of the span, if one was asked for), `first_s` and `last_s` are when the first and last of
    them are shown.
    """

    codec: str
    width: int
    height: int
    fps: float
    frames: int
    first_s: float
    last_s: float


def probe_video(
    path: Path | str,
    *,
    limits: VideoLimits | None = None,
    span_s: tuple[float, float] | None = None,
    stream: int | None = None,
) -> VideoInfo:
    """Read every packet's header without decoding. Raises VideoError when the file is refused or unreadable."""
    reply = request({"task": "probe", "path": _existing(path), "span_s": _span(path, span_s), "stream": stream}, limits or VideoLimits())
    return VideoInfo(**reply.header)


def decode_video(
    path: Path | str,
    *,
    limits: VideoLimits | None = None,
    expected_frames: int | None = None,
    span_s: tuple[float, float] | None = None,
    size: tuple[int, int] | None = None,
    stream: int | None = None,
) -> UInt8[np.ndarray, "t h w 3"]:
    """Every frame of a video, RGB, at full resolution or shrunk by area to `size` = (height, width).

    `span_s` = (start, end) keeps the frames shown from start (included) to end (excluded), within half a frame.
    `stream` is the index of the stream in the file; by default the best video stream, as FFmpeg ranks them.
    Strict: a file with one damaged, missing or surplus frame raises VideoError and nothing is returned.
    """
    if size is not None and (size[0] < 1 or size[1] < 1):
        raise ValueError(f"size must be (height, width) of at least 1 pixel, received {size}")
    task = {"task": "decode", "path": _existing(path), "span_s": _span(path, span_s), "stream": stream}
    task |= {"size": None if size is None else list(size), "expected_frames": expected_frames}
    return request(task, limits or VideoLimits()).frames


def _existing(path: Path | str) -> str:
    resolved = Path(path).absolute()
    if not resolved.is_file():
        raise VideoError(f"{path}: there is no such video file; copy the recording again or remove the episode")
    return str(resolved)


def _span(path: Path | str, span_s: tuple[float, float] | None) -> list[float] | None:
    if span_s is None:
        return None
    start, end = (float(edge) for edge in span_s)
    if not 0 <= start < end < float("inf"):
        raise VideoError(f"{path}: span_s must be (start, end) in seconds with 0 <= start < end, received {span_s}")
    return [start, end]
