"""A recorded episode against the world it was recorded in: alignment, latency, and labels that are true."""

import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch

from armillary.core import Prompt, WorldError, seeded, to_disk

pytest.importorskip("mujoco", reason="twins need the extra of that name")

from armillary.data.dataset import open_dataset
from armillary.data.labels import IMAGES
from armillary.studies.simulate import simulate
from armillary.worlds.twin.manifest import Manifest
from armillary.worlds.twin.motion import smooth_actions
from armillary.worlds.twin.perform import world_of
from armillary.worlds.twin.randomise import NOTHING
from armillary.worlds.twin.record import IDLE, Labelled, action_names, follow, record_episode, state_names
from armillary.worlds.twin.world import TwinWorld
from tests.data import lerobot_reader

ARM = Manifest(scene="tabletop", steps=8, size=32, cameras=("front", "wrist"), randomise=replace(NOTHING, mass=1.0, image_noise=0.02))
TABLE_TOP_M = 0.72


@pytest.fixture(scope="module")
def recorded() -> Labelled:
    return record_episode(ARM, 1)


def labels_of(recorded: Labelled) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(recorded.labels)) as file:
        return dict(file)


def replayed(manifest: Manifest, index: int, actions: np.ndarray) -> np.ndarray:
    """The driven joints' positions and speeds, from MuJoCo's joints by their names, before each action."""
    world, rng = world_of(manifest, index), seeded(0)
    model, state, found = world.compiled.model, world.start(Prompt(batch_size=1), rng), []
    for action in actions:
        numbers = world.embed(state)[0].numpy()
        joints = [model.joint(drive) for drive in world.drives]
        found.append([*(numbers[one.qposadr[0]] for one in joints), *(numbers[model.nq + one.dofadr[0]] for one in joints)])
        state = world.step(state, torch.from_numpy(action)[None], rng)
    return np.array(found, dtype=np.float32)


def test_each_action_leads_from_its_row_to_the_next(recorded):
    np.testing.assert_array_equal(recorded.episode.state, replayed(ARM, 1, recorded.episode.actions))
    assert np.abs(np.diff(recorded.episode.state[:, :7], axis=0)).max() > 0.01, "the arm must move"


def test_each_picture_shows_its_own_row():
    plain = replace(ARM, cameras=("front",), reach=1.0, randomise=NOTHING, modalities=("rgb",))
    episode, world, rng = record_episode(plain, 1).episode, world_of(plain, 1), seeded(0)
    state = world.start(Prompt(batch_size=1), rng)
    for picture, action in zip(episode.frames[IMAGES + "front"], episode.actions, strict=True):
        np.testing.assert_array_equal(picture, to_disk(world.look(state, "front", ("rgb",))["rgb"])[0])
        state = world.step(state, torch.from_numpy(action)[None], rng)
    assert (episode.frames[IMAGES + "front"][0] != episode.frames[IMAGES + "front"][-1]).any(), "the arm must be seen to move"


def test_latency_delays_what_the_drives_are_told_but_not_what_is_recorded():
    prompt = Manifest(scene="gyroscope", steps=8, size=16, modalities=("rgb",), quality="draft", randomise=NOTHING)
    late, delays = replace(prompt, randomise=replace(NOTHING, latency_s=0.4)), set()
    for index in (1, 2, 4, 5):
        episode, targets = record_episode(late, index).episode, world_of(late, index).targets.numpy()
        told = [np.concatenate([np.tile(targets, (k, 1)), episode.actions[: len(episode) - k]]) for k in range(5)]
        fits = [k for k in range(5) if np.array_equal(episode.state, replayed(late, index, told[k]))]
        assert len(fits) == 1, fits
        delays.add(fits[0])
    assert len(delays) > 1, "the latency must differ between episodes"
    np.testing.assert_array_equal(record_episode(prompt, index).episode.actions, episode.actions)


def test_an_episode_is_the_same_whenever_it_is_recorded(recorded):
    record_episode(ARM, 0)
    again = record_episode(ARM, 1)
    assert again.labels == recorded.labels
    np.testing.assert_array_equal(again.episode.frames[IMAGES + "wrist"], recorded.episode.frames[IMAGES + "wrist"])


def test_noise_is_on_pictures_and_never_on_labels(recorded):
    clean = record_episode(replace(ARM, randomise=replace(ARM.randomise, image_noise=0.0)), 1)
    difference = recorded.episode.frames[IMAGES + "front"].astype(float) - clean.episode.frames[IMAGES + "front"]
    assert difference.std() == pytest.approx(0.02 * 255, rel=0.1)
    assert clean.labels == recorded.labels


def test_noise_is_on_the_state_in_its_units(recorded):
    noisy = record_episode(replace(ARM, cameras=("front",), randomise=replace(ARM.randomise, state_noise=0.05)), 1)
    assert (noisy.episode.state - recorded.episode.state).std() == pytest.approx(0.05, rel=0.3)


def test_depth_and_camera_put_the_table_where_it_is(recorded):
    labels = labels_of(recorded)
    table = int(np.flatnonzero(labels["thing"] == "table")[0])
    depth, shown = labels["front.depth"][3].astype(float), labels["front.segmentation"][3] == table
    focal = 16.0 / np.tan(np.radians(labels["front.fov_y_deg"]) / 2.0)
    column, row = np.meshgrid(np.arange(32) + 0.5 - 16.0, 16.0 - 0.5 - np.arange(32))
    points = np.stack([column / focal * depth, row / focal * depth, -depth], axis=-1)[shown]
    pose = labels["front.world_from_camera"][3]
    heights = (points @ pose[:3, :3].T + pose[:3, 3])[:, 2]
    assert shown.sum() > 100 and np.median(heights) == pytest.approx(TABLE_TOP_M, abs=1e-3) and heights.max() < TABLE_TOP_M + 2e-3


def test_a_camera_that_rides_along_moves_with_its_body(recorded):
    labels = labels_of(recorded)
    hand = int(np.flatnonzero((labels["thing"] == "arm") & (labels["body"] == "hand"))[0])
    held = np.linalg.inv(labels["world_from_body"][:, hand]) @ labels["wrist.world_from_camera"]
    np.testing.assert_allclose(held, np.tile(held[:1], (8, 1, 1)), atol=1e-9)
    assert np.ptp(labels["wrist.world_from_camera"][:, :3, 3], axis=0).max() > 0.005
    assert np.ptp(labels["front.world_from_camera"], axis=0).max() == 0.0


def test_random_motion_is_smooth_begins_at_rest_and_stays_in_reach():
    world = world_of(ARM, 0)
    actions, targets = smooth_actions(world, 200, 0.3, np.random.default_rng(0)), world.targets.numpy()
    half = (world.spec.action_space.high - world.spec.action_space.low) / 2.0
    np.testing.assert_array_equal(actions[0], targets)
    away = np.abs(actions - targets) / half
    assert 0.25 < away.max() <= 0.3 + 1e-6
    assert (np.abs(np.diff(actions, axis=0)) / half).max() < 0.3 * 2 * 1.5 * 0.1 / 0.6 + 1e-6, "at most the slope of an eased step"


def test_a_scene_without_drives_has_one_idle_action_and_no_state():
    manifest = Manifest(scene="free_fall", steps=3, size=16, modalities=("rgb", "normals"))
    found, world = record_episode(manifest, 0), world_of(manifest, 0)
    assert (action_names(world), state_names(world)) == ((IDLE,), ())
    assert found.episode.state is None and found.episode.actions.shape == (3, 1) and not found.episode.actions.any()
    labels = labels_of(found)
    assert labels["front.normals"].shape == (3, 16, 16, 3) and "front.depth" not in labels


def test_labels_are_plain_arrays_that_pack_well():
    """A pixel's whole history lies side by side in the file."""
    recorded = record_episode(replace(ARM, cameras=("front",), steps=10, size=128, quality="draft", reach=0.0), 1)
    labels, as_usual = labels_of(recorded), io.BytesIO()
    assert labels["front.depth"].shape == (10, 128, 128) and labels["front.depth"].dtype == np.float32
    assert labels["front.segmentation"].dtype == np.uint16 and labels["world_from_body"].shape[::2] == (10, 4)
    np.savez_compressed(as_usual, **{name: np.ascontiguousarray(values) for name, values in labels.items()})
    assert len(recorded.labels) < 0.8 * len(as_usual.getvalue())


def test_contacts_of_every_step_are_listed(recorded):
    labels = labels_of(recorded)
    step, one, other = (labels[f"contact_{what}"] for what in ("step", "body_a", "body_b"))
    assert step.dtype == np.int32 and one.dtype == other.dtype == np.uint16 and len(step) == len(one) == len(labels["contact_force_n"])
    assert (np.diff(step) >= 0).all() and step.max() == 7 and (one < other).all() and other.max() < len(labels["thing"])
    last = step == 7
    table = int(np.flatnonzero(labels["thing"] == "table")[0])
    lying = other[last & (one == table)]
    loose = set(labels["thing"]) - {"", "ground", "table", "arm"}
    assert set(labels["thing"][lying]) >= loose, "everything that is strewn lies on the table by then"


def test_flow_leads_from_each_picture_to_the_next():
    manifest = replace(ARM, steps=4, cameras=("wrist",), modalities=("rgb", "flow"))
    recorded = record_episode(manifest, 1)
    found, world, rng = labels_of(recorded)["wrist.flow"], world_of(manifest, 1), seeded(0)
    states = [world.start(Prompt(batch_size=1), rng)]
    for action in recorded.episode.actions[:-1]:
        states.append(world.step(states[-1], torch.from_numpy(action)[None], rng))
    assert found.shape == (4, 32, 32, 2) and found.dtype == np.float32
    for t in range(3):
        np.testing.assert_array_equal(found[t], world.flow(states[t], states[t + 1], "wrist")[0].movedim(0, -1).numpy())
    assert np.nanmax(np.abs(found[:3])) > 0.2 and np.isnan(found[3]).all()
    assert "wrist.depth" not in labels_of(recorded)


def test_states_are_simulated_ahead_and_faults_come_in_their_turn(monkeypatch):
    world, step, seen = world_of(replace(ARM, cameras=("front",)), 0), TwinWorld.step, []
    actions = smooth_actions(world, 6, 0.3, np.random.default_rng(0))
    one_by_one = [world.start(Prompt(batch_size=1), seeded(0))]
    for action in actions[:-1]:
        one_by_one.append(world.step(one_by_one[-1], torch.from_numpy(action)[None], seeded(0)))
    with ThreadPoolExecutor(1) as ahead:
        states = list(follow(world, actions, ahead))
    assert len(states) == 6 and all(torch.equal(one.physics, other.physics) for one, other in zip(states, one_by_one, strict=True))

    def fails_at_the_third(self, state, action, rng):
        if torch.equal(state.physics, states[2].physics):
            raise WorldError("thing 'x' became unstable")
        return step(self, state, action, rng)

    monkeypatch.setattr(TwinWorld, "step", fails_at_the_third)
    with ThreadPoolExecutor(1) as ahead, pytest.raises(WorldError, match="became unstable"):
        for state in follow(world, actions, ahead):
            seen.append(state)
    assert len(seen) == 3


def test_labels_of_cameras_can_be_columns_too(tmp_path):
    manifest = replace(ARM, cameras=("wrist",), label_columns=True, modalities=("rgb", "depth", "segmentation"), episodes=1)
    folder = simulate(manifest, tmp_path / "columns")
    read, labels = open_dataset(folder).load(0).labels, np.load(folder / "labels/episode-000000.npz")
    assert set(read) == {f"labels.wrist.{what}" for what in ("world_from_camera", "intrinsics", "depth", "segmentation")}
    for name, column in read.items():
        label = labels[name.removeprefix("labels.")]
        np.testing.assert_array_equal(column, np.broadcast_to(label, column.shape))


@pytest.mark.skipif(not lerobot_reader.available(), reason="LeRobot is not installed")
def test_lerobot_reads_labels_that_are_columns(tmp_path):
    folder = simulate(replace(ARM, cameras=("front",), label_columns=True, episodes=1, steps=3), tmp_path / "columns")
    row = lerobot_reader.load(tmp_path / "cache").LeRobotDataset("armillary/labels", root=str(folder))[1]
    labels = np.load(folder / "labels/episode-000000.npz")
    for name in ("depth", "segmentation"):
        np.testing.assert_array_equal(row[f"labels.front.{name}"].numpy(), labels[f"front.{name}"][1])
