"""Tours: a camera through the rooms, its motions as actions, clear of what stands there, and the same each time."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch

from armillary.core import ConfigError, WorldError

pytest.importorskip("mujoco", reason="twins need the extra of that name")

from armillary.core import to_model
from armillary.data.camera_motion import MOTION_NAMES, motions_along
from armillary.data.dataset import open_dataset
from armillary.data.labels import IMAGES
from armillary.evaluate.camera_motion import motion_error, recover_motion
from armillary.nn.pluecker import poses_along
from armillary.studies.simulate import simulate
from armillary.worlds.twin import tour
from armillary.worlds.twin.extent import asset_bounds
from armillary.worlds.twin.manifest import Manifest
from armillary.worlds.twin.randomise import NOTHING
from armillary.worlds.twin.record import record_episode
from armillary.worlds.twin.scenes.catalogue import build
from armillary.worlds.twin.tour import AHEAD_M, CAMERA, CLEAR_M, FURTHEST_M, KNOT_S, TURN_DEG, plan_tour, with_tour_camera

TOUR = Manifest(
    scene="rooms",
    policy="tour",
    steps=4,
    size=48,
    seconds_per_step=0.2,
    modalities=("rgb", "depth"),
    quality="draft",
    label_columns=True,
    randomise=replace(NOTHING, texture=0.6, camera_deg=2.0),
)


@pytest.fixture(scope="module")
def recorded():
    return record_episode(TOUR, 3)


def test_actions_are_what_the_camera_did(recorded):
    """Of the camera as it truly sits, tilted a little: the judge reads the same motion from the pictures and the first one's depth."""
    episode, labels = recorded.episode, np.load(io.BytesIO(recorded.labels))
    np.testing.assert_array_equal(episode.actions, motions_along(labels["tour.world_from_camera"]))
    np.testing.assert_array_equal(episode.labels["labels.tour.world_from_camera"], labels["tour.world_from_camera"])
    np.testing.assert_array_equal(episode.labels["labels.tour.intrinsics"][2], labels["tour.intrinsics"])
    assert episode.state is None and np.abs(episode.actions[1, :3]).max() > 0.01
    pictures = to_model(episode.frames[IMAGES + CAMERA])
    found = recover_motion(pictures[:1], torch.from_numpy(labels["tour.depth"][:1]), pictures[None, 1:], labels["tour.intrinsics"])[0]
    asked = np.linalg.inv(poses_along(torch.from_numpy(episode.actions[None, :-1])).double().numpy()[0, 1:])
    still = motion_error(np.eye(4), asked[-1])
    error = motion_error(found[-1], asked[-1])
    assert still.rotation_deg > 5 and still.place_m > 0.3, "much must be asked"
    assert error.rotation_deg < 1.5 and error.place_m < 0.05 and error.direction_deg < 5, error


def test_a_tour_is_the_same_whenever_it_is_recorded(recorded):
    again = record_episode(TOUR, 3)
    assert again.labels == recorded.labels
    np.testing.assert_array_equal(again.episode.frames[IMAGES + CAMERA], recorded.episode.frames[IMAGES + CAMERA])


@pytest.mark.parametrize("seed", range(4))
def test_a_tour_is_smooth_stays_clear_and_looks_into_the_room(seed):
    scene = with_tour_camera(build("rooms", seed))
    path = plan_tour(scene, 200, 0.05, np.random.default_rng(seed))
    per_step = 1.5 * 0.05 / KNOT_S  # the steepest that an eased step is
    turned = 2 * np.degrees(np.arccos(np.clip(np.abs((path[1:, 3:] * path[:-1, 3:]).sum(axis=1)), 0, 1)))
    assert np.linalg.norm(np.diff(path[:, :2], axis=0), axis=1).max() <= FURTHEST_M * per_step + 1e-9
    assert turned.max() <= (TURN_DEG + tour.NOD_DEG) * per_step and np.ptp(path[:, :2], axis=0).max() > FURTHEST_M
    for name in ("study shelf", "living shelf", "study cabinet"):
        placed = next((one for one in scene.things if one.name == name), None)
        bounds = asset_bounds(placed.asset) if placed else None
        if placed and placed.pose.position[2] + bounds[1, 2] > tour.HEIGHT_M[1]:
            local = placed.pose.inverse().apply(path[:, :3])
            beyond = np.maximum(np.maximum(bounds[0] - local, local - bounds[1]), 0.0)[:, :2]
            assert np.linalg.norm(beyond, axis=1).min() >= CLEAR_M - 0.02
    low, high = asset_bounds(scene.thing("walls").asset)
    assert (path[:, :2] > low[:2] + CLEAR_M).all() and (path[:, :2] < high[:2] - CLEAR_M).all()
    look = np.array([-2 * path[0, 3] * path[0, 6], path[0, 3] ** 2 - path[0, 6] ** 2])
    end = path[0, :2] + AHEAD_M * look / np.linalg.norm(look)
    assert (end > low[:2]).all() and (end < high[:2]).all()


def test_where_no_place_is_free_that_is_said(monkeypatch):
    monkeypatch.setattr(tour, "CLEAR_M", 9.0)
    with pytest.raises(WorldError, match=r"no place in the rooms is 9\.0 m away"):
        plan_tour(with_tour_camera(build("rooms", 0)), 3, 0.2, np.random.default_rng(0))


@pytest.mark.parametrize("change", [{"scene": "tabletop"}, {"cameras": ("robot",)}, {"task": "go_to"}])
def test_other_tours_are_refused(change):
    with pytest.raises(ConfigError, match="takes the camera 'tour' alone through the scene 'rooms'"):
        Manifest(**({"scene": "rooms", "policy": "tour"} | change))


def test_a_dataset_of_tours_names_its_motions(tmp_path):
    made = open_dataset(simulate(replace(TOUR, episodes=1, steps=2, size=16), tmp_path / "tours"))
    assert made.info.action_names == MOTION_NAMES and made.info.state_size is None and made.info.camera_keys == (IMAGES + CAMERA,)
    assert made.load(0, cameras=()).labels["labels.tour.intrinsics"].shape == (2, 3, 3)
