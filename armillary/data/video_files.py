"""One camera's mp4 files of a v3.0 dataset: several episodes in each, packets copied, re-encoded only when they must be."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from armillary.core.errors import VideoError
from armillary.core.storage import TEMPORARY_PREFIX
from armillary.data.inspect_episode import Span
from armillary.data.listing_v3 import VIDEO_PATH
from armillary.data.metadata import fill
from armillary.data.mp4 import read_track
from armillary.data.mp4_join import Stretch, join, stretch_of
from armillary.data.video import decode_video, encode_video

FILES_PER_CHUNK = 1000
MAX_FILE_BYTES = 200 * 2**20
# LeRobot looks frames up by float32 seconds to 1e-4: beyond 1024 s those are too coarse.
MAX_FILE_SECONDS = 900.0


@dataclass(frozen=True, kw_only=True)
class Carried:
    """How an episode's pictures came over: `copied` byte for byte (checked by hash), or re-encoded with this error (0 to 255)."""

    copied: bool
    note: str = ""
    worst_error: int = 0
    mean_error: float = 0.0

    @property
    def frame_exact(self) -> bool:
        """True when every decoded frame is the same."""
        return self.copied or self.worst_error == 0


class VideoFiles:
    """Writes a camera's episodes one after another; `flush` puts what was gathered into a file."""

    def __init__(self, folder: Path, camera: str, fps: float, first_file: int = 0):
        self.folder, self.camera, self.fps = folder, camera, fps
        self._file = first_file
        self._pending: list[tuple[int, Stretch, Carried]] = []
        self.places: dict[int, Mapping[str, object]] = {}
        self.carried: dict[int, Carried] = {}
        self.hashes: dict[int, str] = {}

    def append(self, episode: int, span: Span) -> None:
        """Take an episode's frames over."""
        stretch, carried = self._stretch(episode, span)
        if self._pending and not self._fits(stretch):
            self.flush()
        self._pending.append((episode, stretch, carried))

    def flush(self) -> None:
        """Write the gathered episodes into one file and check that every packet arrived."""
        if not self._pending:
            return
        chunk, file = divmod(self._file, FILES_PER_CHUNK)
        path = self.folder / fill(VIDEO_PATH, {"video_key": self.camera, "chunk_index": chunk, "file_index": file})
        path.parent.mkdir(parents=True, exist_ok=True)
        join(path, [stretch for _, stretch, _ in self._pending], self.fps)
        written, first = read_track(path), 0
        for episode, stretch, carried in self._pending:
            count = len(stretch.packets)
            self.hashes[episode] = written.hash_packets(written.packets_of(first, count))
            if self.hashes[episode] != stretch.track.hash_packets(stretch.packets):
                raise VideoError(f"{path}: frames {first} to {first + count - 1} differ from {stretch.track.path}; check the disk")
            prefix, end = f"videos/{self.camera}/", first + count
            times = {"from_timestamp": first / self.fps, "to_timestamp": end / self.fps}
            place = {"chunk_index": chunk, "file_index": file} | times
            self.places[episode] = {prefix + name: value for name, value in place.items()}
            self.carried[episode] = carried
            first = end
            if stretch.track.path.name.startswith(TEMPORARY_PREFIX):
                stretch.track.path.unlink()
        self._pending = []
        self._file += 1

    def _fits(self, stretch: Stretch) -> bool:
        same = stretch.track.decoding == self._pending[0][1].track.decoding
        frames = sum(len(one.packets) for _, one, _ in self._pending) + len(stretch.packets)
        size = sum(one.num_bytes for _, one, _ in self._pending) + stretch.num_bytes
        return same and frames <= MAX_FILE_SECONDS * self.fps and size <= MAX_FILE_BYTES

    def _stretch(self, episode: int, span: Span) -> tuple[Stretch, Carried]:
        try:
            return stretch_of(span.track, span.first, span.count), Carried(copied=True)
        except VideoError as error:
            reason = str(error)
        frames = decode_video(span.track.path, span_s=span.span_s, expected_frames=span.count)
        path = self.folder / f"{TEMPORARY_PREFIX}{self.camera}-{episode}.mp4"
        encode_video(path, frames, self.fps)
        error = np.abs(decode_video(path, expected_frames=span.count).astype(np.int16) - frames)
        track = read_track(path)
        carried = Carried(copied=False, note=reason, worst_error=int(error.max()), mean_error=float(error.mean()))
        return Stretch(track, np.arange(len(track))), carried
