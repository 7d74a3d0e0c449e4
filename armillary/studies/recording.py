"""A small world's recordings as a dataset on disk, to train on."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from armillary.core import Episode
from armillary.core.storage import read_json
from armillary.data.record import write_dataset
from armillary.studies.layout import build_env, read_layout
from armillary.worlds.small.record import stream_episodes

NO_GOAL = "-no-goal"  # ends the robot's name where the goal was left out of the pictures


@dataclass(frozen=True, kw_only=True)
class Recording:
    """What to record of which small world; `layout` in a person's words, `events` among those that it knows."""

    env: str
    num_episodes: int = 60
    num_steps: int = 80
    seed: int = 0
    size: int = 64
    policy: str = "mixed"
    show_goal: bool = True
    layout: Mapping[str, str] = field(default_factory=dict)
    events: tuple[str, ...] = ()

    def episodes(self) -> Iterator[Episode]:
        """The episodes, one by one. ConfigError, at once, for what cannot be recorded."""
        world = build_env(self.env, size=self.size, show_goal=self.show_goal)
        return stream_episodes(
            self.env,
            num_episodes=self.num_episodes,
            num_steps=self.num_steps,
            seed=self.seed,
            size=self.size,
            policy=self.policy,
            layout=read_layout(world, self.layout),
            show_goal=self.show_goal,
            events=self.events,
        )

    @property
    def robot_type(self) -> str:
        """The name of the dataset's robot: the world, and whether its goal was left out."""
        return f"armillary-{self.env}{'' if self.show_goal else NO_GOAL}"


def record(recording: Recording, out: Path | str, progress: Callable[[int, int], None] | None = None) -> Path:
    """Write a new LeRobot v3 dataset. StorageError when `out` exists.

    Killed half-way, the episodes written so far can be read, and `armillary data doctor OUT --repair` closes it.
    """
    episodes = recording.episodes()

    def counted() -> Iterator[Episode]:
        for number, episode in enumerate(episodes, 1):
            yield episode
            if progress is not None:
                progress(number, recording.num_episodes)

    return write_dataset(out, counted(), robot_type=recording.robot_type)


def shows_goal(dataset: Path | str) -> bool | None:
    """Whether a small world's recordings show its goal; None where the dataset cannot tell."""
    path = Path(dataset) / "meta" / "info.json"
    robot = read_json(path).get("robot_type", "") if path.is_file() else ""
    return None if not str(robot).startswith("armillary-") else not str(robot).endswith(NO_GOAL)
