"""Recording episodes into a v3.0 dataset. Every episode whose `save` returned is on disk and readable, whatever happens next.

While a recording is open each episode has files of its own (chunk 900 and on), and info.json, replaced last, says how
many of them are certain. `close` joins them into shared files; a killed recording is joined by `finish_recording`.
"""

import errno
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Int64

from armillary.core.episode import Episode
from armillary.core.errors import DataError, StorageError
from armillary.core.storage import safe_join, storage_errors, sweep_temporary, sync_folder, write_atomically, write_json
from armillary.data.card import write_card
from armillary.data.content import ContentHash
from armillary.data.episode_features import check_episode, features_of
from armillary.data.episode_files import EpisodeFiles, Incoming, Start, episode_table
from armillary.data.inspect_episode import TrackReader, locate
from armillary.data.listing_v3 import DATA_PATH, EPISODES_FOLDER, HASH_COLUMN, RECORDING, VIDEO_PATH
from armillary.data.meta_files import camera_like, with_bookkeeping, write_episodes, write_info, write_stats, write_tasks
from armillary.data.metadata import Listed, Metadata, fill, read_metadata
from armillary.data.mp4 import read_track
from armillary.data.rows import RowReader
from armillary.data.schema import Feature
from armillary.data.staging import lock_folder
from armillary.data.stats import Stats, as_arrays, join_stats, picture_stats
from armillary.data.video import encode_video
from armillary.data.video_files import FILES_PER_CHUNK

SINGLE_CHUNK = 900
SMALL = 128  # pixels: below, a thing is often so few pixels wide that halved colour is most of what a recording loses
LOSSLESS, GOOD = 0, 18  # of H.264


class DatasetWriter:
    """Appends episodes to a v3.0 dataset. The first episode decides which features it has.

    `crf` and `full_colour` are those of `encode_video`; left out, pictures with a side of less than SMALL pixels are kept without loss but
    for the rounding of colours, others at GOOD quality with halved colour. Of a small picture where nothing moved, a third of the pixels
    change at that quality, and what learns from it takes that for what happens.

    Raises StorageError when `path` exists (unless `resume`) or another writer has it, DataError when an episode does
    not fit the dataset or holds NaN.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        robot_type: str = "unknown",
        action_names: Sequence[str] = (),
        state_names: Sequence[str] = (),
        resume: bool = False,
        crf: int | None = None,
        full_colour: bool | None = None,
    ):
        self.path = Path(path)
        self.robot_type = robot_type
        self._names, self._crf = (tuple(action_names), tuple(state_names)), crf
        self._full_colour = full_colour
        self._features: dict[str, Feature] = {}
        self._fps, self._episodes, self._frames = 0.0, 0, 0
        self._tasks: list[str] = []
        self._stats: dict[str, Stats] = {}
        if self.path.exists() and not resume:
            finish = f"finish a killed recording with `armillary data doctor {path}`, or append to it with DatasetWriter(..., resume=True)"
            raise StorageError(errno.EEXIST, f"this folder exists already; choose another one, {finish}", str(path))
        with storage_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=resume)
            sync_folder(self.path.parent)
            self._lock = os.open(self.path, os.O_RDONLY)
        try:
            lock_folder(self._lock, self.path)
            if resume and (self.path / "meta/info.json").is_file():
                self._go_on()
            write_json(self.path / RECORDING, {"first_episode": self._episodes})
        except BaseException:
            os.close(self._lock)
            raise

    def __enter__(self) -> "DatasetWriter":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def save(self, episode: Episode) -> int:
        """Put an episode on disk for good; its number in the dataset. Its pictures are encoded as H.264."""
        features = features_of(episode, *self._names)
        fps = round(1.0 / episode.seconds_per_step, 6)
        check_episode(episode, features, fps, self._features or features, self._fps or fps)
        self._features, self._fps = self._features or features, fps
        number, frames = self._episodes, self._frames + len(episode)
        tasks = list(dict.fromkeys([*self._tasks, *episode.texts]))
        if tasks != self._tasks:
            write_tasks(self.path, tasks)
        task_index = np.array([tasks.index(text) for text in episode.texts])
        row, stats = self._write_single(episode, number, task_index)
        write_episodes(self.path, number, [row], [stats], chunk=SINGLE_CHUNK)
        joined = join_stats([self._stats, stats] if self._stats else [stats])
        write_stats(self.path, joined)
        write_info(self.path, fps, self.robot_type, self._features, number + 1, frames, len(tasks))
        self._episodes, self._frames, self._tasks, self._stats = number + 1, frames, tasks, joined
        return number

    def close(self) -> None:
        """Join the episodes' files into shared ones and let go of the folder. Closing twice does nothing."""
        if self._lock is None:
            return
        try:
            if self._episodes:
                _finish(self.path)
            else:
                (self.path / RECORDING).unlink()
        finally:
            os.close(self._lock)
            self._lock = None

    def _go_on(self) -> None:
        _finish(self.path)
        metadata = read_metadata(self.path)
        if not metadata.shared_files:
            raise DataError(f"{self.path} is {metadata.info.version}; convert it first: armillary data convert {self.path} COPY")
        info = metadata.info
        self._features, self._fps, self.robot_type = dict(info.features), info.fps, info.robot_type
        self._episodes, self._frames, self._tasks = info.total_episodes, info.total_frames, list(info.tasks)
        self._stats = join_stats([as_arrays(one.stats) for one in metadata.listed])

    def _write_single(
        self, episode: Episode, number: int, task_index: Int64[np.ndarray, " t"]
    ) -> tuple[dict[str, object], dict[str, Stats]]:
        chunk, file = SINGLE_CHUNK + number // FILES_PER_CHUNK, number % FILES_PER_CHUNK
        place = {"chunk_index": chunk, "file_index": file}
        tasks = list(dict.fromkeys(episode.texts))
        rows = _rows_of(episode, self._features)
        table, stats = episode_table(rows, self._features, self._fps, number, self._frames, task_index)
        content = ContentHash(self._fps, tasks)
        content.add_rows(table, self._features)
        row = {"episode_index": number, "tasks": tasks, "length": len(episode)}
        row |= {"data/chunk_index": chunk, "data/file_index": file}
        row |= {"dataset_from_index": self._frames, "dataset_to_index": self._frames + len(episode)}
        for camera in sorted(episode.frames):
            path = safe_join(self.path, fill(VIDEO_PATH, place | {"video_key": camera}))
            small = min(episode.frames[camera].shape[1:3]) < SMALL
            full_colour = small if self._full_colour is None else self._full_colour
            crf = (LOSSLESS if small else GOOD) if self._crf is None else self._crf
            encode_video(path, episode.frames[camera], self._fps, crf=crf, full_colour=full_colour)
            track = read_track(path)
            if len(track) != len(episode):
                raise DataError(f"{path}: {len(track)} of {len(episode)} frames were encoded; check the disk and save again")
            content.add_video(camera, track.hash_packets(np.arange(len(track))))
            self._features[camera] = camera_like(self._features[camera], track)
            row |= {f"videos/{camera}/{name}": value for name, value in place.items()}
            row |= {f"videos/{camera}/from_timestamp": 0.0, f"videos/{camera}/to_timestamp": len(episode) / self._fps}
            stats[camera] = picture_stats(episode.frames[camera])
        write_atomically(safe_join(self.path, fill(DATA_PATH, place)), lambda temporary: pq.write_table(table, temporary))
        return row | {HASH_COLUMN: content.hexdigest()}, stats


def write_dataset(path: Path | str, episodes: Iterable[Episode], **options) -> Path:
    """Write episodes as a new v3.0 dataset; `options` are those of DatasetWriter. The folder that was written.

    Killed half-way, the episodes written so far can be read, and `armillary data doctor PATH --repair` closes it.
    """
    with DatasetWriter(path, **options) as writer:
        for episode in episodes:
            writer.save(episode)
    return Path(path)


def finish_recording(path: Path | str) -> None:
    """Close a recording whose writer was killed. May itself be killed and run again."""
    path = Path(path)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        lock_folder(descriptor, path)
        _finish(path)
    finally:
        os.close(descriptor)


def _rows_of(episode: Episode, features: Mapping[str, Feature]) -> pa.Table:
    """The recorded columns as a table that `numbers` reads back."""
    columns = {"action": episode.actions, "observation.state": episode.state, "next.reward": episode.rewards}
    columns |= {"next.done": episode.terminated, **episode.labels}
    table = {}
    for key, values in columns.items():
        if values is not None and key in features:
            flat = np.ascontiguousarray(values).reshape(len(episode), -1)
            table[key] = pa.FixedSizeListArray.from_arrays(pa.array(flat.reshape(-1)), flat.shape[1])
    return pa.table(table)


def _finish(path: Path) -> None:
    """Join what was written one by one. A disk that fills up meanwhile is a StorageError, and the episodes stay readable."""
    with storage_errors(path):
        _join_files(path)


def _join_files(path: Path) -> None:
    """Join single files into shared ones. Each step can be repeated: only the table of episodes says what counts."""
    if not (path / RECORDING).is_file():
        return
    metadata = read_metadata(path)
    if metadata.discrepancies:
        problems = "; ".join(str(one) for one in metadata.discrepancies)
        raise DataError(
            f"{path} cannot be finished in place: {problems}. A copy of what is sound: armillary data doctor {path} --repair COPY"
        )
    sweep_temporary(path)
    _remove_strays(metadata)
    features = with_bookkeeping(metadata.info.features)
    single = [one for one in metadata.listed if _chunk(one.data_file) >= SINGLE_CHUNK]
    if single:
        _join(metadata, single, features)
    for folder in (path / EPISODES_FOLDER, path / "data", *(path / "videos").glob("*")):
        for chunk in folder.glob("chunk-*"):
            if chunk.name.removeprefix("chunk-").isdecimal() and int(chunk.name.removeprefix("chunk-")) >= SINGLE_CHUNK:
                shutil.rmtree(chunk)
    info, tasks = metadata.info, metadata.info.tasks
    write_tasks(path, tasks)
    write_stats(path, join_stats([as_arrays(one.stats) for one in metadata.listed]))
    write_info(path, info.fps, info.robot_type, features, info.total_episodes, info.total_frames, len(tasks))
    write_card(path)
    (path / RECORDING).unlink()
    sync_folder(path / "meta")


def _chunk(file: str) -> int:
    return int(Path(file).parent.name.removeprefix("chunk-"))


def _remove_strays(metadata: Metadata) -> None:
    """Delete data and video files that belong to no certain episode."""
    used = {one.data_file for one in metadata.listed} | {place.file for one in metadata.listed for place in one.videos.values()}
    for pattern in ("data/chunk-*/file-*.parquet", "videos/*/chunk-*/file-*.mp4"):
        for path in metadata.root.glob(pattern):
            if path.relative_to(metadata.root).as_posix() not in used:
                path.unlink()


def _next_file(folder: Path) -> int:
    """The first free file number below the chunks of single files."""
    numbers = [
        _chunk(str(path)) * FILES_PER_CHUNK + int(path.stem.removeprefix("file-"))
        for path in folder.glob("chunk-*/file-*")
        if _chunk(str(path)) < SINGLE_CHUNK
    ]
    return max(numbers, default=-1) + 1


def _join(metadata: Metadata, single: Sequence[Listed], features: Mapping[str, Feature]) -> None:
    root = metadata.root
    start = Start(
        episode=single[0].index,
        frame=sum(one.length for one in metadata.listed if one.index < single[0].index),
        data_file=_next_file(root / "data"),
        video_file=max((_next_file(folder) for folder in (root / "videos").glob("*")), default=0),
    )
    rows, tracks = RowReader(root, metadata.shared_files), TrackReader(root)
    files = EpisodeFiles(root, features, metadata.info.fps, start)
    try:
        for listed in single:
            table = rows.read(listed)
            spans = {key: locate(tracks.read(place.file), place, listed.length, metadata.info.fps) for key, place in listed.videos.items()}
            task_index = np.asarray(table["task_index"].to_pylist(), dtype=np.int64)
            files.append(Incoming(rows=table, task_index=task_index, tasks=listed.tasks, spans=spans, stats=listed.stats))
        joined = files.close()
    finally:
        files.abandon()
    files.sync()
    write_episodes(root, _next_file(root / EPISODES_FOLDER), joined, files.stats)
