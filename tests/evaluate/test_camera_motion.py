"""A camera's motion read from pictures of a scene in closed form: two painted planes, seen from places that are known."""

import math

import numpy as np
import pytest
import torch

from armillary.core import DataError
from armillary.evaluate.camera_motion import CHANCE_DEG, WORST_DEG, motion_error, recover_motion

SIDE = 48
LEVEL = np.eye(3)
INTRINSICS = np.array([[34.0, 0.0, 23.5], [0.0, 34.0, 23.5], [0.0, 0.0, 1.0]])
PLANES = (
    (np.array([0.1, 0.0, -1.0]), -2.5),
    (np.array([0.0, -1.0, 0.15]), -0.9),
)  # a wall ahead and a floor below: normal . point = offset


def turned(axis, angle: float) -> np.ndarray:
    x, y, z = np.asarray(axis, float) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross


def world_from(rotation=LEVEL, place=(0.0, 0.0, 0.0)) -> np.ndarray:
    found = np.eye(4)
    found[:3, :3], found[:3, 3] = rotation, place
    return found


def shot(world_from_camera: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """The picture (3 h w) and the depth (h w) of a camera with x right, y down, z ahead."""
    columns, rows = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
    rays = np.stack([columns, rows, np.ones_like(rows)], axis=-1) @ np.linalg.inv(INTRINSICS).T
    ahead, place = rays @ world_from_camera[:3, :3].T, world_from_camera[:3, 3]
    depths = np.stack([(offset - normal @ place) / (ahead @ normal) for normal, offset in PLANES])
    depth = np.where(depths > 0, depths, np.inf).min(axis=0)
    x, y, z = np.moveaxis(place + ahead * depth[..., None], -1, 0)
    paint = [np.sin(2.1 * x + 0.9 * z) * np.cos(1.7 * y + 1.3 * z), np.sin(3.3 * x - 1.9 * y), np.cos(2.7 * z + 1.1 * x - 2.3 * y)]
    return torch.from_numpy(0.5 + 0.4 * np.stack(paint)).float(), torch.from_numpy(depth).float()


PATH = [world_from(turned((0.2, 1.0, 0.1), 0.06 * step), (0.07 * step, -0.02 * step, 0.05 * step)) for step in range(5)]


def laterwards(path=PATH) -> np.ndarray:
    """later_from_first of each pose after the first."""
    return np.stack([np.linalg.inv(one) @ path[0] for one in path[1:]])


@pytest.fixture(scope="module")
def seen():
    pictures = [shot(one) for one in PATH]
    return pictures[0][0][None], pictures[0][1][None], torch.stack([picture for picture, _ in pictures[1:]])[None]


def test_a_known_motion_is_recovered(seen):
    found = recover_motion(*seen, INTRINSICS)[0]
    for recovered, true in zip(found, laterwards(), strict=True):
        error = motion_error(recovered, true)
        assert error.found and error.rotation_deg < 0.15 and error.place_m < 0.006 and error.direction_deg < 4.0, error
    stays = motion_error(np.eye(4), laterwards()[-1])
    assert stays.rotation_deg == pytest.approx(math.degrees(0.24), abs=1e-6) and stays.direction_deg == CHANCE_DEG


def test_a_picture_that_is_the_first_one_moved_nothing(seen):
    first, depth, _ = seen
    np.testing.assert_allclose(recover_motion(first, depth, first[:, None], INTRINSICS)[0, 0], np.eye(4), atol=1e-5)


def test_worlds_of_a_batch_do_not_meet(seen):
    first, depth, later = seen
    both = recover_motion(first.repeat(2, 1, 1, 1), depth.repeat(2, 1, 1), torch.cat([later, later.flip(1)]), INTRINSICS)
    np.testing.assert_allclose(both[0], recover_motion(first, depth, later, INTRINSICS)[0], atol=1e-4)
    assert np.abs(both[1, 0] - both[0, 0]).max() > 0.1


def test_where_nothing_of_the_first_picture_is_seen_the_worst_value_counts(seen):
    first, depth, later = seen
    found = recover_motion(first, torch.zeros_like(depth), later, INTRINSICS)
    assert np.isnan(found).all()
    error = motion_error(found[0, 0], laterwards()[0])
    assert (error.rotation_deg, error.direction_deg, error.found) == (WORST_DEG, WORST_DEG, False)
    assert error.place_m == pytest.approx(2.0 * np.linalg.norm(laterwards()[0][:3, 3]))


def test_where_the_world_is_does_not_matter():
    somewhere = world_from(turned((1, -2, 0.5), 2.0), (4.0, 1.0, -3.0))
    for recovered, true, moved in zip(laterwards()[::-1], laterwards(), laterwards([somewhere @ one for one in PATH]), strict=True):
        one, other = motion_error(recovered, true), motion_error(recovered, moved)
        assert other.rotation_deg == pytest.approx(one.rotation_deg, abs=1e-5) and other.place_m == pytest.approx(one.place_m, abs=1e-9)


def test_what_does_not_fit_is_refused(seen):
    first, depth, later = seen
    with pytest.raises(DataError, match=r"depth_m must be \(1, 48, 48\) .* received \(1, 48, 47\)"):
        recover_motion(first, depth[:, :, 1:], later, INTRINSICS)
    with pytest.raises(DataError, match="later must be"):
        recover_motion(first, depth, later[..., :40], INTRINSICS)
    with pytest.raises(DataError, match="later holds NaN"):
        recover_motion(first, depth, torch.where(later > 0.5, torch.nan, later), INTRINSICS)
    with pytest.raises(DataError, match="focal lengths above 0"):
        recover_motion(first, depth, later, np.zeros((3, 3)))
    with pytest.raises(DataError, match="must be a pose with a rotation"):
        motion_error(np.eye(4), np.diag([1.0, 2.0, 1.0, 1.0]))
