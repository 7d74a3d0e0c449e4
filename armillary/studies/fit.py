"""A family, a dataset, a folder: train, and go on where it stopped."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import safetensors.numpy
import torch

from armillary.core import ConfigError, DataError
from armillary.core.settings import from_plain, to_plain
from armillary.core.storage import read_json, write_atomically
from armillary.data import cache
from armillary.data.shape import DataShape
from armillary.data.splits import Split, split_episodes
from armillary.policies.catalog import FAMILIES as POLICIES
from armillary.studies.source import Source, average_frame, measure_seen, open_source, strided, strided_from_every_frame
from armillary.tokenizers.catalog import FAMILIES as TOKENIZERS
from armillary.train import distributed
from armillary.train.compiling import require_compiler
from armillary.train.families import Families
from armillary.train.loop import FitResult, fit
from armillary.train.progress import Progress
from armillary.train.run import RunFolder
from armillary.train.start import Start, add_updates, begin_from, open_start, require_unchanged, save_adapter
from armillary.worlds.catalog import FAMILIES as WORLDS

FAMILIES = Families({**WORLDS, **POLICIES, **TOKENIZERS})  # what `armillary train` knows
WITHOUT_UPDATES = ("vjepa2",)  # its slow encoder follows the other one parameter by parameter
REFERENCE = "reference.safetensors"  # the training set's mean frame, a baseline of every judgement


@dataclass(frozen=True, kw_only=True)
class Watch:
    """Who is told how far things are. The library itself prints nothing."""

    on_cache: Callable[[cache.Progress], None] | None = None
    on_train: Callable[[Progress], None] | None = None
    on_start: Callable[[Start], None] | None = None  # when a run begins with the weights of another


def family_module(family: str):
    """The module with a family's `Config`, `PRESETS` and `build`."""
    return FAMILIES.module(family)


def complete_settings(family: str, config):
    """The settings as a run records them, all looked up that must be. ConfigError or CheckpointError where that cannot be."""
    return FAMILIES.complete(family, config)


def build_world(family: str, config, shape: DataShape) -> torch.nn.Module:
    """The family's world, or policy, with first weights drawn from the seed, whatever was drawn before."""
    return FAMILIES.build(family, config, shape)


def settings_from(family: str, config, init: str):
    """The settings of a run that begins from `init`: the model and the pictures are those of that run.

    Where the family itself reads released weights (`model.init`), `init` may be such a folder or hub id instead of a run. ConfigError for
    a run of another family, CheckpointError for what is neither.
    """
    if hasattr(config.model, "init") and not is_run(init):
        return replace(config, model=replace(config.model, init=init))
    recorded = RunFolder.open(init).config
    open_start(init, family, recorded["shape"]["height"], recorded["shape"]["width"])
    before, shape = FAMILIES.settings(recorded)
    model = replace(before.model, teacher="") if hasattr(before.model, "teacher") else before.model  # it learned to be drawn in few steps
    width = shape.width // max(len(shape.cameras), 1)
    return replace(config, model=model, data=replace(config.data, height=shape.height, width=width))


def check_updates(family: str, init: Path | str | None, lora_rank: int) -> None:
    """ConfigError where low-rank updates are asked for that cannot be."""
    if lora_rank and family in WITHOUT_UPDATES:
        raise ConfigError(f"{family} cannot learn low-rank updates; leave out --lora")
    if lora_rank and init is None:
        raise ConfigError("low-rank updates need weights to update; name a run to begin from, with --init RUN")


def is_run(path: Path | str) -> bool:
    """Whether a folder is a run, and not released weights, which have a config.json of another kind."""
    place = Path(path) / "config.json"
    return place.is_file() and "family" in read_json(place)


def train_family(
    family: str,
    *,
    data: Path | str,
    out: Path | str,
    config,
    replay: Sequence[str],
    watch: Watch | None = None,
    init: Path | str | None = None,
    lora_rank: int = 0,
    shape: DataShape | None = None,
) -> FitResult:
    """Train a family's world, or policy, on a dataset into a new run folder, from the weights of the run `init` where that is given.

    With `lora_rank` what learns are updates of that rank and what the new data's shape made anew (`train/start.py`). `shape` brings
    scales of actions and states to use instead of the data's own.
    The last `test_fraction` of the episodes is put aside unseen; the run remembers which by content hash.
    """
    watch, config = watch or Watch(), complete_settings(family, config)
    with distributed.session(config.train) as group:
        source = open_source(data, config.data, watch.on_cache)
        split = split_episodes(source.episodes, config.data)
        training = split.choose("train", source.episodes)
        every_frame = strided_from_every_frame(training, source.stride)
        measured = measure_seen(source.dataset, training, source.camera, config.data, every_frame)
        shape = measured if shape is None else _require_same_kind(shape, measured, data)
        config_plain = {
            "data_path": str(Path(data).resolve()),
            "camera": source.camera,
            "stride": source.stride,
            "config": to_plain(config),
            "shape": to_plain(shape),
        }
        distributed.choose_precision(config.train, group.device)  # first: what cannot be built or run leaves no folder behind
        if config.train.compile:
            require_compiler(group.device)
        world = build_world(family, config, shape)
        start = _start(init, world, family, config, shape, lora_rank)
        if start is not None:
            config_plain["init"] = asdict(start)
            if watch.on_start is not None:
                watch.on_start(start)
        with RunFolder.create(out, family=family, config=config_plain, replay=replay, seed=config.train.seed) as run:
            if group.is_main:
                split.save(run.path / "split.json")
                reference = {"mean_frame": average_frame(training, source.camera)}
                write_atomically(run.path / REFERENCE, lambda path: path.write_bytes(safetensors.numpy.save(reference)))
            return _fit(run, world, source, split, config, watch, start)


def resume(path: Path | str, *, data: Path | str | None = None, watch: Watch | None = None) -> FitResult:
    """Go on with a run from its latest checkpoint; it needs nothing but the folder and the dataset it began with.

    `data` is where that dataset is now, if it was moved; its episodes are known by their content.
    """
    watch = watch or Watch()
    config, shape, recorded = read_settings(RunFolder.open(path).config)
    with distributed.session(config.train), RunFolder.open(path, write=True) as run:
        source = open_source(data or recorded["data_path"], config.data, watch.on_cache)
        world, start = build_world(recorded["family"], config, shape), None
        if "init" in recorded:
            start = from_plain(Start, recorded["init"])
            if run.checkpoint("latest") is None:  # killed before there was one
                require_unchanged(start)
                _start(start.run, world, recorded["family"], config, shape, start.lora_rank)
            else:
                add_updates(world, start, config.train.seed)
        return _fit(run, world, source, read_split(run, source, config), config, watch, start)


def read_settings(recorded: dict) -> tuple[object, DataShape, dict]:
    """(config, shape, everything) of a run's config.json."""
    return *FAMILIES.settings(recorded), recorded


def read_split(run: RunFolder, source: Source, config) -> Split:
    """The run's split; made again if the run was killed before it was written."""
    path = run.path / "split.json"
    return Split.load(path) if path.exists() else split_episodes(source.episodes, config.data)


def _require_same_kind(shape: DataShape, measured: DataShape, data: Path | str) -> DataShape:
    """The scales to use for recordings that were measured. ConfigError when those are of another robot or rate."""
    wanted, received = ((one.action_size, one.state_size, round(one.seconds_per_step, 3)) for one in (shape, measured))
    if wanted != received:
        raise ConfigError(
            f"{data} has (action size, state size, seconds a step) {received}, the run to learn from {wanted}; give recordings of its robot"
        )
    return shape


def _start(init: Path | str | None, world: torch.nn.Module, family: str, config, shape: DataShape, lora_rank: int) -> Start | None:
    """Give a fresh world the weights to begin with."""
    check_updates(family, init, lora_rank)
    if init is None:
        return None
    return begin_from(init, world, families=FAMILIES, family=family, config=config, shape=shape, lora_rank=lora_rank)


def _fit(run: RunFolder, world: torch.nn.Module, source: Source, split: Split, config, watch: Watch, start: Start | None) -> FitResult:
    training = strided_from_every_frame(split.choose("train", source.episodes), source.stride)
    validation = strided(split.choose("validation", source.episodes), source.stride)
    if not training:
        raise DataError(f"no episode of {source.dataset.info.total_episodes} is long enough for one step of {source.stride} frames")
    result = fit(
        world,
        run=run,
        train_episodes=training,
        validation_episodes=validation,
        camera=source.camera,
        config=config.train,
        on_progress=watch.on_train,
    )
    if start is not None and start.lora_rank and distributed.rank() == 0:
        save_adapter(run, start, FAMILIES)
    return result
