"""Looking at one episode without decoding it: its rows, its videos' frame tables, and its content hash."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from armillary.core.errors import DataError, VideoError
from armillary.core.storage import safe_join
from armillary.data.content import ContentHash
from armillary.data.metadata import Listed, Metadata, VideoPlace
from armillary.data.mp4 import VideoTrack, read_track
from armillary.data.report import Fault
from armillary.data.rows import FROM_SOURCE, RowReader, check_rows

OPEN_TRACKS = 64


@dataclass(frozen=True, kw_only=True)
class Inspected:
    """What was seen of one episode; it is usable when `faults` is empty."""

    index: int
    content_hash: str
    faults: tuple[Fault, ...]


@dataclass(frozen=True, kw_only=True)
class Span:
    """An episode's frames in a video: `count` shown frames from `first` on."""

    track: VideoTrack
    first: int
    count: int

    @property
    def span_s(self) -> tuple[float, float] | None:
        """From when the first is shown to when the last has been; None when the file holds nothing else."""
        if self.first == 0 and self.count == len(self.track):
            return None
        shown = self.track.shown
        return max(0.0, float(shown[self.first])), float(shown[self.first + self.count - 1] + 1.0 / self.track.frames_per_second)


class TrackReader:
    """Reads frame tables and keeps the last few, for files that several episodes share."""

    def __init__(self, root: Path):
        self.root = root
        self._tracks: OrderedDict[str, VideoTrack] = OrderedDict()

    def read(self, file: str) -> VideoTrack:
        """The frame table of a file of the dataset. Raises VideoError."""
        track = self._tracks.get(file)
        if track is None:
            track = self._tracks[file] = read_track(safe_join(self.root, file), cut_allowed=True)
            while len(self._tracks) > OPEN_TRACKS:
                self._tracks.popitem(last=False)
        return track


def locate(track: VideoTrack, place: VideoPlace, length: int, fps: float) -> Span:
    """Where in a video an episode of `length` rows is. Raises VideoError when not exactly so many frames are there whole."""
    first, end = 0, len(track)
    if place.from_s is not None:
        half = 0.5 / fps
        first = int(np.searchsorted(track.shown, place.from_s - half))
        end = len(track) if place.to_s is None else int(np.searchsorted(track.shown, place.to_s - half))
    if end - first != length:
        where = "" if place.from_s is None else f" from {place.from_s:.4f} s to {place.to_s or track.shown[-1]:.4f} s"
        raise VideoError(f"{end - first} frames{where}")
    lost = int(track.lost[track.packets_of(first, length)].sum())
    if lost:
        raise VideoError(f"{track.path} is truncated: {lost} of {length} frames lie beyond its end ({track.file_bytes} bytes)")
    return Span(track=track, first=first, count=length)


def inspect_episodes(metadata: Metadata, progress: Callable[[int, int], None] | None = None) -> list[Inspected]:
    """Look at every listed episode, in order."""
    rows = RowReader(metadata.root, metadata.shared_files)
    tracks = TrackReader(metadata.root)
    inspected = []
    for number, listed in enumerate(metadata.listed):
        inspected.append(inspect_episode(metadata, listed, rows, tracks))
        if progress:
            progress(number + 1, len(metadata.listed))
    return inspected


def inspect_episode(metadata: Metadata, listed: Listed, rows: RowReader, tracks: TrackReader) -> Inspected:
    """Everything wrong with one episode, and the sha256 of what it holds (equal for the same content in v2.x and v3.0)."""
    info = metadata.info
    content = ContentHash(info.fps, listed.tasks)
    faults: list[Fault] = []
    try:
        table = rows.read(listed)
        faults += check_rows(listed, table, info.features, info.fps, metadata.tasks)
        content.add_rows(table, info.features)
    except DataError as error:
        faults.append(Fault(kind="parquet", file=listed.data_file, expected="a readable file", found=str(error), fix=FROM_SOURCE))
    for key, place in sorted(listed.videos.items()):
        faults += _inspect_video(metadata, listed, key, place, tracks, content)
    content_hash = content.hexdigest()
    if listed.content_hash and listed.content_hash != content_hash and not faults:
        found, kind = content_hash[:16], "content changed since it was written"
        faults.append(Fault(kind=kind, file=listed.data_file, expected=listed.content_hash[:16], found=found, fix=FROM_SOURCE))
    return Inspected(index=listed.index, content_hash=content_hash, faults=tuple(faults))


def _inspect_video(
    metadata: Metadata, listed: Listed, key: str, place: VideoPlace, tracks: TrackReader, content: ContentHash
) -> list[Fault]:
    feature, fps = metadata.info.features[key], metadata.info.fps
    fault = Fault(kind=f"video of {key}", file=place.file, expected=f"{listed.length} frames", found="", fix=FROM_SOURCE)
    try:
        if not safe_join(metadata.root, place.file).is_file():
            return [replace(fault, kind=f"video file of {key}", expected="it exists", found="missing")]
        track = tracks.read(place.file)
        span = locate(track, place, listed.length, fps)
        content.add_video(key, track.hash_packets(track.packets_of(span.first, span.count)))
    except DataError as error:
        return [replace(fault, found=str(error))]
    faults = []
    if (track.height, track.width) != feature.shape[:2]:
        size = f"{feature.shape[0]} x {feature.shape[1]} (height x width)"
        faults.append(replace(fault, kind=f"picture size of {key}", expected=size, found=f"{track.height} x {track.width}"))
    rate = track.frames_per_second
    if len(track) > 1 and abs(rate - fps) > 0.01 * fps:
        faults.append(replace(fault, kind=f"frame rate of {key}", expected=f"{fps:g} a second", found=f"{rate:.3f}"))
    codec = feature.video.get("codec")
    if isinstance(codec, str) and codec not in (track.codec, "libdav1d", "libsvtav1", "libx264", "avc1", "av01"):
        faults.append(replace(fault, kind=f"codec of {key}", expected=codec, found=track.codec))
    return faults
