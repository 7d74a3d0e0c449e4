"""What a run would be, is, or would cost, without doing it."""

import importlib
import importlib.util
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

from armillary.core import ConfigError, DataError
from armillary.data.cache import side_by_side
from armillary.data.dataset import Dataset, open_dataset
from armillary.data.shape import DataShape
from armillary.data.splits import split_episodes
from armillary.data.video import decode_video
from armillary.studies.fit import FAMILIES, build_world, complete_settings, family_module, read_settings
from armillary.studies.source import as_asked, cameras_of, choose_stride, measure_seen
from armillary.train.cost import Cost, estimate_cost
from armillary.train.run import RunFolder


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How many episodes would do what."""

    train: int
    validation: int
    test: int
    quarantined: int
    camera: str
    seconds_per_step: float


@dataclass(frozen=True)
class CacheNeeds:
    """What building the frame cache of a dataset takes, if nothing of it is there."""

    bytes: int
    seconds: float


def plan_training(data: Path | str, out: Path | str, config) -> Plan:
    """Check a training command without writing anything; the errors are those that training would raise."""
    if Path(out).exists() and any(Path(out).iterdir()):
        raise ConfigError(f"{out} is not empty; choose another --out, or go on with `armillary resume {out}`")
    dataset = open_dataset(data, remember=False)
    split = split_episodes(dataset.episodes, config.data)
    return Plan(
        train=len(split.train),
        validation=len(split.validation),
        test=len(split.test),
        quarantined=len(dataset.quarantined),
        camera=side_by_side(cameras_of(dataset, config.data)),
        seconds_per_step=dataset.info.seconds_per_step * choose_stride(dataset.info.fps, config.data),
    )


def describe_run(path: Path | str) -> dict[str, object]:
    """A run folder in plain values: what it learns from, how far it is, how good."""
    run = RunFolder.open(path)
    config, shape, recorded = read_settings(run.config)
    rows = run.metrics()
    validated = [row for row in rows if "validation_loss" in row]
    return {
        "run": str(path),
        "family": recorded["family"],
        "data": recorded["data_path"],
        "step": rows[-1]["step"] if rows else 0,
        "steps": config.train.steps,
        "finished": bool(rows) and rows[-1]["step"] >= config.train.steps,
        "phase": rows[-1]["phase"] if rows else "",
        "loss": rows[-1]["loss"] if rows else None,
        "validation_loss": validated[-1]["validation_loss"] if validated else None,
        "training_seconds": round(sum(row["seconds"] for row in rows), 1),
        "picture": f"{shape.height} x {shape.width}",
        "seconds_per_step": shape.seconds_per_step,
        "replay": " ".join(recorded["replay"]),
    }


def recipe_settings(name: str, preset: str = "default") -> tuple[str, object]:
    """(family, settings) that a recipe trains: a family's preset, or what recipes/NAME.py names as `FAMILY` and `settings()`."""
    if name in FAMILIES.modules:
        return name, preset_of(name, preset)
    module = f"recipes.{name}"
    known = re.fullmatch(r"[a-z][a-z0-9_]*", name) and importlib.util.find_spec("recipes") and importlib.util.find_spec(module)
    if not known:
        families = ", ".join(FAMILIES.modules)
        raise ConfigError(f"there is no recipe {name!r}; give a family ({families}) or, inside the repository, a file of recipes/")
    recipe = importlib.import_module(module)
    if not hasattr(recipe, "FAMILY") or not hasattr(recipe, "settings"):
        raise ConfigError(f"recipe {name!r} trains no single world, so its cost cannot be told; run it with --quick to see it work")
    return recipe.FAMILY, recipe.settings()


def preset_of(family: str, preset: str):
    """A family's settings by the name of a preset."""
    presets = family_module(family).PRESETS
    if preset not in presets:
        raise ConfigError(f"{family} has no preset {preset!r}; choose one of {', '.join(presets)}")
    return presets[preset]


def estimate_run(family: str, config, data: Path | str) -> tuple[Cost, CacheNeeds]:
    """Measure a few training steps and the decoding of one episode; what the whole will need. Writes nothing."""
    config, dataset = complete_settings(family, config), open_dataset(data, remember=False)
    cameras = cameras_of(dataset, config.data)
    frames = sum(record.length for record in dataset.episodes)
    size = (config.data.height, config.data.width)
    seconds = sum(_decoding_seconds(dataset, camera, size, frames) for camera in cameras)
    needs = CacheNeeds(frames * size[0] * size[1] * 3 * len(cameras), seconds)
    shape = _shape(dataset, side_by_side(cameras), config)
    cost = estimate_cost(build_world(family, config, shape), shape=shape, config=config.train, cache_bytes=needs.bytes)
    return cost, needs


def measured_steps(family: str, config, shape: DataShape, seconds: float) -> int:
    """How many training steps fit into `seconds` on this machine, from a short measurement."""
    cost = estimate_cost(build_world(family, config, shape), shape=shape, config=config.train, measured_steps=4)
    return max(int(seconds / (cost.seconds / config.train.steps)), 1)


def _shape(dataset: Dataset, camera: str, config) -> DataShape:
    """What training would measure, without decoding pictures."""
    stride = choose_stride(dataset.info.fps, config.data)
    train = set(split_episodes(dataset.episodes, config.data).train)
    bare = (dataset.load(record, cameras=()) for record in dataset.episodes if record.content_hash in train)
    found = [as_asked(dataset, episode, camera, config.data) for episode in bare]
    if not any(len(episode) >= stride for episode in found):
        raise DataError(f"no training episode of {dataset.path} is as long as one step of the model ({stride} frames)")
    at_rate = [episode.every(stride) for episode in found if len(episode) >= stride]
    return measure_seen(dataset, found, camera, config.data, at_rate)


def _decoding_seconds(dataset: Dataset, camera: str, size: tuple[int, int], frames: int) -> float:
    record = min(dataset.episodes, key=lambda one: one.length)
    clip = dataset.clip(record, camera)

    def decode() -> float:
        begin = time.perf_counter()
        decode_video(clip.path, span_s=clip.span_s, expected_frames=record.length, size=size)
        return time.perf_counter() - begin

    decode()  # starts the child process
    return decode() / record.length * frames / len(os.sched_getaffinity(0))
