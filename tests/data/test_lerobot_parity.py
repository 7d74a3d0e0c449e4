"""LeRobot 0.4.4 reads what we write, frame for frame, and we read what LeRobot writes and converts, equally."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from armillary.data.convert import convert
from armillary.data.dataset import open_dataset
from armillary.data.doctor import repair
from armillary.data.merge import merge
from armillary.data.record import DatasetWriter, write_dataset
from tests.data import lerobot_reader
from tests.data.recordings import VIEW, WRIST, episode, excerpt

pytestmark = pytest.mark.skipif(
    not lerobot_reader.available(), reason="needs the extra `conformance`: lerobot 0.4.4 without its dependencies"
)


@pytest.fixture(scope="module")
def lerobot(tmp_path_factory: pytest.TempPathFactory):
    return lerobot_reader.load(tmp_path_factory.mktemp("huggingface"))


def test_lerobot_reads_a_recording_of_ours(lerobot, tmp_path: Path):
    episodes = [episode(n, 8 + n, cameras=(VIEW, WRIST), task=("push", "pull")[n % 2]) for n in range(4)]
    ours = open_dataset(write_dataset(tmp_path / "ours", episodes, robot_type="toy", action_names=("x", "y", "z")))
    assert lerobot_reader.assert_equal(lerobot_reader.read(lerobot, ours.path, "ours"), ours) == sum(8 + n for n in range(4))
    for original in episodes:  # and within codec error of what was recorded
        decoded = ours.load(original.index).frames[WRIST]
        assert np.abs(decoded.astype(int) - original.frames[WRIST]).mean() < 3


def test_lerobot_reads_a_recording_that_was_never_closed(lerobot, tmp_path: Path):
    writer = DatasetWriter(tmp_path / "open")
    for n in range(3):
        writer.save(episode(n))
    ours = open_dataset(tmp_path / "open")
    assert lerobot_reader.assert_equal(lerobot_reader.read(lerobot, ours.path, "open"), ours) == 36
    writer.close()
    assert lerobot_reader.assert_equal(lerobot_reader.read(lerobot, ours.path, "closed"), open_dataset(ours.path)) == 36


def test_lerobot_reads_a_merged_dataset(lerobot, tmp_path: Path):
    first = write_dataset(tmp_path / "first", [episode(n, task="push") for n in range(2)])
    second = write_dataset(tmp_path / "second", [episode(5 + n, 9, task=("pull", "push")[n]) for n in range(2)])
    ours = open_dataset(merge([second, first], tmp_path / "both").path)
    assert [record.tasks for record in ours.episodes] == [("pull",), ("push",), ("push",), ("push",)]
    assert lerobot_reader.assert_equal(lerobot_reader.read(lerobot, ours.path, "both"), ours) == 9 + 9 + 12 + 12


def test_we_read_what_lerobot_records(lerobot, tmp_path: Path):
    image = {"dtype": "video", "shape": (48, 64, 3), "names": ["height", "width", "channels"]}
    features = {VIEW: image, "action": {"dtype": "float32", "shape": (3,), "names": ["x", "y", "z"]}}
    features["observation.state"] = {"dtype": "float32", "shape": (4,), "names": None}
    theirs = lerobot.LeRobotDataset.create("theirs", 10, features, root=tmp_path / "theirs", vcodec="h264", streaming_encoding=True)
    for n in range(3):
        recorded = episode(n, 10 + n, task=("push", "pull")[n % 2])
        for t in range(len(recorded)):
            row = {VIEW: recorded.frames[VIEW][t], "action": recorded.actions[t], "observation.state": recorded.state[t]}
            theirs.add_frame(row | {"task": recorded.task})
        theirs.save_episode()
    theirs.finalize()
    ours = open_dataset(tmp_path / "theirs")
    assert ours.quarantined == () and ours.info.action_names == ("x", "y", "z")
    assert lerobot_reader.assert_equal(lerobot_reader.read(lerobot, ours.path, "theirs"), ours) == 33
    copy = convert(ours.path, tmp_path / "copy")
    assert copy.frame_exact
    again = open_dataset(copy.path)
    assert [one.content_hash for one in again.episodes] == [one.content_hash for one in ours.episodes]
    assert lerobot_reader.assert_equal(lerobot_reader.read(lerobot, again.path, "copy"), again) == 33


def test_lerobots_conversion_of_a_real_robot_equals_ours(lerobot, tmp_path: Path, real_data: Path, monkeypatch: pytest.MonkeyPatch):
    source = excerpt(real_data / "g1_inspire_lerobot21_160x120", tmp_path / "g1", 3)
    shutil.copytree(source, tmp_path / "hub" / "theirs")
    monkeypatch.setattr(sys, "argv", ["convert"])
    from lerobot.datasets.v30.convert_dataset_v21_to_v30 import convert_dataset

    convert_dataset("theirs", root=tmp_path / "hub", push_to_hub=False)
    result = convert(source, tmp_path / "ours")
    assert result.frame_exact and len(result.episodes) == 3
    original, ours, theirs = (open_dataset(path) for path in (source, tmp_path / "ours", tmp_path / "hub/theirs"))
    frames = sum(record.length for record in original.episodes)
    assert lerobot_reader.assert_equal(lerobot_reader.read(lerobot, ours.path, "ours"), original, every=9) == frames
    assert lerobot_reader.assert_equal(lerobot_reader.read(lerobot, theirs.path, "theirs"), original, every=9) == frames
    assert lerobot_reader.assert_equal(lerobot_reader.read(lerobot, theirs.path, "theirs"), theirs, every=9) == frames
    assert [one.content_hash for one in ours.episodes] == [one.content_hash for one in original.episodes]
    stats = [json.loads((dataset.path / "meta/stats.json").read_text()) for dataset in (ours, theirs)]
    for key in ("action", "observation.state", "observation.images.cam_high"):
        for name in ("min", "max", "mean", "std", "count"):
            np.testing.assert_allclose(stats[0][key][name], stats[1][key][name], rtol=1e-4, atol=1e-5, err_msg=f"{key} {name}")


def test_lerobot_reads_the_repaired_copy_of_a_dirty_dataset(lerobot, tmp_path: Path, real_data: Path):
    result = repair(real_data / "gr1_robocasa_sim_lerobot2", tmp_path / "clean")
    assert result is not None and result.frame_exact
    ours = open_dataset(tmp_path / "clean")
    theirs = lerobot_reader.read(lerobot, ours.path, "clean")
    assert len(theirs) == ours.info.total_frames == 2096
    record = ours.episodes[-1]
    loaded, start = ours.load(record), theirs.meta.episodes[record.index]["dataset_from_index"]
    for t in (0, 1, record.length // 2, record.length - 1):
        item = theirs[start + t]
        np.testing.assert_array_equal(item["action"].numpy().astype(np.float32), loaded.actions[t])
        pixels = (item["observation.images.ego_view"] * 255).round().permute(1, 2, 0).numpy()
        np.testing.assert_array_equal(pixels, loaded.frames["observation.images.ego_view"][t])
        assert item["task"] == loaded.task.split("; ")[0]
