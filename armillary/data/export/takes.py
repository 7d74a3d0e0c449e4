"""What is exported: one camera's pictures of one episode at a time, with labels."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from armillary.core.episode import Episode
from armillary.core.errors import ConfigError, DataError
from armillary.data.dataset import Dataset
from armillary.data.labels import IMAGES, CameraLabels, Labels, camera_names, read_labels
from armillary.data.report import EpisodeRecord

Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Take:
    """One camera's pictures of an episode, `episode.frames[key]`, and all that is known of them."""

    episode: Episode
    key: str
    labels: Labels
    camera: CameraLabels

    @property
    def name(self) -> str:
        """For files: no dots, which WebDataset takes for the end of a name."""
        return f"{self.episode.index:06d}-{self.camera.name.replace('.', '_')}"


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Some of a dataset's episodes and cameras."""

    dataset: Dataset
    episodes: tuple[EpisodeRecord, ...]
    cameras: tuple[str, ...]

    @property
    def num_pictures(self) -> int:
        """Of all episodes and cameras."""
        return len(self.cameras) * sum(record.length for record in self.episodes)

    def takes(self, needs: Sequence[str], progress: Progress | None = None) -> Iterator[Take]:
        """Episode by episode and camera by camera. DataError where a label is missing that the format `needs`."""
        total = len(self.episodes)
        for number, record in enumerate(self.episodes):
            for name in self.cameras:
                labels = read_labels(self.dataset, record, cameras=[name], modalities=("depth", "segmentation"))
                camera = labels.cameras[name]
                for need, there in (("depth", camera.depth_m), ("segmentation", camera.segmentation)):
                    if need in needs and there is None:
                        raise DataError(
                            f"{self.dataset.path}: episode {record.index} was recorded without {need} of camera {name!r}, which this "
                            f"format needs; simulate it again with --modalities rgb,depth,segmentation"
                        )
                key = IMAGES + name if IMAGES + name in self.dataset.info.features else name
                yield Take(episode=self.dataset.load(record, [key]), key=key, labels=labels, camera=camera)
            if progress:
                progress(number + 1, total)


def select(dataset: Dataset, *, episodes: Sequence[int] | None = None, camera: str | None = None) -> Selection:
    """These episodes (None: all that are usable) and this camera (None: all). ConfigError for a camera that is not there or an episode
    named twice, DataError for an episode that is not there or cannot be used."""
    cameras = camera_names(dataset)
    if camera is not None:
        name = camera.removeprefix(IMAGES)
        if name not in cameras:
            raise ConfigError(f"{dataset.path} has no camera {camera!r}; it has {', '.join(cameras) or 'none'}")
        cameras = (name,)
    if not cameras:
        raise ConfigError(f"{dataset.path} has no camera, so there is nothing to export")
    if episodes is not None and (not episodes or len(set(episodes)) < len(episodes)):
        raise ConfigError(f"name every episode once and at least one, received {list(episodes)}")
    records = dataset.episodes if episodes is None else tuple(dataset.record(index) for index in episodes)
    return Selection(dataset=dataset, episodes=records, cameras=cameras)
