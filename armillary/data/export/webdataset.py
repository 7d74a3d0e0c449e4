"""WebDataset: tar files of samples, one sample a frame, in the order in which they were seen."""

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from armillary.data.export.pictures import jpeg, png
from armillary.data.export.takes import Progress, Selection, Take

FRAMES_PER_SHARD = 1000


def write_webdataset(
    selection: Selection, folder: Path, progress: Progress | None = None, *, frames_per_shard: int = FRAMES_PER_SHARD
) -> None:
    """Write `shard-NNNNNN.tar` into an empty folder, the same bytes for the same pictures and labels.

    A sample is called EPISODE-CAMERA-FRAME and has `.jpg`, `.json` (action, state, reward and end of the step that follows, camera, what is
    in the picture and where) and, where it was recorded, `.depth.npy` (h w float32, m, 0: nothing) and `.seg.png` (8 or 16 bits of grey:
    ids, which the json explains). A camera's frames of an episode lie in one shard, one after another, so that a reader can cut windows; a
    shard is closed before it would pass `frames_per_shard`.
    """
    shards = _Shards(folder, frames_per_shard)
    try:
        for take in selection.takes((), progress):
            shards.make_room(len(take.episode))
            for frame in range(len(take.episode)):
                for ending, content in _sample(take, frame):
                    shards.add(f"{take.name}-{frame:06d}.{ending}", content)
    finally:
        shards.close()


class _Shards:
    """Tar files, one after another."""

    def __init__(self, folder: Path, frames_per_shard: int):
        self._folder, self._most = folder, frames_per_shard
        self._number, self._frames = 0, 0
        self._open: tarfile.TarFile | None = None

    def make_room(self, frames: int) -> None:
        """Begin the next shard if these frames do not fit into this one, or there is none."""
        if self._open is None or self._frames + frames > self._most:
            self.close()
            self._open = tarfile.TarFile(self._folder / f"shard-{self._number:06d}.tar", "w", format=tarfile.USTAR_FORMAT)
            self._number, self._frames = self._number + 1, 0
        self._frames += frames

    def add(self, name: str, content: bytes) -> None:
        """A file whose header has no time, owner or anything else of this machine."""
        header = tarfile.TarInfo(name)
        header.size, header.mode = len(content), 0o644
        self._open.addfile(header, io.BytesIO(content))

    def close(self) -> None:
        """Finish the shard that is open, if one is."""
        if self._open is not None:
            self._open.close()
            self._open = None


def _sample(take: Take, frame: int) -> Iterator[tuple[str, bytes]]:
    yield "jpg", jpeg(take.episode.frames[take.key][frame])
    camera = take.camera
    if camera.depth_m is not None:
        written = io.BytesIO()
        np.lib.format.write_array(written, camera.depth_m[frame], allow_pickle=False)
        yield "depth.npy", written.getvalue()
    if camera.segmentation is not None:
        ids = camera.segmentation[frame]
        yield "seg.png", png(ids if len(take.labels.names.things) > 256 else ids.astype(np.uint8))
    yield "json", json.dumps(_facts(take, frame), allow_nan=False, ensure_ascii=False).encode()


def _facts(take: Take, frame: int) -> dict:
    episode, camera, names = take.episode, take.camera, take.labels.names
    facts = {
        "episode": episode.index,
        "frame": frame,
        "num_frames": len(episode),
        "seconds_per_step": episode.seconds_per_step,
        "task": episode.task,
        "camera": camera.name,
        "intrinsics": camera.intrinsics().tolist(),
        "distortion": camera.distortion.tolist(),
        "camera_from_world": camera.camera_from_world()[frame].tolist(),
    }
    columns = {"action": episode.actions, "state": episode.state, "reward": episode.rewards, "terminated": episode.terminated}
    facts |= {name: column[frame].tolist() for name, column in columns.items() if column is not None}
    if camera.segmentation is not None:
        ids = np.unique(camera.segmentation[frame])
        facts["bodies"] = {
            str(number): {
                "thing": names.things[number],
                "body": names.bodies[number],
                "kind": names.kinds[number],
                "world_from_body": take.labels.world_from_body[frame, number].tolist(),
            }
            for number in ids[ids > 0].tolist()
        }
    return facts
