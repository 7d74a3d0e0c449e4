"""From a dataset on disk to episodes that a model can learn from: opened, cached, strided."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from armillary.core import ConfigError, DataError, Episode
from armillary.data.cache import Progress, open_cache, side_by_side
from armillary.data.camera_motion import mean_field_of_view_deg, with_camera_motion
from armillary.data.dataset import Dataset, open_dataset
from armillary.data.shape import DataConfig, DataShape
from armillary.data.splits import measure

WANTED_SECONDS_PER_STEP = 0.1
ASPECT_TOLERANCE = 0.05  # by which the shapes of pictures that are shrunk to one size may differ


@dataclass(frozen=True, kw_only=True)
class Source:
    """A dataset seen by one camera at one size, or by several side by side. `episodes` are at the recorded rate; `stride` makes the
    model's."""

    dataset: Dataset
    camera: str
    stride: int
    episodes: tuple[Episode, ...]
    quarantined: tuple
    cached_now: int


def open_source(path: Path | str, config: DataConfig, on_progress: Callable[[Progress], None] | None = None) -> Source:
    """Open a dataset and build what its frame cache lacks. Errors are theirs, and those of `with_camera_motion`."""
    dataset = open_dataset(path)
    cameras = cameras_of(dataset, config)
    camera = side_by_side(cameras)
    cache = open_cache(dataset, camera=cameras, size=(config.height, config.width), on_progress=on_progress)
    episodes = tuple(as_asked(dataset, episode, camera, config) for episode in cache.episodes)
    return Source(
        dataset=dataset,
        camera=camera,
        stride=choose_stride(dataset.info.fps, config),
        episodes=episodes,
        quarantined=(*dataset.quarantined, *cache.quarantined),
        cached_now=cache.built,
    )


def cameras_of(dataset: Dataset, config: DataConfig) -> tuple[str, ...]:
    """The configured cameras, or the dataset's first.

    ConfigError for one that is not there, or is named twice; DataError for several whose recorded pictures are not of one shape.
    """
    known = dataset.info.camera_keys
    if config.camera and config.cameras and config.cameras != (config.camera,):
        raise ConfigError(f"data.camera is {config.camera} and data.cameras is {','.join(config.cameras)}; set one of the two")
    cameras = config.cameras or (config.camera or next(iter(known), ""),)
    for camera in cameras:
        if camera not in known:
            raise ConfigError(f"there is no camera {camera!r} in {dataset.path}; it has {', '.join(known) or 'none'}")
    if len(set(cameras)) < len(cameras):
        raise ConfigError(f"data.cameras must name each camera once, received {','.join(cameras)}")
    shapes = {camera: tuple(dataset.info.features[camera].shape[:2]) for camera in cameras}
    narrow, wide = (f(shapes, key=lambda camera: shapes[camera][1] / shapes[camera][0]) for f in (min, max))
    if shapes[wide][1] * shapes[narrow][0] > (1 + ASPECT_TOLERANCE) * shapes[narrow][1] * shapes[wide][0]:
        told = " and ".join(f"{camera} of {shapes[camera][0]} x {shapes[camera][1]}" for camera in (narrow, wide))
        raise DataError(
            f"{dataset.path}: pictures of {told} (height x width) cannot be shrunk to one size without squeezing one of them; choose "
            "cameras of one shape"
        )
    return cameras


def as_asked(dataset: Dataset, episode: Episode, camera: str, config: DataConfig) -> Episode:
    """An episode at the recorded rate with the actions that the settings ask for: the recorded ones, or the motions of the camera."""
    return with_camera_motion(dataset, episode, *(config.cameras or (camera,))) if config.camera_motion else episode


def measure_seen(dataset: Dataset, episodes: Sequence[Episode], camera: str, config: DataConfig, at_rate: Sequence[Episode]) -> DataShape:
    """Sizes and scales of episodes, which at the model's rate are `at_rate`; with the camera's field of view where its motions count."""
    shape = measure(at_rate, config)
    if not config.camera_motion:
        return shape
    first, *more = (mean_field_of_view_deg(dataset, episodes, one) for one in config.cameras or (camera,))
    return replace(shape, field_of_view_deg=first, more_fields_of_view_deg=tuple(more))


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
