"""A finished run as something to use: its world with the best weights, and the episodes it has never learned from."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.numpy
import torch
from jaxtyping import Float

from armillary.core import CheckpointError, ConfigError, DataError, Episode, World
from armillary.core.hub import HUB, fetch
from armillary.core.settings import override
from armillary.data import cache
from armillary.data.cache import cameras_beside
from armillary.studies.fit import FAMILIES, REFERENCE, read_settings, read_split
from armillary.studies.source import Source, average_frame, open_source, strided
from armillary.train.run import RunFolder
from armillary.worlds.catalog import RELEASED
from armillary.worlds.cosmos.released import is_released

# What is fetched of a published run (studies/publish.py), and what tells a released model. `*` would match folders too.
PUBLISHED = (
    *("config.json", "environment.json", "split.json", "reference.safetensors", "README.md", "model_index.json"),
    *("beginnings.json", "beginnings.safetensors", "checkpoints/latest.json", "checkpoints/best.json"),
    *("checkpoints/*-*/model.safetensors", "checkpoints/*-*/state.json"),
)


@dataclass(frozen=True, kw_only=True)
class LoadedRun:
    """A world in evaluation mode, and where it came from. `camera` is all its `cameras`, side by side."""

    path: Path
    family: str
    config: object
    world: torch.nn.Module  # a World, or an encoder alone (vjepa2), or a policy
    camera: str
    stride: int
    data_path: str
    recorded: dict

    @property
    def cameras(self) -> tuple[str, ...]:
        """Those that it sees, as the dataset calls them."""
        return cameras_beside(self.camera)

    @property
    def camera_size(self) -> tuple[int, int]:
        """Height and width of the pictures of one camera. The world must be one that says what it sees."""
        height, width = self.world.spec.sees
        return height, width // len(self.cameras)


def load_run(path: Path | str, which: str = "best") -> LoadedRun:
    """The world (or policy) of a run folder, or of a published one, hub:OWNER/NAME[@REVISION]; with its `best` or `latest` weights.

    CheckpointError when the folder is not whole, or the hub does not give it.
    """
    run = RunFolder.open(run_folder(path))
    config, _, recorded = read_settings(run.config)
    return LoadedRun(
        path=run.path,
        family=recorded["family"],
        config=config,
        world=FAMILIES.load(run.path, which),
        camera=recorded["camera"],
        stride=recorded["stride"],
        data_path=recorded["data_path"],
        recorded=recorded,
    )


def run_folder(path: Path | str) -> Path:
    """Where a run is on this machine, once it was fetched where a hub has it."""
    words = str(path)
    return fetch(words.removeprefix(HUB), PUBLISHED, example="somebody/world") if words.startswith(HUB) else Path(path)


def open_world(source: Path | str, which: str = "best", settings: Mapping[str, str] | None = None) -> World:
    """The world of a run folder, or of a released model: a folder with `model_index.json`; or hub:OWNER/NAME[@REVISION] of either.

    `settings` are a released model's, by name, in the words that a person types. CheckpointError for what is neither; ConfigError for a
    policy, for settings of a run (they are in it), or where a released model cannot be run here.
    """
    folder = run_folder(source)
    if is_released(folder):
        module = importlib.import_module(RELEASED["cosmos"])
        return module.load(str(source).removeprefix(HUB), override(module.Config(), settings or {}))
    if settings:
        raise ConfigError(f"{source} is a run, whose settings are its own; received {', '.join(settings)}; leave them out")
    loaded = load_run(folder, which)
    if not isinstance(loaded.world, World):
        raise ConfigError(f"{source} holds no world but {loaded.family}; give the run of a world")
    return loaded.world


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Episodes at the run's rate that it never learned from, those it did, and the training set's mean frame."""

    source: Source
    episodes: tuple[Episode, ...]
    training: tuple[Episode, ...]
    mean_frame: Float[np.ndarray, "h w c"]


def held_out(loaded: LoadedRun, data: Path | str, on_cache: Callable[[cache.Progress], None] | None = None) -> HeldOut:
    """What a run may be judged on in a dataset: every episode whose content it did not see, in training or in choosing weights.

    Raises DataError when nothing is left, or when the dataset's rate is not the run's.
    """
    source = open_source(data, loaded.config.data, on_cache)
    step_s = loaded.stride / source.dataset.info.fps
    if not np.isclose(step_s, loaded.world.spec.seconds_per_step, rtol=0.02):
        raise DataError(
            f"{data} makes steps of {step_s:.4f} s with the run's stride {loaded.stride}, "
            f"the run learned steps of {loaded.world.spec.seconds_per_step:.4f} s; give a dataset recorded at the same rate"
        )
    split = read_split(RunFolder.open(loaded.path), source, loaded.config)
    seen = {*split.train, *split.validation}
    judged = strided([e for e in source.episodes if e.content_hash not in seen], loaded.stride)
    if not judged:
        raise DataError(f"the run has learned from every episode of {data}; give a dataset with episodes that it has not seen")
    training = strided([e for e in source.episodes if e.content_hash in split.train], loaded.stride)
    return HeldOut(source=source, episodes=tuple(judged), training=tuple(training), mean_frame=_mean_frame(loaded, training))


def _mean_frame(loaded: LoadedRun, training: list[Episode]) -> Float[np.ndarray, "h w c"]:
    path = loaded.path / REFERENCE
    if path.exists():
        return safetensors.numpy.load(path.read_bytes())["mean_frame"]
    if not training:
        raise CheckpointError(f"{path} is missing and the dataset holds none of the training episodes; the mean frame is unknown")
    return average_frame(training, loaded.camera)
