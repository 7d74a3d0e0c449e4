"""The motion of a recorded camera as actions: what `model.camera_condition` is told, from the poses that a dataset holds.

A motion is what a camera does in its own frame (x right, y down, z ahead) from one picture to the next: a rotation vector (radians), then a
translation (metres). Where the world's origin and axes are does not matter to it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Float32, Float64

from armillary.core.episode import Episode
from armillary.core.errors import DataError
from armillary.data.dataset import Dataset
from armillary.data.labels import COLUMN, IMAGES, found_labels, read_labels

MOTION_NAMES = ("turn_x_rad", "turn_y_rad", "turn_z_rad", "move_x_m", "move_y_m", "move_z_m")
TOLERANCE = 1e-3  # by which a rotation matrix may miss being one
_DOWN_FORWARD = np.diag([1.0, -1.0, -1.0, 1.0])  # between a camera that looks along its -z, y up, and one with y down and z ahead


@dataclass(frozen=True, kw_only=True)
class CameraPath:
    """Where a camera was at each picture, and the angle of the picture's width. It looks along its -z, y is up (as labels have it)."""

    world_from_camera: Float64[np.ndarray, "t 4 4"]
    field_of_view_deg: float


def motions_along(world_from_camera: Float[np.ndarray, "*t_4_4"]) -> Float32[np.ndarray, "t 6"]:
    """The motion from each picture to the next, nothing after the last, of a camera (t 4 4) that looks along its -z, y up.

    DataError for what is no pose: another shape, a number that is not finite, a rotation that is none.

    >>> poses = np.stack([np.eye(4)] * 2)
    >>> poses[1, :3, 3] = (0.0, 0.0, -2.0)
    >>> motions_along(poses)[0].tolist()
    [0.0, 0.0, 0.0, 0.0, 0.0, 2.0]
    """
    _check(np.asarray(world_from_camera))
    poses = world_from_camera @ _DOWN_FORWARD
    relative = np.linalg.inv(poses[:-1]) @ poses[1:]
    found = np.zeros((len(poses), len(MOTION_NAMES)), dtype=np.float32)
    for row, motion in enumerate(relative):
        found[row] = *_rotation_vector(motion[:3, :3]), *motion[:3, 3]
    return found


def read_path(dataset: Dataset, episode: Episode, camera: str) -> CameraPath:
    """Where one of the dataset's cameras was in an episode: from the labels beside the dataset, else from its columns
    `labels.CAMERA.world_from_camera` and `labels.CAMERA.intrinsics` (OpenCV's camera matrix).

    DataError where the episode says neither, or what it says is no pose or no camera matrix.
    """
    name = camera.removeprefix(IMAGES)
    if found_labels(dataset.path, episode.index) is not None:
        seen = read_labels(dataset, episode.index, cameras=(name,), modalities=()).cameras[name]
        poses, matrix = seen.world_from_camera, seen.intrinsics()
    else:
        keys = [f"{COLUMN}{name}.{what}" for what in ("world_from_camera", "intrinsics")]
        if missing := [key for key in keys if key not in episode.labels]:
            raise DataError(
                f"{dataset.path}, episode {episode.index}: nothing says where the camera {name!r} was; it has neither labels beside it nor "
                f"the column {missing[0]!r}. Record with --label-columns true, or leave out --data.camera-motion"
            )
        poses, matrix = (episode.labels[key].astype(np.float64) for key in keys)
        matrix = matrix[0] if matrix.ndim == 3 else matrix
    where = f"{dataset.path}, episode {episode.index}, camera {name!r}"
    try:
        _check(poses)
    except DataError as error:
        raise DataError(f"{where}: {error}") from error
    if matrix.shape != (3, 3) or not np.isfinite(matrix).all() or matrix[0, 0] <= 0:
        raise DataError(f"{where}: intrinsics must be a finite 3 x 3 matrix with a focal length above 0, received {matrix.tolist()}")
    width = dataset.info.features[camera].shape[1]
    return CameraPath(world_from_camera=poses, field_of_view_deg=2.0 * math.degrees(math.atan(width / 2.0 / matrix[0, 0])))


def rig_along(world_from_camera: Float[np.ndarray, "*t_4_4"], world_from_other: Float[np.ndarray, "*t_4_4"]) -> Float32[np.ndarray, "t 6"]:
    """Where another camera is in the first one's frame at the next picture (after the last: at the last), in the numbers of a motion.

    Errors are those of `motions_along`.
    """
    for poses in (world_from_camera, world_from_other):
        _check(np.asarray(poses))
    relative = np.linalg.inv(world_from_camera @ _DOWN_FORWARD) @ (world_from_other @ _DOWN_FORWARD)
    found = np.stack([np.concatenate([_rotation_vector(pose[:3, :3]), pose[:3, 3]]) for pose in relative]).astype(np.float32)
    return np.concatenate([found[1:], found[-1:]])


def with_camera_motion(dataset: Dataset, episode: Episode, camera: str, *others: str) -> Episode:
    """The episode with the motions of one of its cameras for actions, each followed by where the `others` then are in that one's frame.

    Errors are those of `read_path`.
    """
    poses, *more = (read_path(dataset, episode, one).world_from_camera for one in (camera, *others))
    return replace(episode, actions=np.concatenate([motions_along(poses), *(rig_along(poses, other) for other in more)], axis=1))


def mean_field_of_view_deg(dataset: Dataset, episodes: Sequence[Episode], camera: str) -> float:
    """Of the picture's width, over episodes. Errors are those of `read_path`."""
    return float(np.mean([read_path(dataset, episode, camera).field_of_view_deg for episode in episodes]))


def _check(poses: np.ndarray) -> None:
    if poses.ndim != 3 or poses.shape[1:] != (4, 4) or not len(poses):
        raise DataError(f"poses of a camera must be pictures x 4 x 4, received {poses.shape}; give world_from_camera of every picture")
    for what, wrong in (
        ("is not finite", ~np.isfinite(poses).all(axis=(1, 2))),
        ("has another last row than 0 0 0 1", np.abs(poses[:, 3] - (0, 0, 0, 1)).max(axis=1) > TOLERANCE),
        ("has no rotation: its axes are not at right angles, of length 1 and right-handed", _no_rotation(poses[:, :3, :3])),
    ):
        if wrong.any():
            row = int(wrong.argmax())
            raise DataError(f"the camera's pose at picture {row} {what}: {np.round(poses[row], 4).tolist()}; record it again")


def _no_rotation(turning: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", over="ignore"):
        off = np.abs(turning @ turning.transpose(0, 2, 1) - np.eye(3)).max(axis=(1, 2))
        return ~(off <= TOLERANCE) | (np.linalg.det(np.nan_to_num(turning)) < 0)


def _rotation_vector(turning: Float64[np.ndarray, "3 3"]) -> Float64[np.ndarray, "3"]:
    """Axis times angle (radians, at most pi)."""
    twice_sine = np.array([turning[2, 1] - turning[1, 2], turning[0, 2] - turning[2, 0], turning[1, 0] - turning[0, 1]])
    sine, cosine = np.linalg.norm(twice_sine) / 2.0, (np.trace(turning) - 1.0) / 2.0
    angle = math.atan2(sine, cosine)
    if sine > 1e-6:
        return twice_sine * (angle / (2.0 * sine))
    if cosine > 0:
        return twice_sine / 2.0
    columns = (turning + turning.T) / 2.0 + np.eye(3)  # half a turn: each column is along the axis
    axis = columns[:, np.linalg.norm(columns, axis=0).argmax()]
    return axis * (angle / np.linalg.norm(axis))
