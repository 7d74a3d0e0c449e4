"""Rows and videos of episodes written into the files of a v3.0 dataset, one episode after another."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from armillary.core.storage import sync_folder
from armillary.data.content import ContentHash
from armillary.data.inspect_episode import Span
from armillary.data.listing_v3 import DATA_PATH, HASH_COLUMN, VIDEO_PATH
from armillary.data.metadata import fill
from armillary.data.rows import numbers
from armillary.data.schema import BOOKKEEPING, NUMERIC, Feature
from armillary.data.stats import Stats, column_stats, known_stats, picture_stats
from armillary.data.video import decode_video
from armillary.data.video_files import FILES_PER_CHUNK, Carried, VideoFiles

PLACE = ("chunk_index", "file_index")
MAX_FILE_BYTES = 100 * 2**20


@dataclass(frozen=True, kw_only=True)
class Incoming:
    """An episode on its way into a dataset. `task_index` numbers the target's tasks, one for each row."""

    rows: pa.Table
    task_index: np.ndarray
    tasks: tuple[str, ...]
    spans: Mapping[str, Span]
    stats: Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class Start:
    """Where writing goes on: the number of the first episode, its first row, and the first free file."""

    episode: int = 0
    frame: int = 0
    data_file: int = 0
    video_file: int = 0


class EpisodeFiles:
    """Appends episodes to a dataset's data and video files. Rows of the episodes table are ready after `close`."""

    def __init__(self, folder: Path, features: Mapping[str, Feature], fps: float, start: Start | None = None):
        start = start or Start()
        self.folder, self.features, self.fps = folder, features, fps
        self._episode, self._frame, self._data_file = start.episode, start.frame, start.data_file
        self._videos = {
            key: VideoFiles(folder, key, fps, start.video_file) for key, feature in features.items() if feature.dtype == "video"
        }
        self._writer: pq.ParquetWriter | None = None
        self._bytes = 0
        self._rows: list[dict[str, object]] = []
        self._contents: list[ContentHash] = []
        self.stats: list[dict[str, Stats]] = []

    def append(self, episode: Incoming) -> int:
        """Write an episode; its number in the dataset."""
        number, length = self._episode, len(episode.rows)
        table, stats = episode_table(episode.rows, self.features, self.fps, number, self._frame, episode.task_index)
        for key, files in self._videos.items():
            files.append(number, episode.spans[key])
            stats[key] = known_stats(episode.stats.get(key), self.features[key]) or _measured(episode.spans[key])
        chunk, file = self._write(table)
        content = ContentHash(self.fps, episode.tasks)
        content.add_rows(table, self.features)
        self._contents.append(content)
        self._rows.append(
            {
                "episode_index": number,
                "tasks": list(episode.tasks),
                "length": length,
                "data/chunk_index": chunk,
                "data/file_index": file,
                "dataset_from_index": self._frame,
                "dataset_to_index": self._frame + length,
            }
        )
        self.stats.append(stats)
        self._episode += 1
        self._frame += length
        return number

    def close(self) -> list[dict[str, object]]:
        """Finish the open files; one row of the episodes table for each episode (without statistics)."""
        self.abandon()
        for files in self._videos.values():
            files.flush()
        for row, content in zip(self._rows, self._contents, strict=True):
            for key, files in sorted(self._videos.items()):
                row.update(files.places[row["episode_index"]])
                content.add_video(key, files.hashes[row["episode_index"]])
            row[HASH_COLUMN] = content.hexdigest()
        return self._rows

    def abandon(self) -> None:
        """Let go of the open data file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def sync(self) -> None:
        """Make the files that were written survive power loss."""
        names = {fill(DATA_PATH, {name: row[f"data/{name}"] for name in PLACE}) for row in self._rows}
        for key in self._videos:
            names |= {fill(VIDEO_PATH, {"video_key": key} | {name: row[f"videos/{key}/{name}"] for name in PLACE}) for row in self._rows}
        for name in sorted(names):
            with open(self.folder / name, "rb+") as handle:
                os.fsync(handle.fileno())
            sync_folder((self.folder / name).parent)

    def carried(self, number: int) -> dict[str, Carried]:
        """How an episode's pictures came over, by camera; after `close`."""
        return {key: files.carried[number] for key, files in self._videos.items()}

    def _write(self, table: pa.Table) -> tuple[int, int]:
        if self._writer is not None and self._bytes + table.nbytes > MAX_FILE_BYTES:
            self.abandon()
            self._data_file += 1
        chunk, file = divmod(self._data_file, FILES_PER_CHUNK)
        if self._writer is None:
            path = self.folder / fill(DATA_PATH, {"chunk_index": chunk, "file_index": file})
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writer, self._bytes = pq.ParquetWriter(path, table.schema, compression="snappy"), 0
        self._writer.write_table(table, row_group_size=max(1, len(table)))
        self._bytes += table.nbytes
        return chunk, file


def _measured(span: Span) -> Stats:
    return picture_stats(decode_video(span.track.path, span_s=span.span_s, expected_frames=span.count))


def episode_table(
    rows: pa.Table, features: Mapping[str, Feature], fps: float, episode: int, first_row: int, task_index: np.ndarray
) -> tuple[pa.Table, dict[str, Stats]]:
    """The rows as v3.0 stores them, bookkeeping made anew (row t at t / fps), and the statistics of each numeric column."""
    steps = np.arange(len(rows))
    made = {
        "timestamp": (steps / fps).astype(np.float32),
        "frame_index": steps,
        "episode_index": np.full(len(rows), episode),
        "index": first_row + steps,
        "task_index": task_index,
    }
    columns: dict[str, pa.Array] = {}
    stats: dict[str, Stats] = {}
    for key, feature in features.items():
        if feature.dtype in NUMERIC:
            values = made[key][:, None] if key in BOOKKEEPING else numbers(rows, feature)
            values = values.astype(feature.dtype).reshape(len(rows), *feature.shape)
            columns[key] = _arrow(values)
            stats[key] = column_stats(values)
        elif feature.dtype != "video":
            columns[key] = rows[key].combine_chunks()
    return pa.table(columns), stats


def _arrow(values: np.ndarray) -> pa.Array:
    """Scalars as plain values, vectors as fixed-size lists, more axes as nested lists: what `datasets` expects."""
    array = pa.array(np.ascontiguousarray(values).reshape(-1))
    if values.ndim == 2:
        return array if values.shape[1] == 1 else pa.FixedSizeListArray.from_arrays(array, values.shape[1])
    for axis in range(values.ndim - 1, 0, -1):
        count = int(np.prod(values.shape[:axis]))
        array = pa.ListArray.from_arrays(pa.array(np.arange(count + 1) * values.shape[axis], pa.int32()), array)
    return array
