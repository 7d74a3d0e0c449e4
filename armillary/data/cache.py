"""The frame cache: every episode's pictures decoded and shrunk once, then read as memory-mapped uint8.

One file an episode, `ROOT/<camera>-<height>x<width>-v<version>/<content hash>.npy`. A file appears in one move when it is
whole, so a killed build keeps what it had, and of two builders at once the later move replaces the same bytes.
"""

import errno
import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
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
    """The episodes of a dataset with one camera's pictures at one size, at the recorded rate.

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
    camera: str,
    size: tuple[int, int],
    root: Path | str | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    workers: int | None = None,
    limits: VideoLimits | None = None,
) -> FrameCache:
    """Decode what is not cached yet, with `workers` decode children (default: one a processor), and map the rest.

    Raises ConfigError for an unknown camera, StorageError when the disk is full, DataError when nothing could be decoded.
    """
    if camera not in dataset.info.camera_keys:
        raise ConfigError(f"there is no camera {camera!r} in this dataset; it has {', '.join(dataset.info.camera_keys) or 'none'}")
    if min(size) < 1:
        raise ConfigError(f"size must be (height, width) of at least 1 pixel, received {size}")
    folder = (Path(root) if root is not None else cache_folder() / "frames") / _folder_name(camera, size)
    builder = _Builder(dataset, camera, size, folder, limits or VideoLimits())
    missing = [record for record in dataset.episodes if builder.mapped(record) is None]
    refused = builder.build(missing, workers or len(os.sched_getaffinity(0)), on_progress or (lambda progress: None))
    episodes = tuple(builder.episode(record) for record in dataset.episodes if record.index not in refused)
    if not episodes:
        reasons = "; ".join(str(one) for one in list(refused.values())[:3])
        raise DataError(f"no episode of camera {camera!r} could be decoded: {reasons or 'the dataset holds none'}")
    quarantined = tuple(refused[index] for index in sorted(refused))
    return FrameCache(folder, camera, size, episodes, quarantined, built=len(missing) - len(refused))


class _Builder:
    """One call's work on one cache folder."""

    def __init__(self, dataset: Recordings, camera: str, size: tuple[int, int], folder: Path, limits: VideoLimits):
        self.dataset, self.camera, self.size, self.folder, self.limits = dataset, camera, size, folder, limits

    def file(self, record: EpisodeRecord) -> Path:
        return self.folder / f"{hashlib.sha256(record.content_hash.encode()).hexdigest()[:40]}.npy"

    def mapped(self, record: EpisodeRecord) -> UInt8[np.ndarray, "t h w 3"] | None:
        """The cached pictures, or None when they are not there whole."""
        try:
            frames = np.load(self.file(record), mmap_mode="r", allow_pickle=False)
        except (FileNotFoundError, ValueError, EOFError):
            return None
        whole = frames.dtype == np.uint8 and frames.shape == (record.length, *self.size, 3)
        return np.asarray(frames) if whole else None

    def episode(self, record: EpisodeRecord) -> Episode:
        frames = self.mapped(record)
        if frames is None:
            raise StorageError(errno.EIO, "this cached episode vanished meanwhile; run the same command again", str(self.file(record)))
        bare = self.dataset.load(record, cameras=())
        return replace(bare, frames={self.camera: frames}, content_hash=record.content_hash, index=record.index)

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
        clip = self.dataset.clip(record, self.camera)
        frames = decode_video(clip.path, span_s=clip.span_s, expected_frames=record.length, size=self.size, limits=self.limits)
        write_atomically(self.file(record), lambda temporary: _write(temporary, frames))

    def _check_space(self, missing: list) -> None:
        needed = sum(record.length for record in missing) * self.size[0] * self.size[1] * 3
        free = shutil.disk_usage(self.folder).free
        if needed > free:
            raise StorageError(
                errno.ENOSPC,
                f"the frame cache needs {needed / 1e6:,.0f} MB here and {free / 1e6:,.0f} MB are free; "
                "free some space or set ARMILLARY_CACHE to a folder on another disk",
                str(self.folder),
            )

    def _quarantined(self, record: EpisodeRecord, error: VideoError) -> Quarantined:
        file = str(self.dataset.clip(record, self.camera).path)
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
