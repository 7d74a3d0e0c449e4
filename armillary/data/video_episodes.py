"""Loose videos as recordings without actions: cut to a square, at one rate, so that a dataset can be written of them."""

from fractions import Fraction
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8

from armillary.core.episode import Episode
from armillary.core.errors import ConfigError
from armillary.data.video import decode_video, probe_video


def frames_at_rate(count: int, recorded_fps: float, fps: float, offset_s: float = 0.0) -> Int64[np.ndarray, " n"]:
    """Which of `count` frames are shown at `offset_s`, and `1 / fps` seconds later, and so on: the nearest one to each moment.

    None where the recording ends before the first moment. ConfigError where frames would have to be shown twice.

    >>> frames_at_rate(10, 30.0, 10.0, offset_s=1 / 30).tolist()
    [1, 4, 7]
    """
    if not 0 < fps <= recorded_fps * 1.01:
        raise ConfigError(f"a video of {recorded_fps:g} frames a second cannot be seen at {fps:g}; ask for at most its own rate")
    if offset_s < 0:
        raise ConfigError(f"offset_s must be >= 0, received {offset_s}")
    moments = offset_s * recorded_fps + np.arange(count) * (recorded_fps / fps)
    found = np.floor(moments + 0.5).astype(np.int64)
    return found[found < count]


def video_episode(frames: UInt8[np.ndarray, "t h w 3"], fps: float, *, camera: str, task: str = "") -> Episode:
    """Pictures as an episode without state, whose actions are zeros of size 1: there is nothing that was done."""
    actions = np.zeros((len(frames), 1), np.float32)
    return Episode(frames={camera: np.ascontiguousarray(frames)}, actions=actions, seconds_per_step=1.0 / fps, task=task)


def read_square_video(path: Path | str, side: int) -> tuple[UInt8[np.ndarray, "t side side 3"], float]:
    """Every frame of a video, its middle square shrunk by area to `side` pixels, and its frames a second. VideoError if it is damaged."""
    info = probe_video(path)
    if side < 1 or side > min(info.height, info.width):
        raise ConfigError(f"{path} has pictures of {info.height} x {info.width}; side must be at most the shorter one, received {side}")
    shape = Fraction(max(info.height, info.width), min(info.height, info.width))
    long = max(side, round(side * shape))
    size = (long, side) if info.height > info.width else (side, long)
    frames = decode_video(path, size=size)
    top, left = (size[0] - side) // 2, (size[1] - side) // 2
    return frames[:, top : top + side, left : left + side], info.fps
