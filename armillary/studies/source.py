"""From a dataset on disk to episodes that a model can learn from: opened, cached, strided."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from armillary.core import Episode
from armillary.data.cache import Progress, open_cache
from armillary.data.camera_motion import mean_field_of_view_deg, with_camera_motion
from armillary.data.dataset import Dataset, open_dataset
from armillary.data.shape import DataConfig, DataShape
from armillary.data.splits import measure

WANTED_SECONDS_PER_STEP = 0.1


@dataclass(frozen=True, kw_only=True)
class Source:
    """A dataset seen by one camera at one size. `episodes` are at the recorded rate; `stride` makes the model's."""

    dataset: Dataset
    camera: str
    stride: int
    episodes: tuple[Episode, ...]
    quarantined: tuple
    cached_now: int


def open_source(path: Path | str, config: DataConfig, on_progress: Callable[[Progress], None] | None = None) -> Source:
    """Open a dataset and build what its frame cache lacks. Errors are theirs, and those of `with_camera_motion`."""
    dataset = open_dataset(path)
    camera = config.camera or next(iter(dataset.info.camera_keys), "")
    cache = open_cache(dataset, camera=camera, size=(config.height, config.width), on_progress=on_progress)
    episodes = tuple(as_asked(dataset, episode, camera, config) for episode in cache.episodes)
    return Source(
        dataset=dataset,
        camera=camera,
        stride=choose_stride(dataset.info.fps, config),
        episodes=episodes,
        quarantined=(*dataset.quarantined, *cache.quarantined),
        cached_now=cache.built,
    )


def as_asked(dataset: Dataset, episode: Episode, camera: str, config: DataConfig) -> Episode:
    """An episode at the recorded rate with the actions that the settings ask for: the recorded ones, or the motions of the camera."""
    return with_camera_motion(dataset, episode, camera) if config.camera_motion else episode


def measure_seen(dataset: Dataset, episodes: Sequence[Episode], camera: str, config: DataConfig, at_rate: Sequence[Episode]) -> DataShape:
    """Sizes and scales of episodes, which at the model's rate are `at_rate`; with the camera's field of view where its motions count."""
    shape = measure(at_rate, config)
    if not config.camera_motion:
        return shape
    return replace(shape, field_of_view_deg=mean_field_of_view_deg(dataset, episodes, camera))


def choose_stride(fps: float, config: DataConfig) -> int:
    """The configured stride, or for 0 the one that brings a step of the model nearest to 0.1 s."""
    return config.stride or max(round(WANTED_SECONDS_PER_STEP * fps), 1)


def strided(episodes: Sequence[Episode], stride: int) -> list[Episode]:
    """Each episode once, at the model's rate."""
    return [episode.every(stride) for episode in episodes]


def strided_from_every_frame(episodes: Sequence[Episode], stride: int) -> list[Episode]:
    """Each episode `stride` times, from each of its first frames: all of its windows, for training."""
    return [episode.every(stride, offset) for episode in episodes for offset in range(stride) if len(episode) >= offset + stride]


def average_frame(episodes: Sequence[Episode], camera: str) -> Float[np.ndarray, "h w c"]:
    """The mean picture of the episodes, in [0, 1], each frame counting once."""
    total = sum(episode.frames[camera].sum(axis=0, dtype=np.float64) for episode in episodes)
    return (total / sum(len(episode) for episode in episodes) / 255.0).astype(np.float32)
