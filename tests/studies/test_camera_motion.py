"""From poses in a dataset to a world that is told its camera's motion: training, its cost, and the moment that a dream begins with."""

from dataclasses import replace

import numpy as np
import pytest

from armillary.core import DataError, Episode
from armillary.data.camera_motion import motions_along
from armillary.data.record import write_dataset
from armillary.data.shape import DataConfig
from armillary.studies.dream_prompt import read_beginning
from armillary.studies.fit import train_family
from armillary.studies.plans import estimate_run
from armillary.studies.runs import load_run
from armillary.studies.source import open_source
from armillary.worlds.video_diffusion.train import PRESETS

CAMERA, SIDE, LENGTH = "observation.images.head", 16, 16
MATRIX = np.array([[8.0, 0.0, 7.5], [0.0, 8.0, 7.5], [0.0, 0.0, 1.0]])  # 90 degrees wide


def poses(seed: int) -> np.ndarray:
    """A camera that slides along with another speed each episode."""
    found = np.tile(np.eye(4), (LENGTH, 1, 1))
    found[:, 0, 3] = np.random.default_rng(seed).uniform(0.1, 0.5) * np.arange(LENGTH) ** 1.5
    return found


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    episodes = []
    for seed in range(4):
        frames = {CAMERA: np.random.default_rng(seed).integers(0, 255, (LENGTH, SIDE, SIDE, 3), dtype=np.uint8)}
        labels = {"labels.head.world_from_camera": poses(seed), "labels.head.intrinsics": np.tile(MATRIX, (LENGTH, 1, 1))}
        episodes.append(Episode(frames=frames, actions=np.zeros((LENGTH, 1), np.float32), seconds_per_step=0.1, labels=labels))
    return write_dataset(tmp_path_factory.mktemp("posed") / "set", episodes, robot_type="camera")


def settings():
    config = PRESETS["small"]
    model = replace(config.model, camera_condition=True, width=24, depth=1, heads=2, patch=8, text="none", chunk_steps=4, batch_size=2)
    train = replace(config.train, steps=1, workers=0, tensorboard=False, validation_batches=1)
    return replace(config, data=DataConfig(height=SIDE, width=SIDE, stride=2, camera_motion=True), model=model, train=train)


def test_a_run_learns_from_the_motions_that_the_poses_tell(data, tmp_path):
    source = open_source(data, settings().data)
    np.testing.assert_allclose(source.episodes[2].actions, motions_along(poses(2)), atol=1e-6)
    train_family("video-diffusion", data=data, out=tmp_path / "run", config=settings(), replay=["armillary"])
    run = load_run(tmp_path / "run")
    shape = run.recorded["shape"]
    assert shape["action_size"] == 12 and shape["field_of_view_deg"] == pytest.approx(90.0), "a step joins two motions"
    assert run.world.denoiser.fields_of_view_deg == (pytest.approx(90.0),)
    begins = read_beginning(f"{data}:3@0.6", run)
    np.testing.assert_allclose(begins.next_actions[0], motions_along(poses(3))[6:8].ravel(), atol=1e-6)
    assert estimate_run("video-diffusion", settings(), data)[0].seconds > 0


def test_a_dataset_without_poses_is_refused_before_there_is_a_run(data, tmp_path):
    frames = {CAMERA: np.zeros((LENGTH, SIDE, SIDE, 3), np.uint8)}
    episodes = [Episode(frames=frames, actions=np.full((LENGTH, 1), k, np.float32), seconds_per_step=0.1) for k in range(4)]
    silent = write_dataset(tmp_path / "silent", episodes, robot_type="camera")
    with pytest.raises(DataError, match="nothing says where the camera 'head' was"):
        train_family("video-diffusion", data=silent, out=tmp_path / "run", config=settings(), replay=["armillary"])
    assert not (tmp_path / "run").exists()
