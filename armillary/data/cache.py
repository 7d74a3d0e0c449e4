"""The frame cache: every episode's pictures decoded and shrunk once, then read as memory-mapped uint8.

Several cameras may be asked for at once; their pictures are kept side by side, as if one camera had taken them.
One file an episode, `ROOT/<camera>-<height>x<width>-v<version>/<content hash>.npy`. A file appears in one move when it is
whole, so a killed build keeps what it had, and of two builders at once the later move replaces the same bytes.
"""

import errno
import fcntl
import hashlib
import math
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from armillary.core.episode import Episode
from armillary.core.errors import ConfigError, DataError, StorageError, VideoError
from armillary.core.storage import storage_errors, sweep_temporary, write_atomically
from armillary.data.remembered import cache_folder
from armillary.data.report import EpisodeRecord, Quarantined
from armillary.data.resize import RESIZE_VERSION
from armillary.data.video.decode import decode_video
from armillary.data.video.limits import VideoLimits

_LOCK = "building.lock"


@runtime_checkable
class Recordings(Protocol):
    """What the cache needs of a dataset; `armillary.data.dataset.Dataset` has it."""

    info: object
    episodes: tuple[EpisodeRecord, ...]

    def load(self, record, cameras=None) -> Episode:
        """An episode with the named cameras' pictures, all of them for None."""

    def clip(self, record, camera):
        """Where an episode's pictures lie: `.path`, and `.span_s` in it or None for the whole file."""


@dataclass(frozen=True)
class Progress:
    """How far a build is: `done` of `total` episodes are in the cache."""

    done: int
    total: int


@dataclass(frozen=True)
class FrameCache:
    """The episodes of a dataset with one camera's pictures at one size (or those of several side by side), at the recorded rate.

    `episodes[i].frames[camera]` is a read-only memory map `t h w c`. `quarantined` holds the episodes that could not be
    decoded, `built` counts those that this call had to decode.
    """

    folder: Path
    camera: str
    size: tuple[int, int]
    episodes: tuple[Episode, ...]
    quarantined: tuple[Quarantined, ...]
    built: int


def open_cache(
    dataset: Recordings,
    *,
    camera: str | tuple[str, ...],
    size: tuple[int, int],
    root: Path | str | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    workers: int | None = None,
    limits: VideoLimits | None = None,
) -> FrameCache:
    """Decode what is not cached yet, with `workers` decode children (default: one a processor), and map the rest.

    Several cameras, each of this `size`, are one camera of the name `side_by_side` gives them. An episode that one of them lacks is
    quarantined. Raises ConfigError for an unknown camera, StorageError when the disk is full, DataError when nothing could be decoded.
    """
    cameras = (camera,) if isinstance(camera, str) else camera
    for name in cameras:
        if name not in dataset.info.camera_keys:
            raise ConfigError(f"there is no camera {name!r} in this dataset; it has {', '.join(dataset.info.camera_keys) or 'none'}")
    camera = side_by_side(cameras)
    if min(size) < 1:
        raise ConfigError(f"size must be (height, width) of at least 1 pixel, received {size}")
    folder = (Path(root) if root is not None else cache_folder() / "frames") / _folder_name(camera, size)
    builder = _Builder(dataset, cameras, size, folder, limits or VideoLimits())
    missing = [record for record in dataset.episodes if builder.mapped(record) is None]
    refused = builder.build(missing, workers or len(os.sched_getaffinity(0)), on_progress or (lambda progress: None))
    episodes = tuple(builder.episode(record) for record in dataset.episodes if record.index not in refused)
    if not episodes:
        reasons = "; ".join(str(one) for one in list(refused.values())[:3])
        raise DataError(f"no episode of camera {camera!r} could be decoded: {reasons or 'the dataset holds none'}")
    quarantined = tuple(refused[index] for index in sorted(refused))
    return FrameCache(folder, camera, size, episodes, quarantined, built=len(missing) - len(refused))


def side_by_side(cameras: Sequence[str]) -> str:
    """The name of the camera that several are whose pictures stand side by side; of one its own.

    >>> side_by_side(["left", "right"])
    'left,right'
    """
    return ",".join(cameras)


def cameras_beside(camera: str) -> tuple[str, ...]:
    """The cameras that a name of `side_by_side` stands for. No camera's name has a comma: it is the name of a folder, see `safe_join`."""
    return tuple(camera.split(","))


class _Builder:
    """One call's work on one cache folder."""

    def __init__(self, dataset: Recordings, cameras: tuple[str, ...], size: tuple[int, int], folder: Path, limits: VideoLimits):
        self.dataset, self.cameras, self.size, self.folder, self.limits = dataset, cameras, size, folder, limits
        self.shape = (size[0], size[1] * len(cameras), 3)

    def file(self, record: EpisodeRecord) -> Path:
        return self.folder / f"{hashlib.sha256(record.content_hash.encode()).hexdigest()[:40]}.npy"

    def mapped(self, record: EpisodeRecord) -> UInt8[np.ndarray, "t h w 3"] | None:
        """The cached pictures, or None when they are not there whole."""
        try:
            frames = np.load(self.file(record), mmap_mode="r", allow_pickle=False)
        except (FileNotFoundError, ValueError, EOFError):
            return None
        whole = frames.dtype == np.uint8 and frames.shape == (record.length, *self.shape)
        return np.asarray(frames) if whole else None

    def episode(self, record: EpisodeRecord) -> Episode:
        frames = self.mapped(record)
        if frames is None:
            raise StorageError(errno.EIO, "this cached episode vanished meanwhile; run the same command again", str(self.file(record)))
        bare = self.dataset.load(record, cameras=())
        return replace(bare, frames={side_by_side(self.cameras): frames}, content_hash=record.content_hash, index=record.index)

    def build(self, missing: list, workers: int, on_progress: Callable[[Progress], None]) -> dict[int, Quarantined]:
        """Decode the missing episodes; those that were refused, by index."""
        if not missing:
            return {}
        total = len(self.dataset.episodes)
        done = total - len(missing)
        refused: dict[int, Quarantined] = {}
        with _building(self.folder) as alone, ThreadPoolExecutor(workers, thread_name_prefix="armillary-cache") as pool:
            self._check_space(missing)
            # A second builder starts from the other end, so that the two share the work and meet in the middle.
            tasks = {pool.submit(self._store, record): record for record in (missing if alone else reversed(missing))}
            try:
                for task in as_completed(tasks):
                    try:
                        task.result()
                    except VideoError as error:
                        refused[tasks[task].index] = self._quarantined(tasks[task], error)
                    done += 1
                    on_progress(Progress(done, total))
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
        return refused

    def _store(self, record: EpisodeRecord) -> None:
        if self.mapped(record) is not None:
            return
        clips = [self.dataset.clip(record, camera) for camera in self.cameras]
        asked = {"expected_frames": record.length, "size": self.size, "limits": self.limits}
        seen = [decode_video(clip.path, span_s=clip.span_s, **asked) for clip in clips]
        frames = seen[0] if len(seen) == 1 else np.concatenate(seen, axis=2)
        write_atomically(self.file(record), lambda temporary: _write(temporary, frames))

    def _check_space(self, missing: list) -> None:
        needed = sum(record.length for record in missing) * math.prod(self.shape)
        free = shutil.disk_usage(self.folder).free
        if needed > free:
            raise StorageError(
                errno.ENOSPC,
                f"the frame cache needs {needed / 1e6:,.0f} MB here and {free / 1e6:,.0f} MB are free; "
                "free some space or set ARMILLARY_CACHE to a folder on another disk",
                str(self.folder),
            )

    def _quarantined(self, record: EpisodeRecord, error: VideoError) -> Quarantined:
        files = [str(self.dataset.clip(record, camera).path) for camera in self.cameras]
        file = next((file for file in files if str(error).startswith(f"{file}: ")), files[0])
        reason, _, fix = str(error).removeprefix(f"{file}: ").rpartition("; ")
        return Quarantined(index=record.index, reason=reason, file=file, fix=fix)


def _write(path: Path, frames: UInt8[np.ndarray, "t h w 3"]) -> None:
    """A .npy file, by plain writes: `np.save` reports a full disk without an error number."""
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(frames))
        file.write(memoryview(frames).cast("B"))


def _folder_name(camera: str, size: tuple[int, int]) -> str:
    readable = re.sub(r"[^A-Za-z0-9._-]", "_", camera)[-80:].lstrip(".")
    return f"{readable}-{hashlib.sha256(camera.encode()).hexdigest()[:8]}-{size[0]}x{size[1]}-v{RESIZE_VERSION}"


@contextmanager
def _building(folder: Path) -> Iterator[bool]:
    """Hold the folder's builders' lock (shared; the kernel frees it on any death); true when no other builder is at work."""
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _LOCK).touch()
    with open(folder / _LOCK, "rb") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            alone = True
            sweep_temporary(folder)
        except BlockingIOError:
            alone = False
        fcntl.flock(handle, fcntl.LOCK_SH)
        yield alone
