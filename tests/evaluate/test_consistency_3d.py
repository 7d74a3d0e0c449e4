"""Epipolar geometry against motions known in closed form, and on the real posed sets."""

import json

import numpy as np
import pytest

from armillary.core import ConfigError
from armillary.evaluate.consistency_3d import (
    direction_error_deg,
    essential_of,
    judge_matches,
    judge_video,
    match_points,
    rotation_error_deg,
    sampson_error,
)

RNG = np.random.default_rng(0)
INTRINSICS = np.array([[500.0, 0, 320], [0, 500.0, 240], [0, 0, 1]])


def turned(axis, angle):
    x, y, z = np.asarray(axis) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


ROTATION, TRANSLATION = turned((0.2, 1.0, 0.1), 0.15), np.array([0.5, 0.1, -0.1])


def seen(count=200, noise_px=0.0):
    """Points in front of both cameras, in pixels of each."""
    points = RNG.uniform([-2, -1.5, 4], [2, 1.5, 9], (count, 3))
    pixels = []
    for places in (points, points @ ROTATION.T + TRANSLATION):
        planes = places @ INTRINSICS.T
        pixels.append(planes[:, :2] / planes[:, 2:] + noise_px * RNG.normal(size=(count, 2)))
    return pixels


def test_matches_of_a_true_motion_have_no_error_and_off_ones_their_distance():
    essential = essential_of(ROTATION, TRANSLATION)
    one, two = ((points - [320, 240]) / 500 for points in seen())
    assert sampson_error(essential, one, two).max() < 1e-12
    # Moved by `off` across its line in one picture alone: Sampson's is off times the line's share of both slopes, to first order.
    lines = np.column_stack([one, np.ones(len(one))]) @ essential.T
    back = np.column_stack([two, np.ones(len(two))]) @ essential
    across = lines[:, :2] / np.linalg.norm(lines[:, :2], axis=1, keepdims=True)
    share = np.linalg.norm(lines[:, :2], axis=1) / np.hypot(np.linalg.norm(lines[:, :2], axis=1), np.linalg.norm(back[:, :2], axis=1))
    assert sampson_error(essential, one, two + 1e-5 * across) == pytest.approx(1e-5 * share, rel=1e-2)


def test_a_pose_is_recovered_and_shuffled_matches_have_none():
    pytest.importorskip("cv2", reason="3-D consistency needs the extra geometry")
    one, two = seen(noise_px=0.2)
    found = judge_matches(one, two, INTRINSICS)
    assert found.posed and found.inliers > 180 and found.sampson_px < 0.25
    assert rotation_error_deg(found.rotation, ROTATION) < 1.5 and direction_error_deg(found.direction, TRANSLATION) < 6
    wrong = judge_matches(one, RNG.permutation(two), INTRINSICS)
    assert not wrong.posed and wrong.sampson_px > 20 * found.sampson_px
    few = judge_matches(one[:10], two[:10], INTRINSICS)
    assert not few.posed and np.isnan(few.sampson_px) and few.matches == 10


def test_angles_by_hand():
    assert rotation_error_deg(turned((0, 0, 1), 0.3), np.eye(3)) == pytest.approx(np.degrees(0.3))
    assert direction_error_deg(np.array([1.0, 0, 0]), np.array([0, 2.0, 0])) == pytest.approx(90.0)


def test_the_garden_of_three_known_cameras(real_data):
    """138,766 real points: those that two cameras see fit their known motion; taken to the wrong points they do not."""
    pytest.importorskip("cv2", reason="3-D consistency needs the extra geometry")
    kept = np.load(real_data / "posed" / "garden" / "test_garden.npz")
    size, draw = (float(kept["width"]), float(kept["height"])), np.random.default_rng(0)
    for a, b in ((0, 1), (1, 2), (0, 2)):
        pixels, inside = [], np.ones(len(kept["means3d"]), dtype=bool)
        for camera in (a, b):
            places = kept["means3d"] @ kept["viewmats"][camera][:3, :3].T + kept["viewmats"][camera][:3, 3]
            planes = places @ kept["Ks"][camera].T
            spot = planes[:, :2] / planes[:, 2:]
            inside &= (planes[:, 2] > 0.05) & (spot > 0).all(axis=1) & (spot < size).all(axis=1)
            pixels.append(spot)
        chosen = draw.choice(np.flatnonzero(inside), 500, replace=False)
        one, two = (spot[chosen].astype(np.float64) + 0.2 * draw.normal(size=(500, 2)) for spot in pixels)
        true = kept["viewmats"][b].astype(np.float64) @ np.linalg.inv(kept["viewmats"][a].astype(np.float64))
        intrinsics = kept["Ks"][a].astype(np.float64)
        found, wrong = judge_matches(one, two, intrinsics), judge_matches(one, draw.permutation(two), intrinsics)
        assert found.posed and found.sampson_px < 0.5 and rotation_error_deg(found.rotation, true[:3, :3]) < 1
        assert direction_error_deg(found.direction, true[:3, 3]) < 4
        assert not wrong.posed and wrong.sampson_px > 5 * found.sampson_px


def rodrigues(vector):
    return turned(vector, np.linalg.norm(vector))


def test_real_photographs_of_a_building(real_data):
    """Photographs 1 and 2 were taken beside one another: a pose is found, and it is the reference's. With one mirrored there is none."""
    cv2 = pytest.importorskip("cv2", reason="3-D consistency needs the extra geometry")
    folder = real_data / "posed" / "berlin"
    reference = json.loads((folder / "reconstruction_example.json").read_text())[0]
    (camera,) = reference["cameras"].values()
    photographs = []
    for name in ("01.jpg", "02.jpg"):
        picture = cv2.cvtColor(cv2.imread(str(folder / "images" / name)), cv2.COLOR_BGR2RGB)
        photographs.append(cv2.resize(picture, (816, 612), interpolation=cv2.INTER_AREA))
    focal = camera["focal"] * 816
    intrinsics = np.array([[focal, 0, 407.5], [0, focal, 305.5], [0, 0, 1]])
    lens = np.array([camera["k1"], camera["k2"], 0.0, 0.0])
    first, second = (cv2.undistort(picture, intrinsics, lens) for picture in photographs)
    one, two = match_points(first, second)
    found = judge_matches(one, two, intrinsics)
    shots = [reference["shots"][name] for name in ("01.jpg", "02.jpg")]
    rotations = [rodrigues(shot["rotation"]) for shot in shots]
    true = rotations[1] @ rotations[0].T
    assert found.posed and found.sampson_px < 1.0 and rotation_error_deg(found.rotation, true) < 2.0
    mirrored = judge_video(np.stack([first, np.ascontiguousarray(second[:, ::-1])]), intrinsics)[0]
    assert not mirrored.posed
    shuffled = judge_matches(one, np.random.default_rng(0).permutation(two), intrinsics)
    assert not shuffled.posed and shuffled.sampson_px > 5 * found.sampson_px


def test_a_single_frame_has_no_motion():
    with pytest.raises(ConfigError, match="at least two frames 1 apart, received 1"):
        judge_video(np.zeros((1, 8, 8, 3), dtype=np.uint8), INTRINSICS)
