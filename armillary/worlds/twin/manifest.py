"""The manifest of a simulated dataset: a JSON file that, with the same version of the code, gives the same dataset to the byte.

What is random in an episode depends on the manifest's seed and the episode's number alone, never on which process makes it or when.
"""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from armillary.core import ConfigError
from armillary.core.settings import from_plain, to_plain
from armillary.core.storage import read_json, write_json
from armillary.worlds.twin.quality import quality_of
from armillary.worlds.twin.randomise import Randomiser
from armillary.worlds.twin.scene import Scene
from armillary.worlds.twin.scenes.catalogue import SCENES, build
from armillary.worlds.twin.tasks.catalogue import TASKS, kind_of
from armillary.worlds.twin.tour import CAMERA, TOURED
from armillary.worlds.twin.world import RECORDED

POLICIES = ("random", "expert", "mimic", "tour")
AT_LEAST = {"seed": 0, "episodes": 1, "steps": 2, "size": 16}


class Streams(NamedTuple):
    """The randomness of one episode, a stream for each part, so that one part's settings never change another's numbers."""

    layout: np.random.Generator
    scene: np.random.Generator
    actions: np.random.Generator
    sensors: np.random.Generator
    optics: np.random.Generator
    latency: np.random.Generator


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What to simulate and record.

    `steps` pictures an episode, `seconds_per_step` apart, `size` pixels wide and high, from the named `cameras` (none named: the scene's
    first). With `vary_layout` every episode has a layout of its own, with other things in other places; otherwise all have the one that
    the seed gives. `policy` "random": smooth motion around what the drives hold at the start, at most `reach` of half their range away;
    "tour": nothing moves but a camera, "tour", through the scene "rooms" (`tour.py`), and the actions are its motions.
    With `label_columns` what labels say of each camera is in columns of the dataset as well (`labels.CAMERA.NAME`), for readers of LeRobot.

    With a `task` the scene is the task's, and an episode ends when it is done or its time is up, whatever `steps` says. `policy` "expert"
    does it; "mimic" carries over what the dataset `demonstrations` shows to where things now are. Both try again until they succeed.
    ConfigError says which setting cannot be.
    """

    scene: str
    seed: int = 0
    episodes: int = 10
    steps: int = 50
    seconds_per_step: float = 0.1
    size: int = 128
    cameras: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ("rgb", "depth", "segmentation")
    label_columns: bool = False
    quality: str = "fast"
    vary_layout: bool = True
    task: str = ""
    policy: str = "random"
    demonstrations: str = ""
    reach: float = 0.3
    randomise: Randomiser = field(default_factory=Randomiser)

    def __post_init__(self):
        if self.scene not in SCENES:
            raise ConfigError(f"there is no scene {self.scene!r}; scenes: {', '.join(SCENES)}")
        for name, least in AT_LEAST.items():
            if getattr(self, name) < least:
                raise ConfigError(f"{name} must be >= {least}, received {getattr(self, name)}")
        if not (math.isfinite(self.seconds_per_step) and self.seconds_per_step > 0):
            raise ConfigError(f"seconds_per_step must be finite and > 0, received {self.seconds_per_step}")
        if not 0.0 <= self.reach <= 1.0:
            raise ConfigError(f"reach must lie in 0 to 1, received {self.reach}")
        if self.policy not in POLICIES:
            raise ConfigError(f"policy must be one of {', '.join(POLICIES)}, received {self.policy!r}")
        self._check_task()
        if "rgb" not in self.modalities or set(self.modalities) - set(RECORDED):
            raise ConfigError(f"modalities must hold rgb and only {', '.join(RECORDED)}, received {list(self.modalities)}")
        for name in ("cameras", "modalities"):
            listed = getattr(self, name)
            if len(set(listed)) < len(listed):
                raise ConfigError(f"{name} must name each one once, received {list(listed)}")
        quality_of(self.quality)

    def _check_task(self) -> None:
        if self.task and kind_of(self.task).scene != self.scene:
            raise ConfigError(f"the task {self.task!r} is done in the scene {kind_of(self.task).scene!r}, received {self.scene!r}")
        if self.policy == "tour" and (self.task or self.scene != TOURED or self.cameras not in ((), (CAMERA,))):
            raise ConfigError(
                f"policy 'tour' takes the camera {CAMERA!r} alone through the scene {TOURED!r} and does no task, received scene "
                f"{self.scene!r}, task {self.task!r}, cameras {list(self.cameras)}"
            )
        if self.policy not in ("random", "tour") and not self.task:
            raise ConfigError(f"policy {self.policy!r} needs a task; tasks: {', '.join(TASKS)}")
        if (self.policy == "mimic") != bool(self.demonstrations):
            raise ConfigError(
                f"policy mimic and a dataset of demonstrations need one another, received policy {self.policy!r} and demonstrations "
                f"{self.demonstrations!r}"
            )

    def streams(self, episode: int, attempt: int = 0) -> Streams:
        """The randomness of an attempt at an episode."""
        key = [self.seed, episode, *([attempt] if attempt else [])]
        return Streams(*map(np.random.default_rng, np.random.SeedSequence(key).spawn(len(Streams._fields))))

    def delay(self, episode: int, attempt: int = 0) -> int:
        """By how many steps actions take effect later: drawn for each attempt at an episode, up to `randomise.latency_s`."""
        most = int(self.randomise.latency_s / self.seconds_per_step + 1e-9)
        return int(self.streams(episode, attempt).latency.integers(most + 1))

    def layout(self, episode: int) -> Scene:
        """An episode's scene before anything else in it is varied."""
        seed = int(self.streams(episode).layout.integers(2**32)) if self.vary_layout else self.seed
        return build(self.scene, seed)


def read_manifest(path: Path | str) -> Manifest:
    """The manifest in a JSON file. ConfigError for a setting that is unknown or cannot be, DataError if it is no JSON."""
    values = read_json(Path(path))
    if not isinstance(values, dict) or not isinstance(values.get("scene"), str):
        known = ", ".join(SCENES)
        raise ConfigError(f'{path}: a manifest is a JSON object that names its scene, such as {{"scene": "tabletop"}}; scenes: {known}')
    for name in ("cameras", "modalities"):
        listed = values.get(name, [])
        if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
            raise ConfigError(f"{path}: {name} must be a list of names, received {listed!r}")
    if not isinstance(values.get("randomise", {}), dict):
        raise ConfigError(f'{path}: randomise must be an object such as {{"light": 0.5}}, received {values["randomise"]!r}')
    counts = values.get("randomise", {}).get("distractors", [])
    if not isinstance(counts, list) or not all(type(one) is int for one in counts):
        raise ConfigError(f"{path}: randomise.distractors must be a list of one or two whole numbers, received {counts!r}")
    try:
        return from_plain(Manifest, values)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def write_manifest(manifest: Manifest, path: Path | str) -> None:
    """Write it as JSON that `read_manifest` reads back as an equal manifest."""
    write_json(Path(path), to_plain(manifest))
