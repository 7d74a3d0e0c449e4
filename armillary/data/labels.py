"""Labels of simulated episodes, which lie beside a dataset: where, and what is in them. Depth, segmentation, normals, poses, cameras."""

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64, UInt16

from armillary.core.errors import ConfigError, DataError
from armillary.core.storage import safe_join
from armillary.data.dataset import Dataset
from armillary.data.report import EpisodeRecord

LABELS_FOLDER = "labels"
MANIFEST_FILE = "simulation.json"  # a library calls its own file manifest.json
IMAGES = "observation.images."  # before each camera's name in a dataset
COLUMN = "labels."  # before the name of a label that is a column of the dataset
MODALITIES = ("depth", "segmentation", "normals")
MAX_IDS = 2**16  # that a pixel can tell apart
MAX_LETTERS = 1000  # of a name
CARD_SECTION = """
## Labels
`labels/episode-NNNNNN.npz` has the labels of episode NNNNNN, row t belonging to picture t; read it with `numpy.load`. They are not part of
the LeRobot format: tools that copy only `meta`, `data` and `videos` leave them behind. `armillary data convert` and `merge` take them
along, `armillary data export` writes them as COCO, BOP, WebDataset or OpenUSD.

| key | shape and type | what |
|---|---|---|
| attempt | int64 | which attempt at the episode's task this is; things are drawn anew for each |
| thing, body, kind | n, text | what each id is; id 0 is nothing |
| world_from_body | t n 4 4 float64 | the pose of each id's body, metres |
| contact_step, contact_body_a, contact_body_b, contact_force_n | c, int32, uint16, uint16, float64 | who touches whom when, how hard (N) |
| CAMERA.world_from_camera | t 4 4 float64 | the camera looks along its -z, y is up |
| CAMERA.intrinsics | 3 3 float64 | OpenCV's camera matrix |
| CAMERA.distortion | 4 float64 | OpenCV's k1, k2, p1, p2 |
| CAMERA.fov_y_deg | float64 | the angle of the picture's height, as the intrinsics say |
| CAMERA.depth | t h w float32 | metres along the camera's axis, 0 where nothing is |
| CAMERA.segmentation | t h w uint16 | ids |
| CAMERA.normals | t h w 3 float32 | in the camera's frame: x right, y up, z back |
| CAMERA.flow | t h w 2 float32 | pixels right and down until the next picture; NaN where that is not known |

Depth, segmentation, normals and flow are there if they were asked for, and bent by the lens as the pictures are.
Labels are the truth: noise is on pictures and state only.
"""
_DOWN_FORWARD = np.diag([1.0, -1.0, -1.0, 1.0])


@dataclass(frozen=True, kw_only=True)
class Names:
    """What each id is; id 0 is nothing. `kinds` may be empty where nobody said what a thing is."""

    things: tuple[str, ...]
    bodies: tuple[str, ...]
    kinds: tuple[str, ...]

    def category(self, number: int) -> str:
        """What an id is: its kind, or where that is not known the name of its thing."""
        return self.kinds[number] or self.things[number]

    def instance(self, number: int) -> int:
        """The id that stands for the instance an id is part of.

        The parts of a thing that are of the same kind as its first one are one instance (an arm and its links); a part of another kind
        (a finger, a drawer) is an instance of its own.
        """
        first = self.things.index(self.things[number])
        return first if self.kinds[number] == self.kinds[first] else number


@dataclass(frozen=True, kw_only=True)
class CameraLabels:
    """What one camera truly saw. `world_from_camera`: it looks along its -z, y is up. `distortion`: OpenCV's k1, k2, p1, p2. Depth in
    metres along its axis, 0 where nothing is; segmentation in ids; normals in its frame. None: not recorded, or not asked for."""

    name: str
    height: int
    width: int
    fov_y_deg: float
    world_from_camera: Float64[np.ndarray, "t 4 4"]
    distortion: Float64[np.ndarray, "4"] = field(default_factory=lambda: np.zeros(4))
    depth_m: Float32[np.ndarray, "t h w"] | None = None
    segmentation: UInt16[np.ndarray, "t h w"] | None = None
    normals: Float32[np.ndarray, "t h w 3"] | None = None

    def intrinsics(self) -> Float64[np.ndarray, "3 3"]:
        """Camera points (x right, y down, z forward) to pixels; whole numbers are the centres of pixels, (0, 0) that of the upper left."""
        focal_px = self.height / 2.0 / np.tan(np.radians(self.fov_y_deg) / 2.0)
        return np.array([[focal_px, 0.0, (self.width - 1) / 2.0], [0.0, focal_px, (self.height - 1) / 2.0], [0.0, 0.0, 1.0]])

    def camera_from_world(self) -> Float64[np.ndarray, "t 4 4"]:
        """World points (metres) in the camera's frame as `intrinsics` has it: x right, y down, z forward."""
        return _DOWN_FORWARD @ np.linalg.inv(self.world_from_camera)


@dataclass(frozen=True, kw_only=True)
class Labels:
    """The labels of an episode of `t` pictures; `world_from_body` by id."""

    names: Names
    world_from_body: Float64[np.ndarray, "t n 4 4"]
    cameras: Mapping[str, CameraLabels]


def label_path(dataset: Path | str, episode: int) -> Path:
    """Where the labels of an episode are."""
    return Path(dataset) / LABELS_FOLDER / f"episode-{episode:06d}.npz"


def found_labels(dataset: Path | str, episode: int) -> Path | None:
    """The file of an episode's labels; None if there is none. DataError if a link leads out of the dataset."""
    path = label_path(dataset, episode)
    return safe_join(Path(dataset), path.relative_to(dataset).as_posix()) if path.is_file() else None


def camera_names(dataset: Dataset) -> tuple[str, ...]:
    """The dataset's cameras as labels call them."""
    return tuple(key.removeprefix(IMAGES) for key in dataset.info.camera_keys)


def read_names(dataset: Dataset, record: EpisodeRecord | int) -> Names:
    """What the ids of an episode are. Errors as of `read_labels`."""
    with _LabelFile(dataset, record) as file:
        return file.names()


def read_attempt(dataset: Dataset, record: EpisodeRecord | int) -> int:
    """Which attempt at its task an episode was, from 0 on; errors are those of `read_labels`."""
    with _LabelFile(dataset, record) as file:
        return int(file.read("attempt", (), np.int64)) if "attempt" in file else 0


def read_labels(
    dataset: Dataset, record: EpisodeRecord | int, *, cameras: Sequence[str] | None = None, modalities: Sequence[str] = MODALITIES
) -> Labels:
    """The labels of an episode: of all cameras (None), some, or none (empty), and these modalities as far as they were recorded.

    DataError names the file and what is wrong with it: it is missing or damaged, lacks a key, holds arrays that do not fit the episode's
    pictures, ids that it does not name, or numbers that are not finite.
    """
    unknown = sorted(set(modalities) - set(MODALITIES))
    if unknown:
        raise ConfigError(f"modalities of labels are {', '.join(MODALITIES)}, received {unknown[0]!r}")
    with _LabelFile(dataset, record) as file:
        names = file.names()
        world_from_body = file.read("world_from_body", (file.length, len(names.things), 4, 4), np.float64)
        wanted = camera_names(dataset) if cameras is None else tuple(cameras)
        found = {name: file.camera(dataset, name, modalities, len(names.things)) for name in wanted}
    return Labels(names=names, world_from_body=world_from_body, cameras=found)


class _LabelFile:
    """An episode's .npz. What an array claims to be is checked before it is read: a stranger's file may claim anything."""

    def __init__(self, dataset: Dataset, record: EpisodeRecord | int):
        record = dataset.record(record)
        self.path, self.length = label_path(dataset.path, record.index), record.length
        if found_labels(dataset.path, record.index) is None:
            raise DataError(f"{self.path} does not exist, so episode {record.index} has no labels; only simulated datasets have them")
        try:
            self._zip = zipfile.ZipFile(self.path)
        except (OSError, zipfile.BadZipFile) as error:
            raise DataError(f"{self.path} is not a .npz of labels ({error}); restore it, or simulate the dataset again") from error

    def __enter__(self) -> "_LabelFile":
        return self

    def __exit__(self, *_) -> None:
        self._zip.close()

    def __contains__(self, key: str) -> bool:
        return f"{key}.npy" in self._zip.namelist()

    def names(self) -> Names:
        """The three columns of text."""
        columns = [self.read(key, None, np.str_) for key in ("thing", "body", "kind")]
        if len({len(column) for column in columns}) > 1 or not len(columns[0]):
            raise DataError(f"{self.path}: thing, body and kind must be as many, found {[len(column) for column in columns]}")
        return Names(**{key: tuple(column.tolist()) for key, column in zip(("things", "bodies", "kinds"), columns, strict=True)})

    def camera(self, dataset: Dataset, name: str, modalities: Sequence[str], ids: int) -> CameraLabels:
        """One camera's arrays."""
        feature = dataset.info.features.get(IMAGES + name) or dataset.info.features.get(name)
        if feature is None or feature.dtype != "video":
            known = ", ".join(camera_names(dataset)) or "none"
            raise ConfigError(f"{dataset.path} has no camera {name!r}; it has {known}")
        height, width = feature.shape[:2]
        pixels = (self.length, height, width)
        types = {"depth": (pixels, np.float32), "segmentation": (pixels, np.uint16), "normals": ((*pixels, 3), np.float32)}
        found = {one: self.read(f"{name}.{one}", *types[one]) for one in modalities if f"{name}.{one}" in self}
        segmentation = found.get("segmentation")
        if segmentation is not None and segmentation.max(initial=0) >= ids:
            raise DataError(f"{self.path}: {name}.segmentation has the id {segmentation.max()}, but only ids below {ids} are named")
        return CameraLabels(
            name=name,
            height=height,
            width=width,
            fov_y_deg=float(self.read(f"{name}.fov_y_deg", (), np.float64)),
            world_from_camera=self.read(f"{name}.world_from_camera", (self.length, 4, 4), np.float64),
            distortion=self.read(f"{name}.distortion", (4,), np.float64) if f"{name}.distortion" in self else np.zeros(4),
            depth_m=found.get("depth"),
            segmentation=segmentation,
            normals=found.get("normals"),
        )

    def read(self, key: str, shape: tuple[int, ...] | None, kind: type) -> np.ndarray:
        """The array of a key, of this shape (None: a column of names) and type."""
        if key not in self:
            raise DataError(f"{self.path} has no {key!r}; it has {', '.join(sorted(name[:-4] for name in self._zip.namelist()))}")
        try:
            with self._zip.open(f"{key}.npy") as stream:
                self._check(key, stream, shape, kind)
            with self._zip.open(f"{key}.npy") as stream:
                found = np.lib.format.read_array(stream, allow_pickle=False)
        except (ValueError, OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"{self.path}: {key} is damaged ({error}); restore the file, or simulate the dataset again") from error
        if found.dtype.kind == "f" and not np.isfinite(found).all():
            raise DataError(f"{self.path}: {key} has numbers that are not finite; simulate the dataset again")
        return found

    def _check(self, key: str, stream, shape: tuple[int, ...] | None, kind: type) -> None:
        version = np.lib.format.read_magic(stream)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        found, _, dtype = header(stream)
        names = shape is None
        if names and (len(found) != 1 or found[0] > MAX_IDS or dtype.kind != "U" or dtype.itemsize > 4 * MAX_LETTERS):
            raise DataError(f"{self.path}: {key} must be at most {MAX_IDS} names of {MAX_LETTERS} letters, found {list(found)} {dtype}")
        if not names and (found != shape or dtype != kind):
            wanted = f"{list(shape)} {np.dtype(kind)}, as the episode's {self.length} pictures ask for"
            raise DataError(f"{self.path}: {key} must be {wanted}, found {list(found)} {dtype}; do labels and dataset belong together?")
