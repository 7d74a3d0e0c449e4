"""Simulated datasets: the same bytes for any number of processes and kills, readable by us and by LeRobot, with labels beside."""

import hashlib
import io
import multiprocessing
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from armillary.core import ConfigError, StorageError
from armillary.data.dataset import open_dataset
from armillary.data.doctor import examine
from armillary.data.labels import IMAGES, LABELS_FOLDER, label_path

pytest.importorskip("mujoco", reason="twins need the extra of that name")

from armillary.studies.simulate import MANIFEST_FILE, simulate
from armillary.worlds.twin.manifest import Manifest, read_manifest
from armillary.worlds.twin.record import record_episode
from tests.data import lerobot_reader

MANIFEST = Manifest(scene="gyroscope", seed=5, episodes=4, steps=6, size=64, cameras=("front", "top"), quality="draft")


def digests(dataset: Path) -> dict[str, str]:
    """The sha256 of every file; none of them holds a date."""
    files = sorted(path for path in dataset.rglob("*") if path.is_file())
    return {path.relative_to(dataset).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """By one process."""
    return simulate(MANIFEST, tmp_path_factory.mktemp("made") / "data")


def test_two_workers_write_the_same_bytes(made, tmp_path):
    seen = []
    found = simulate(MANIFEST, tmp_path / "data", workers=2, progress=lambda done, total: seen.append((done, total)))
    assert digests(found) == digests(made)
    assert seen == [(number, 4) for number in (1, 2, 3, 4)]


def test_a_killed_worker_changes_no_byte(made, tmp_path):
    killed = []

    def kill_one(done: int, total: int) -> None:
        if not killed:
            killed.append(multiprocessing.active_children()[0].pid)
            os.kill(killed[0], signal.SIGKILL)

    assert digests(simulate(MANIFEST, tmp_path / "data", workers=2, progress=kill_one)) == digests(made)
    assert killed and not multiprocessing.active_children()


def test_another_seed_makes_other_episodes(made, tmp_path):
    other = digests(simulate(replace(MANIFEST, seed=6, episodes=1), tmp_path / "data"))
    label = label_path("", 0).as_posix()
    assert other[label] != digests(made)[label]


def test_the_dataset_is_sound_and_says_what_it_holds(made):
    dataset = open_dataset(made)
    assert examine(made, deep=True).ok and not dataset.notes
    assert [record.length for record in dataset.episodes] == [6] * 4 and dataset.info.fps == 10
    assert dataset.info.camera_keys == (IMAGES + "front", IMAGES + "top")
    features = dataset.info.features
    drive = features["action"].names[0]
    assert features["observation.state"].names == (f"{drive}.position", f"{drive}.speed")
    assert read_manifest(made / MANIFEST_FILE) == MANIFEST
    card = (made / "README.md").read_text()
    assert all(f"| CAMERA.{key} |" in card for key in ("depth", "segmentation", "normals")) and "world_from_body" in card


def test_rows_and_labels_belong_to_the_same_episode(made):
    dataset = open_dataset(made)
    for record in dataset.episodes:
        loaded, recorded = dataset.load(record), record_episode(MANIFEST, record.index)
        np.testing.assert_array_equal(loaded.actions, recorded.episode.actions)
        np.testing.assert_array_equal(loaded.state, recorded.episode.state)
        away = loaded.frames[IMAGES + "top"].astype(int) - recorded.episode.frames[IMAGES + "top"]
        assert np.abs(away).mean() < 4, "only the codec may change the pictures"
        assert label_path(made, record.index).read_bytes() == recorded.labels
        with np.load(io.BytesIO(recorded.labels)) as labels:
            assert labels["front.depth"].shape == labels["front.segmentation"].shape == (6, 64, 64)
    assert len(list((made / LABELS_FOLDER).iterdir())) == 4


@pytest.mark.skipif(not lerobot_reader.available(), reason="needs the extra `conformance`: lerobot 0.4.4 without its dependencies")
def test_lerobot_reads_it(made, tmp_path_factory):
    lerobot = lerobot_reader.load(tmp_path_factory.mktemp("huggingface"))
    assert lerobot_reader.assert_equal(lerobot_reader.read(lerobot, made, "made"), open_dataset(made)) == 24


def test_what_is_there_is_never_written_over(made):
    before = digests(made)
    with pytest.raises(StorageError, match="exists already"):
        simulate(MANIFEST, made)
    assert digests(made) == before


def test_what_cannot_be_simulated_is_said_before_anything_is_written(tmp_path):
    with pytest.raises(ConfigError, match="no camera 'behind'"):
        simulate(Manifest(scene="gyroscope", cameras=("behind",)), tmp_path / "data")
    with pytest.raises(ConfigError, match="whole number of substeps"):
        simulate(Manifest(scene="gyroscope", seconds_per_step=0.0333), tmp_path / "data")
    with pytest.raises(ConfigError, match="workers must be >= 1"):
        simulate(MANIFEST, tmp_path / "data", workers=0)
    assert not (tmp_path / "data").exists()
