"""Real recordings: a teleoperated robot in v2.1, its AV1 original, and a simulated v2.0 set whose metadata is wrong."""

import json
import shutil
from pathlib import Path

import av
import numpy as np
import pytest

from armillary.core.errors import DataError
from armillary.data.convert import convert
from armillary.data.dataset import open_dataset
from armillary.data.doctor import repair
from armillary.data.mp4 import read_track
from armillary.data.validate import validate
from tests.data.recordings import excerpt, tree

G1, GR1, AV1 = "g1_inspire_lerobot21_160x120", "gr1_robocasa_sim_lerobot2", "g1_inspire_original_av1"
CAMERA = "observation.images.cam_high"


def pictures(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "NONE"
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def test_a_real_robot_is_read_whole(real_data: Path):
    dataset = open_dataset(real_data / G1)
    info = dataset.info
    assert (len(dataset), info.total_frames, info.fps, info.version, info.robot_type) == (53, 18865, 30.0, "v2.1", "Unitree_G1_Inspire")
    assert (info.camera_keys, info.action_size, info.state_size, info.action_names[0]) == ((CAMERA,), 26, 26, "kLeftShoulderPitch")
    assert dataset.quarantined == () and len({record.content_hash for record in dataset.episodes}) == 53
    episode = dataset.load(52)
    file = real_data / G1 / f"videos/chunk-000/{CAMERA}/episode_000052.mp4"
    np.testing.assert_array_equal(episode.frames[CAMERA], pictures(file))
    assert episode.task == "Pick up the yellow bottle on the table." and np.isfinite(episode.actions).all()


def test_a_real_robot_is_converted_exactly(real_data: Path, tmp_path: Path):
    before = open_dataset(real_data / G1)
    result = convert(real_data / G1, tmp_path / "new")
    after = open_dataset(result.path)
    assert result.frame_exact and len(result.episodes) == 53
    assert [one.content_hash for one in after.episodes] == [one.content_hash for one in before.episodes]
    np.testing.assert_array_equal(after.load(31).frames[CAMERA], before.load(31).frames[CAMERA])


def test_faults_put_into_a_real_recording_are_quarantined(real_data: Path, tmp_path: Path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    dataset = excerpt(real_data / G1, tmp_path / "g1", 5)
    video = dataset / f"videos/chunk-000/{CAMERA}/episode_000001.mp4"
    video.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    (dataset / "data/chunk-000/episode_000002.parquet").unlink()
    path = dataset / "data/chunk-000/episode_000003.parquet"
    table = pq.read_table(path)
    actions = np.array(table["action"].to_pylist(), dtype=np.float32)
    actions[100, 5] = np.nan
    column = pa.FixedSizeListArray.from_arrays(pa.array(actions.reshape(-1)), 26)
    pq.write_table(table.set_column(table.column_names.index("action"), "action", column), path)
    opened = open_dataset(dataset)
    reasons = {bad.index: bad.reason for bad in opened.quarantined}
    assert [record.index for record in opened.episodes] == [0, 4] and list(reasons) == [1, 2, 3]
    assert "truncated" in reasons[1] and "does not exist" in reasons[2] and "nan in row 100, number 5" in reasons[3]
    copy = repair(dataset, tmp_path / "copy")
    assert [one.source_index for one in copy.episodes] == [0, 4] and validate(copy.path).ok


def test_wrong_metadata_gives_one_error_and_a_repaired_copy(real_data: Path, tmp_path: Path):
    with pytest.raises(DataError) as caught:
        open_dataset(real_data / GR1)
    message = str(caught.value)
    for words in (
        "features['observation.images.egoview']: expected a video of it for each of 5 episodes",
        "total_videos: expected 5, found 2",
        "total_chunks: expected 1, found 0",
        "splits['train']: expected within 0:5, found '0:100'",
        "column 'frame_index' (in every one of 5 episodes)",
        "timestamps start (in every one of 5 episodes): expected 0 s, found 0.0500 s",
    ):
        assert words in message
    assert "6 discrepancies" in message and message.count("Fix: ") == 6
    result = repair(real_data / GR1, tmp_path / "copy")
    assert result.frame_exact and validate(result.path).ok
    once = tree(tmp_path / "copy")
    assert repair(real_data / GR1, tmp_path / "copy").already_there and tree(tmp_path / "copy") == once
    assert (tmp_path / "copy/meta/modality.json").read_bytes() == (real_data / GR1 / "meta/modality.json").read_bytes()
    copy = open_dataset(tmp_path / "copy")
    assert copy.info.camera_keys == ("observation.images.ego_view",) and copy.info.action_size == 44 and len(copy.info.tasks) == 6
    last = copy.load(4)
    file = real_data / GR1 / "videos/chunk-000/observation.images.ego_view/episode_000004.mp4"
    np.testing.assert_array_equal(last.frames["observation.images.ego_view"], pictures(file))
    assert last.terminated is not None and last.rewards is not None and last.seconds_per_step == pytest.approx(0.05)


def test_an_av1_original_is_copied_without_encoding(real_data: Path, tmp_path: Path):
    dataset = excerpt(real_data / G1, tmp_path / "av1", 11)
    for folder, file in ((f"videos/chunk-000/{CAMERA}", "episode_000010.mp4"), ("data/chunk-000", "episode_000010.parquet")):
        shutil.rmtree(dataset / folder)
        (dataset / folder).mkdir()
        shutil.copyfile(real_data / AV1 / file, dataset / folder / file.replace("10", "00"))
    info = json.loads((dataset / "meta/info.json").read_text())
    info |= {"total_episodes": 1, "total_frames": 290, "total_videos": 1, "splits": {"train": "0:1"}}
    info["features"][CAMERA] |= {"shape": [480, 640, 3], "info": {"video.codec": "av1"}}
    (dataset / "meta/info.json").write_text(json.dumps(info))
    line = {"episode_index": 0, "tasks": ["Pick up the yellow bottle on the table."], "length": 290}
    (dataset / "meta/episodes.jsonl").write_text(json.dumps(line) + "\n")
    with pytest.raises(DataError, match=r"episode_index .*expected 0 in row 0, found 10"):
        open_dataset(dataset)
    result = repair(dataset, tmp_path / "copy")
    copy = open_dataset(result.path)
    assert result.frame_exact and copy.info.features[CAMERA].video["codec"] == "av1"
    before, after = read_track(dataset / f"videos/chunk-000/{CAMERA}/episode_000000.mp4"), copy.span(0, CAMERA).track
    assert (len(after), after.codec, after.height) == (290, "av1", 480)
    assert after.hash_packets(np.arange(290)) == before.hash_packets(np.arange(290))
