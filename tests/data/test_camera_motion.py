"""Motions of a camera: by hand, against the poses that they must lead through, from both places where poses are kept, and refused."""

import math
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from armillary.core import DataError, Episode
from armillary.data.camera_motion import MOTION_NAMES, mean_field_of_view_deg, motions_along, read_path, with_camera_motion
from armillary.data.dataset import open_dataset
from armillary.data.record import write_dataset
from armillary.nn.pluecker import poses_along
from tests.data.labelled import FOV_Y_DEG, FRAMES, HEIGHT, WIDTH, world_from_camera, write_labelled

FRONT = "observation.images.front"
LEVEL = np.eye(3)
DOWN_FORWARD = np.diag([1.0, -1.0, -1.0, 1.0])


def turned(axis, angle: float) -> np.ndarray:
    x, y, z = np.asarray(axis, float) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross


def pose(rotation=LEVEL, place=(0.0, 0.0, 0.0)) -> np.ndarray:
    found = np.eye(4)
    found[:3, :3], found[:3, 3] = rotation, place
    return found


def path(count: int = 7) -> np.ndarray:
    """Poses with nothing in common."""
    draw = np.random.default_rng(3)
    return np.stack([pose(turned(draw.normal(size=3), draw.uniform(0, 2.5)), draw.normal(size=3)) for _ in range(count)])


def test_a_motion_by_hand():
    """The camera looks along the world's +y, up is z; it turns a quarter to the left and goes two metres ahead before."""
    level = turned((1, 0, 0), math.pi / 2)
    poses = np.stack([pose(level), pose(turned((0, 0, 1), math.pi / 2) @ level, (0.0, 2.0, 0.0)), pose(level @ turned((0, 0, 1), math.pi))])
    found = motions_along(poses)
    assert len(MOTION_NAMES) == 6 and found.dtype == np.float32
    np.testing.assert_allclose(found[0], [0, -math.pi / 2, 0, 0, 0, 2], atol=1e-6)  # y is down: left is a negative turn about it
    assert np.linalg.norm(found[1, :3]) > 1.0 and not found[2].any(), "nothing comes after the last picture"
    half = motions_along(np.stack([pose(), pose(turned((0.6, 0.0, 0.8), math.pi))]))[0, :3]
    np.testing.assert_allclose(np.abs(half), np.abs(math.pi * np.array([0.6, 0.0, 0.8])), atol=1e-5)


def test_motions_lead_through_the_poses_that_they_are_of():
    poses = path()
    led = poses_along(torch.from_numpy(motions_along(poses)[None, :-1]).double())[0].numpy()
    np.testing.assert_allclose(led, np.linalg.inv(poses[0] @ DOWN_FORWARD) @ poses @ DOWN_FORWARD, atol=1e-5)


def test_where_the_world_is_does_not_matter():
    moved = pose(turned((1, 2, -1), 1.1), (5.0, -3.0, 2.0)) @ path()
    np.testing.assert_allclose(motions_along(moved), motions_along(path()), atol=1e-6)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda poses: poses[:, :3], r"pictures x 4 x 4, received \(7, 3, 4\)"),
        (lambda poses: poses[0], r"received \(4, 4\)"),
        (lambda poses: poses[:0], r"received \(0, 4, 4\)"),
        (lambda poses: np.where(np.arange(7)[:, None, None] == 2, np.nan, poses), "picture 2 is not finite"),
        (lambda poses: poses * np.array([1.1, 1.0, 1.0, 1.0]), "picture 0 has no rotation"),
        (lambda poses: poses @ np.diag([-1.0, 1.0, 1.0, 1.0]), "picture 0 has no rotation"),
        (lambda poses: poses + np.eye(4)[3][:, None] * np.eye(4)[0], "another last row"),
    ],
)
def test_what_is_no_pose_is_refused(change, words):
    with pytest.raises(DataError, match=words):
        motions_along(change(path()))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return write_labelled(tmp_path_factory.mktemp("labelled") / "balls")


def test_labels_beside_a_dataset_say_where_its_camera_was(made):
    dataset = open_dataset(made)
    episode = dataset.load(1, cameras=())
    found = read_path(dataset, episode, FRONT)
    np.testing.assert_array_equal(found.world_from_camera, np.tile(world_from_camera("front"), (FRAMES, 1, 1)))
    wide = 2 * math.degrees(math.atan(WIDTH / HEIGHT * math.tan(math.radians(FOV_Y_DEG) / 2)))
    assert found.field_of_view_deg == pytest.approx(wide) and mean_field_of_view_deg(dataset, [episode], FRONT) == pytest.approx(wide)
    assert with_camera_motion(dataset, episode, FRONT).actions.shape == (FRAMES, 6)


def columns(**changes) -> dict[str, np.ndarray]:
    matrix = np.array([[20.0, 0.0, 7.5], [0.0, 20.0, 7.5], [0.0, 0.0, 1.0]])
    return {"labels.front.world_from_camera": path(4), "labels.front.intrinsics": np.tile(matrix, (4, 1, 1))} | changes


def written(folder, labels: dict[str, np.ndarray]):
    frames = {FRONT: np.random.default_rng(0).integers(0, 255, (4, 16, 16, 3), dtype=np.uint8)}
    episode = Episode(frames=frames, actions=np.zeros((4, 1), np.float32), seconds_per_step=0.1, labels=labels)
    dataset = open_dataset(write_dataset(folder / "set", [episode], robot_type="camera"))
    return dataset, dataset.load(0, cameras=())


def test_columns_say_it_where_no_labels_lie_beside(tmp_path):
    dataset, episode = written(tmp_path, columns())
    np.testing.assert_allclose(with_camera_motion(dataset, episode, FRONT).actions, motions_along(path(4)), atol=1e-6)
    assert read_path(dataset, episode, FRONT).field_of_view_deg == pytest.approx(2 * math.degrees(math.atan(8 / 20)))


def test_an_episode_that_says_nothing_or_nonsense_is_named(tmp_path, made):
    silent, episode = written(tmp_path / "silent", {})
    with pytest.raises(DataError, match=r"episode 0: nothing says where the camera 'front' was.*--label-columns true"):
        read_path(silent, episode, FRONT)
    dataset, episode = written(tmp_path / "columns", columns())
    bent = replace(episode, labels=columns(**{"labels.front.world_from_camera": 2.0 * path(4)}))
    with pytest.raises(DataError, match="set, episode 0, camera 'front': the camera's pose at picture 0 has"):
        read_path(dataset, bent, FRONT)
    flat = replace(episode, labels=columns(**{"labels.front.intrinsics": np.zeros((4, 3, 3))}))
    with pytest.raises(DataError, match="focal length above 0"):
        read_path(dataset, flat, FRONT)
    damaged = shutil.copytree(made, tmp_path / "damaged")
    (damaged / "labels" / "episode-000000.npz").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"is not a \.npz of labels"):
        read_path(open_dataset(damaged), episode, FRONT)
