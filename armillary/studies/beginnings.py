"""Where a world's dreams may begin: moments of recordings that it never learned from, and what a player must know of the recordings.

They travel with a published run, which is then played without the dataset:

beginnings.safetensors   frames (m c h w 3, uint8), actions (m c-1 a) between them, next_actions (m a) of the recordings
beginnings.json          the robot, the names of its actions, the size of its pictures, the tasks
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.numpy
from jaxtyping import Float32, UInt8
from safetensors import SafetensorError

from armillary.core import ArmillaryError, CheckpointError, Episode, WorldError
from armillary.core.settings import from_plain, to_plain
from armillary.core.storage import read_json, write_atomically, write_json
from armillary.data.cache import cameras_beside
from armillary.data.schema import DatasetInfo

TENSORS, WORDS = "beginnings.safetensors", "beginnings.json"


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What a player must know of recordings: whose they are, what an action's numbers are called, the size of a picture
    (several cameras' stand side by side)."""

    robot_type: str
    action_names: tuple[str, ...]
    height: int
    width: int

    @classmethod
    def of(cls, info: DatasetInfo, camera: str) -> "Recorded":
        """What a dataset says."""
        shapes = [info.features[one].shape for one in cameras_beside(camera)]
        names = tuple(info.action_names)
        return cls(robot_type=info.robot_type, action_names=names, height=shapes[0][0], width=sum(shape[1] for shape in shapes))


@dataclass(frozen=True, kw_only=True)
class Moment:
    """The context of a dream, what the robot did next, and what it was told to do."""

    frames: UInt8[np.ndarray, "c h w 3"]
    actions: Float32[np.ndarray, "c-1 a"]
    next_action: Float32[np.ndarray, " a"]
    task: str


def draw_moment(episodes: Sequence[Episode], *, camera: str, context: int, seed: int) -> Moment:
    """One moment of one of the episodes, each of which must be longer than the context."""
    rng = np.random.default_rng(seed)
    episode = episodes[int(rng.integers(len(episodes)))]
    first = int(rng.integers(len(episode) - context))
    return Moment(
        frames=episode.frames[camera][first : first + context],
        actions=episode.actions[first : first + context - 1],
        next_action=episode.actions[first + context - 1],
        task=episode.task,
    )


def longer_than(context: int, episodes: Sequence[Episode], name: str) -> list[Episode]:
    """The episodes that hold a context and a step more. WorldError where none does; `name` is the world's."""
    found = [episode for episode in episodes if len(episode) > context]
    if not found:
        raise WorldError(f"no episode that {name} never learned from is longer than its context of {context} steps")
    return found


def save_beginnings(folder: Path, recorded: Recorded, moments: Sequence[Moment]) -> None:
    """Write both files."""
    tensors = {
        name: np.stack([getattr(one, field) for one in moments])
        for name, field in (("frames", "frames"), ("actions", "actions"), ("next_actions", "next_action"))
    }
    write_atomically(folder / TENSORS, lambda path: path.write_bytes(safetensors.numpy.save(tensors)))
    write_json(folder / WORDS, {**to_plain(recorded), "tasks": [one.task for one in moments]})


def load_beginnings(folder: Path) -> tuple[Recorded, list[Moment]] | None:
    """What was saved in a folder; None where nothing was. CheckpointError where the two files are damaged or do not fit."""
    if not (folder / WORDS).is_file():
        return None
    try:
        words = read_json(folder / WORDS)
        tasks = words.pop("tasks")
        tensors = safetensors.numpy.load((folder / TENSORS).read_bytes())
        parts = zip(tensors["frames"], tensors["actions"], tensors["next_actions"], tasks, strict=True)
        moments = [Moment(frames=frames, actions=actions, next_action=after, task=str(task)) for frames, actions, after, task in parts]
        return from_plain(Recorded, words), moments
    except (OSError, SafetensorError, ArmillaryError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{folder / WORDS} and {TENSORS} are damaged: {error}; publish the run again") from error
