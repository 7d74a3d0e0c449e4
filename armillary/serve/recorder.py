"""What was played, kept: as episodes of a LeRobot dataset that can be trained on, and as a film."""

import logging
import queue
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from armillary.core import ArmillaryError, Episode, State, concatenate
from armillary.data.cache import cameras_beside
from armillary.data.record import DatasetWriter
from armillary.data.video import encode_video
from armillary.serve.playable import TRUTH, WORLD, Playable
from armillary.serve.session import Moment

MAX_EPISODES = 1000
MAX_WAITING = 8
FILM_HEIGHT = 384  # pixels at least, by whole multiples
_LOG = logging.getLogger(__name__)


def episode_of(moments: Sequence[Moment], playable: Playable) -> Episode:
    """The recording of moments that follow one another; the last one is only what the last action led to."""
    before, after = moments[:-1], moments[1:]
    states: list[State] = [one.place.state for one in before]
    exact = playable.true_state(states[0])
    rewarded = after[0].reward is not None
    values = [one.value for one in after if one.value is not None]
    cameras = cameras_beside(playable.camera)
    seen = np.split(np.stack([one.frames[WORLD] for one in before]), len(cameras), axis=2)
    return Episode(
        frames=dict(zip(cameras, seen, strict=True)),
        actions=playable.controls.columns(values).numpy(),
        state=None if exact is None else playable.true_state(concatenate(states)),
        rewards=np.array([one.reward for one in after], dtype=np.float32) if rewarded else None,
        terminated=np.array([one.ended for one in after]) if rewarded else None,
        seconds_per_step=playable.world.spec.seconds_per_step,
        task=playable.task,
        captions=tuple(one.text for one in before) if any(one.text for one in before) else None,
    )


def film_of(moments: Sequence[Moment], seconds_per_step: float) -> bytes:
    """An mp4 of what was seen, the simulator's pictures at the right where there are some."""
    pictures = np.stack([np.concatenate([one.frames[name] for name in (WORLD, TRUTH) if name in one.frames], axis=1) for one in moments])
    scale = -(-FILM_HEIGHT // pictures.shape[1])
    with tempfile.TemporaryDirectory(prefix="armillary-film-") as folder:
        path = Path(folder) / "film.mp4"
        encode_video(path, pictures.repeat(scale, axis=1).repeat(scale, axis=2), 1.0 / seconds_per_step, gop=12)
        return path.read_bytes()


class Recorder:
    """Writes episodes into one new dataset, in the background, one after the other. The folder is made by the first episode.

    Every episode of which `told` has heard is on disk and readable, whatever happens next.
    """

    def __init__(self, playable: Playable, folder: Path):
        self.folder, self._playable = folder, playable
        self._writer: DatasetWriter | None = None
        self._waiting: queue.Queue[tuple[Sequence[Moment], Callable[[dict], None]] | None] = queue.Queue()
        self._count = 0
        self._thread = threading.Thread(target=self._work, name="armillary-recorder", daemon=True)
        self._thread.start()

    def save(self, moments: Sequence[Moment], told: Callable[[dict], None]) -> None:
        """Put an episode on disk, and say so: `saved` with its number and the folder, or why not."""
        if self._count >= MAX_EPISODES or self._waiting.qsize() >= MAX_WAITING:
            told({"kind": "notice", "level": "error", "text": "the recorder is full; this recording was not kept"})
            return
        self._count += 1
        self._waiting.put((moments, told))

    def close(self) -> None:
        """Write what waits, and close the dataset."""
        self._waiting.put(None)
        self._thread.join()
        if self._writer is not None:
            self._writer.close()

    def _work(self) -> None:
        while (item := self._waiting.get()) is not None:
            moments, told = item
            try:
                number = self._write(moments)
            except (ArmillaryError, OSError) as error:
                _LOG.warning("an episode was not written: %s", error)
                told({"kind": "notice", "level": "error", "text": str(error)})
            else:
                told({"kind": "saved", "episode": number, "steps": len(moments) - 1, "folder": str(self.folder)})

    @torch.no_grad()
    def _write(self, moments: Sequence[Moment]) -> int:
        if self._writer is None:
            names = [axis.name for axis in self._playable.controls.axes] or [one.name for one in self._playable.controls.choices]
            self._writer = DatasetWriter(self.folder, robot_type=self._playable.robot_type, action_names=names)
        return self._writer.save(episode_of(moments, self._playable))
