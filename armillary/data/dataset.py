"""A LeRobot dataset (v2.0, v2.1 or v3.0) as recordings: open it, look at it, load an episode."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Float32

from armillary.core.episode import Episode
from armillary.core.errors import ConfigError, DataError
from armillary.core.storage import safe_join
from armillary.data.inspect_episode import Span, TrackReader, locate
from armillary.data.metadata import Listed, Metadata, read_metadata
from armillary.data.remembered import inspect_or_remember
from armillary.data.report import EpisodeRecord, Quarantined, Report
from armillary.data.rows import RowReader, numbers
from armillary.data.schema import ACTION, BOOKKEEPING, DONE, NUMERIC, REWARD, STATE, DatasetInfo, Feature
from armillary.data.validate import report_on
from armillary.data.video import decode_video

__all__ = ["Clip", "Dataset", "DatasetInfo", "EpisodeRecord", "Quarantined", "open_dataset"]


@dataclass(frozen=True)
class Clip:
    """Where one camera's pictures of an episode lie: a file, and the part of it in seconds (None: all of it)."""

    path: Path
    span_s: tuple[float, float] | None


class Dataset:
    """Recordings that passed validation. `episodes` are the usable ones, `quarantined` the others with reason and fix."""

    def __init__(self, metadata: Metadata, report: Report):
        self.path = metadata.root
        self.info: DatasetInfo = metadata.info
        self.episodes: tuple[EpisodeRecord, ...] = report.episodes
        self.quarantined: tuple[Quarantined, ...] = report.quarantined
        self.notes = report.notes
        self._metadata = metadata
        self._listed = {one.index: one for one in metadata.listed}
        self._records = {one.index: one for one in report.episodes}
        self._rows = RowReader(metadata.root, metadata.shared_files)
        self._tracks = TrackReader(metadata.root)

    def __len__(self) -> int:
        return len(self.episodes)

    def __repr__(self) -> str:
        return f"Dataset({str(self.path)!r}, {len(self.episodes)} episodes, {len(self.quarantined)} quarantined)"

    def clip(self, record: EpisodeRecord | int, camera: str) -> Clip:
        """Where the pictures of an episode lie."""
        record = self.record(record)
        span = self.span(record, camera)
        return Clip(span.track.path, span.span_s)

    def span(self, record: EpisodeRecord | int, camera: str) -> Span:
        """The frames of an episode in the frame table of their file."""
        listed = self.listed(record)
        if camera not in listed.videos:
            raise ConfigError(f"there is no camera {camera!r} in {self.path}; it has {', '.join(self.info.camera_keys) or 'none'}")
        place = listed.videos[camera]
        return locate(self._tracks.read(place.file), place, listed.length, self.info.fps)

    def record(self, record: EpisodeRecord | int) -> EpisodeRecord:
        """The record of a usable episode, by itself or by its index."""
        index = record if isinstance(record, int) else record.index
        if index in self._records:
            return self._records[index]
        for one in self.quarantined:
            if one.index == index:
                raise DataError(f"{self.path}: {one}")
        raise DataError(f"{self.path} has no episode {index}; it has {len(self._listed)} episodes")

    def listed(self, record: EpisodeRecord | int) -> Listed:
        """Where the metadata says that an episode is."""
        return self._listed[self.record(record).index]

    def rows(self, record: EpisodeRecord | int) -> pa.Table:
        """Every column of an episode as it is stored."""
        return self._rows.read(self.listed(record))

    @property
    def task_names(self) -> Mapping[int, str]:
        """Tasks by their number."""
        return self._metadata.tasks

    def load(self, record: EpisodeRecord | int, cameras: Sequence[str] | None = None) -> Episode:
        """An episode with its pictures at full resolution: of all cameras (None), of some, or of none (empty).

        Raises VideoError when a video cannot be decoded whole, DataError when a file has changed since it was opened.
        """
        record = self.record(record)
        wanted = self.info.camera_keys if cameras is None else tuple(cameras)
        columns = self._columns(record)
        frames = {}
        for camera in wanted:
            clip = self.clip(record, camera)
            frames[camera] = decode_video(clip.path, span_s=clip.span_s, expected_frames=record.length)
        reward, done = columns.pop(REWARD, None), columns.pop(DONE, None)
        return Episode(
            frames=frames,
            actions=_float32(columns.pop(ACTION)),
            state=_float32(columns.pop(STATE)) if STATE in columns else None,
            rewards=None if reward is None else _float32(reward)[:, 0],
            terminated=None if done is None else done[:, 0].astype(bool),
            labels={key: self._shaped(key, column) for key, column in columns.items()},
            task="; ".join(filter(None, record.tasks)),
            captions=self._captions(record) if len(set(record.tasks)) > 1 else None,
            index=record.index,
            content_hash=record.content_hash,
            seconds_per_step=self.info.seconds_per_step,
        )

    def _captions(self, record: EpisodeRecord) -> tuple[str, ...]:
        """The task of every row, of an episode that has several."""
        numbered = numbers(self.rows(record), Feature(key="task_index", dtype=BOOKKEEPING["task_index"], shape=(1,)))[:, 0]
        return tuple(self.task_names.get(number, "") for number in numbered.tolist())

    def _shaped(self, key: str, column: np.ndarray) -> np.ndarray:
        """A label's rows in the shape of its feature; a single number a row as `t`."""
        shape = self.info.features[key].shape
        return column[:, 0] if shape == (1,) else column.reshape(len(column), *shape)

    def _columns(self, record: EpisodeRecord) -> dict[str, np.ndarray]:
        table = self.rows(record)
        columns = {}
        for key, feature in self.info.features.items():
            if feature.dtype in NUMERIC and key not in BOOKKEEPING:
                try:
                    columns[key] = numbers(table, feature)
                except DataError as error:
                    file = safe_join(self.path, self._listed[record.index].data_file)
                    raise DataError(f"{file}: column {key!r} holds {error}; it has changed since the dataset was opened") from error
        return columns


def _float32(column: np.ndarray) -> Float32[np.ndarray, "t n"]:
    return np.ascontiguousarray(column, dtype=np.float32)


def open_dataset(path: Path | str, *, remember: bool = True, progress: Callable[[int, int], None] | None = None) -> Dataset:
    """Open a LeRobot dataset of v2.0, v2.1 or v3.0.

    Faulty episodes are put into `quarantined` and the rest is used. Raises one DataError that lists every discrepancy
    (file, expected, found, fix) when the metadata of the dataset as a whole does not tell the truth. Nothing is decoded;
    what was found is remembered until a file changes (`remember`).
    """
    metadata = read_metadata(Path(path))
    report = report_on(metadata, inspect_or_remember(metadata, remember=remember, progress=progress))
    report.raise_discrepancies()
    return Dataset(metadata, report)
