"""The real videos beside the repository as one dataset to pre-train on: no labels, no actions, five pictures a second, 64 x 64 pixels.

Loose clips and the pictures of the training episodes of the G1 are each seen from every one of their first frames on; BridgeData as it is
stored, five pictures a second. Left out are the animated film, a clip of ten frames, the Franka's two pictures, decoder test cases, and
whatever was generated or simulated.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from armillary.core import Episode
from armillary.data.record import write_dataset
from armillary.data.staging import staged_folder
from armillary.data.video_episodes import frames_at_rate, read_square_video, video_episode
from recipes import bridge

FPS, SIDE = bridge.FPS, bridge.SIDE
CAMERA = "observation.images.view"
CLIPS = "video"
NOT_REAL_OR_TOO_SHORT = ("curate_test_video_30s.mp4", "reason1_sample.mp4")

Pictures = UInt8[np.ndarray, "t h w 3"]


def real_videos(robot: Sequence[Episode], camera: str, shared: Path | None, folder: Path, *, shortest: int) -> Path:
    """The dataset in `folder`, written now unless it was before: the robot's episodes, then clips and BridgeData from under `shared`.

    Pieces of fewer than `shortest` pictures are left out. Without `shared` it is the robot alone.
    """
    if not folder.exists():
        with staged_folder(folder) as staging:
            write_dataset(staging / "dataset", pieces(robot, camera, shared, shortest))
    return folder / "dataset"


def pieces(robot: Sequence[Episode], camera: str, shared: Path | None, shortest: int) -> Iterator[Episode]:
    """Every piece of video, at FPS pictures a second."""
    for episode in robot:
        yield from _from_every_frame(episode.frames[camera], 1.0 / episode.seconds_per_step, f"robot {episode.index}", shortest)
    if shared is None:
        return
    for path in sorted((shared / CLIPS).glob("*.mp4")):
        if path.name not in NOT_REAL_OR_TOO_SHORT:
            yield from _from_every_frame(*read_square_video(path, SIDE), path.stem, shortest)
    for path in sorted((shared / bridge.FOLDER).glob("*.tfrecord-*")):
        for number, frames in enumerate(bridge.bridge_videos(path)):
            if len(frames) >= shortest:
                yield video_episode(frames, FPS, camera=CAMERA, task=f"bridge {number}")


def _from_every_frame(frames: Pictures, recorded_fps: float, task: str, shortest: int) -> Iterator[Episode]:
    """The same recording from each of its first frames on, so that every frame is used."""
    for first in range(int(recorded_fps / FPS + 0.5)):
        chosen = frames_at_rate(len(frames), recorded_fps, FPS, offset_s=first / recorded_fps)
        if len(chosen) >= shortest:
            yield video_episode(frames[chosen], FPS, camera=CAMERA, task=f"{task} from frame {first}")
