"""A family, a dataset, a folder: train, and go on where it stopped."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import safetensors.numpy
import torch

from armillary.core import DataError
from armillary.core.settings import to_plain
from armillary.core.storage import write_atomically
from armillary.data import cache
from armillary.data.shape import DataShape
from armillary.data.splits import Split, measure, split_episodes
from armillary.policies.catalog import FAMILIES as POLICIES
from armillary.studies.source import Source, average_frame, open_source, strided, strided_from_every_frame
from armillary.tokenizers.catalog import FAMILIES as TOKENIZERS
from armillary.train import distributed
from armillary.train.families import Families
from armillary.train.loop import FitResult, fit
from armillary.train.progress import Progress
from armillary.train.run import RunFolder
from armillary.worlds.catalog import FAMILIES as WORLDS

FAMILIES = Families({**WORLDS, **POLICIES, **TOKENIZERS})  # what `armillary train` knows
REFERENCE = "reference.safetensors"  # the training set's mean frame, a baseline of every judgement


@dataclass(frozen=True, kw_only=True)
class Watch:
    """Who is told how far things are. The library itself prints nothing."""

    on_cache: Callable[[cache.Progress], None] | None = None
    on_train: Callable[[Progress], None] | None = None


def family_module(family: str):
    """The module with a family's `Config`, `PRESETS` and `build`."""
    return FAMILIES.module(family)


def complete_settings(family: str, config):
    """The settings as a run records them, all looked up that must be. ConfigError or CheckpointError where that cannot be."""
    return FAMILIES.complete(family, config)


def build_world(family: str, config, shape: DataShape) -> torch.nn.Module:
    """The family's world, or policy, with first weights drawn from the seed, whatever was drawn before."""
    return FAMILIES.build(family, config, shape)


def train_family(family: str, *, data: Path | str, out: Path | str, config, replay: Sequence[str], watch: Watch | None = None) -> FitResult:
    """Train a family's world, or policy, on a dataset into a new run folder.

    The last `test_fraction` of the episodes is put aside unseen; the run remembers which by content hash.
    """
    watch, config = watch or Watch(), complete_settings(family, config)
    with distributed.session(config.train) as group:
        source = open_source(data, config.data, watch.on_cache)
        split = split_episodes(source.episodes, config.data)
        training = split.choose("train", source.episodes)
        shape = measure(strided_from_every_frame(training, source.stride), config.data)
        config_plain = {
            "data_path": str(Path(data).resolve()),
            "camera": source.camera,
            "stride": source.stride,
            "config": to_plain(config),
            "shape": to_plain(shape),
        }
        world = build_world(family, config, shape)  # first: what cannot be built leaves no folder behind
        with RunFolder.create(out, family=family, config=config_plain, replay=replay, seed=config.train.seed) as run:
            if group.is_main:
                split.save(run.path / "split.json")
                reference = {"mean_frame": average_frame(training, source.camera)}
                write_atomically(run.path / REFERENCE, lambda path: path.write_bytes(safetensors.numpy.save(reference)))
            return _fit(run, world, source, split, config, watch)


def resume(path: Path | str, *, data: Path | str | None = None, watch: Watch | None = None) -> FitResult:
    """Go on with a run from its latest checkpoint; it needs nothing but the folder and the dataset it began with.

    `data` is where that dataset is now, if it was moved; its episodes are known by their content.
    """
    watch = watch or Watch()
    config, shape, recorded = read_settings(RunFolder.open(path).config)
    with distributed.session(config.train), RunFolder.open(path, write=True) as run:
        source = open_source(data or recorded["data_path"], config.data, watch.on_cache)
        return _fit(run, build_world(recorded["family"], config, shape), source, read_split(run, source, config), config, watch)


def read_settings(recorded: dict) -> tuple[object, DataShape, dict]:
    """(config, shape, everything) of a run's config.json."""
    return *FAMILIES.settings(recorded), recorded


def read_split(run: RunFolder, source: Source, config) -> Split:
    """The run's split; made again if the run was killed before it was written."""
    path = run.path / "split.json"
    return Split.load(path) if path.exists() else split_episodes(source.episodes, config.data)


def _fit(run: RunFolder, world: torch.nn.Module, source: Source, split: Split, config, watch: Watch) -> FitResult:
    training = strided_from_every_frame(split.choose("train", source.episodes), source.stride)
    validation = strided(split.choose("validation", source.episodes), source.stride)
    if not training:
        raise DataError(f"no episode of {source.dataset.info.total_episodes} is long enough for one step of {source.stride} frames")
    return fit(
        world,
        run=run,
        train_episodes=training,
        validation_episodes=validation,
        camera=source.camera,
        config=config.train,
        on_progress=watch.on_train,
    )
