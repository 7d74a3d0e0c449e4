"""Convert, merge, repair: every frame as it was, in as many files as needed, whole or not at all, and the same when asked twice."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from armillary.core.errors import DataError, StorageError
from armillary.data import episode_files, video_files
from armillary.data.convert import convert
from armillary.data.dataset import open_dataset
from armillary.data.doctor import repair
from armillary.data.merge import merge
from armillary.data.metadata import read_metadata
from armillary.data.validate import validate
from tests.data.pictures import moving_square
from tests.data.recordings import VIEW, WRIST, episode, read_info, tree, write_info
from tests.data.test_mp4 import encode
from tests.data.version2 import write_version2

ROOT = Path(__file__).parents[2]


def assert_same(one: Path, other: Path) -> None:
    first, second = open_dataset(one), open_dataset(other)
    assert [(a.length, a.tasks, a.content_hash) for a in first.episodes] == [(b.length, b.tasks, b.content_hash) for b in second.episodes]
    for a, b in zip(first.episodes, second.episodes, strict=True):
        left, right = first.load(a), second.load(b)
        np.testing.assert_array_equal(left.actions, right.actions)
        np.testing.assert_array_equal(left.state, right.state)
        assert left.frames.keys() == right.frames.keys() and left.task == right.task
        for camera in left.frames:
            np.testing.assert_array_equal(left.frames[camera], right.frames[camera])


@pytest.mark.parametrize("version", ["v2.0", "v2.1"])
def test_a_converted_dataset_is_the_same_in_shared_files(tmp_path: Path, version: str):
    episodes = [episode(n, 6 + n, cameras=(VIEW, WRIST), task=("push", "pull")[n % 2]) for n in range(4)]
    source = write_version2(tmp_path / "old", episodes, version)
    result = convert(source, tmp_path / "new")
    assert result.frame_exact and not any(one.note for one in result.episodes) and not result.left_out
    assert_same(source, tmp_path / "new")
    files = [name for name in tree(tmp_path / "new") if not name.startswith("README")]
    meta = ["armillary.json", "episodes/chunk-000/file-000.parquet", "info.json", "stats.json", "tasks.parquet"]
    videos = [f"videos/{key}/chunk-000/file-000.mp4" for key in (VIEW, WRIST)]
    assert files == ["data/chunk-000/file-000.parquet", *(f"meta/{name}" for name in meta), *videos]
    info = read_info(tmp_path / "new")
    assert info["codebase_version"] == "v3.0" and "total_videos" not in info and info["splits"] == {"train": "0:4"} and info["fps"] == 10
    assert validate(tmp_path / "new").ok


def test_files_are_split_by_size_length_and_coding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    source = write_version2(tmp_path / "old", [episode(n) for n in range(6)])
    other = source / f"videos/chunk-000/{VIEW}/episode_000004.mp4"
    encode(other, episode(4).frames[VIEW], bframes=2)
    monkeypatch.setattr(video_files, "MAX_FILE_SECONDS", 2.5)
    monkeypatch.setattr(episode_files, "MAX_FILE_BYTES", 3000)
    assert convert(source, tmp_path / "new").frame_exact
    assert_same(source, tmp_path / "new")
    places = [one.videos[VIEW].file for one in read_metadata(tmp_path / "new").listed]
    assert [places.index(place) for place in places] == [0, 0, 2, 2, 4, 5]
    assert len({one.data_file for one in read_metadata(tmp_path / "new").listed}) > 1


def test_b_frames_and_long_groups_of_pictures_come_over_exactly(tmp_path: Path):
    source = write_version2(tmp_path / "old", [episode(n, 20) for n in range(3)])
    for n in range(3):
        encode(source / f"videos/chunk-000/{VIEW}/episode_{n:06d}.mp4", episode(n, 20).frames[VIEW], gop=250, bframes=3)
    assert convert(source, tmp_path / "new").frame_exact
    assert_same(source, tmp_path / "new")


def test_frames_that_cannot_be_cut_out_are_encoded_anew_and_reported(tmp_path: Path):
    source = convert(write_version2(tmp_path / "old", [episode(n, 10) for n in range(3)]), tmp_path / "source").path
    frames = np.concatenate([moving_square(10, 48, 64, seed=n) for n in range(3)])
    encode(source / f"videos/{VIEW}/chunk-000/file-000.mp4", frames, gop=250)  # one keyframe for all three
    strip_hashes(source)
    result = convert(source, tmp_path / "new")
    assert [bool(one.note) for one in result.episodes] == [True] * 3 and "keyframe" in result.episodes[1].note
    assert not result.frame_exact
    before, after = open_dataset(source), open_dataset(result.path)
    for n in range(3):
        assert np.abs(before.load(n).frames[VIEW].astype(int) - after.load(n).frames[VIEW]).mean() < 3
    assert not list((tmp_path / "new").rglob(".armillary*"))


def strip_hashes(dataset: Path) -> None:
    import pyarrow.parquet as pq

    path = dataset / "meta/episodes/chunk-000/file-000.parquet"
    table = pq.read_table(path)
    pq.write_table(table.drop_columns(["armillary/content_hash"]), path)


def test_a_bad_episode_is_left_out_and_the_rest_renumbered(tmp_path: Path):
    source = write_version2(tmp_path / "old", [episode(n, 8 + n) for n in range(4)])
    (source / f"videos/chunk-000/{VIEW}/episode_000001.mp4").unlink()
    result = convert(source, tmp_path / "new")
    assert [(one.index, one.source_index, one.length) for one in result.episodes] == [(0, 0, 8), (1, 2, 10), (2, 3, 11)]
    assert [bad.index for bad in result.left_out] == [1] and "left out: episode 1" in str(result)
    assert validate(tmp_path / "new").ok


def test_asked_twice_it_is_done_once_and_nothing_else_is_overwritten(tmp_path: Path):
    source = write_version2(tmp_path / "old", [episode(n) for n in range(2)])
    assert not convert(source, tmp_path / "new").already_there
    before = tree(tmp_path / "new")
    again = convert(source, tmp_path / "new")
    assert again.already_there and again.frame_exact and tree(tmp_path / "new") == before
    with pytest.raises(StorageError, match="exists already"):
        convert(write_version2(tmp_path / "other", [episode(7)]), tmp_path / "new")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/diary.txt").write_text("mine")
    with pytest.raises(StorageError, match="exists already"):
        repair(source, tmp_path / "notes")
    assert tree(tmp_path / "new") == before and tree(tmp_path / "notes") == {"diary.txt": b"mine"}
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["new", "notes", "old", "other"]


def test_killed_at_any_moment_a_repair_run_again_gives_the_unbroken_copy(tmp_path: Path):
    source = write_version2(tmp_path / "old", [episode(n, 30) for n in range(8)], "v2.0")
    write_info(source, read_info(source) | {"total_videos": 1, "splits": {"train": "0:99"}})
    repair(source, tmp_path / "unbroken" / "copy")
    expected = tree(tmp_path / "unbroken" / "copy")
    target = tmp_path / "killed" / "copy"
    code = "import sys; from armillary.data.doctor import repair; print('go', flush=True); repair(*sys.argv[1:])"
    killed = 0
    for delay_s in (0.05, 0.2, 0.4):
        process = subprocess.Popen([sys.executable, "-c", code, source, target], cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True)
        assert process.stdout is not None and process.stdout.readline() == b"go\n"
        time.sleep(delay_s)
        os.killpg(process.pid, signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        process.stdout.close()
        assert not target.exists() or tree(target) == expected
    assert killed
    repair(source, target)
    assert tree(target) == expected and [entry.name for entry in target.parent.iterdir()] == ["copy"]


def test_videos_of_another_rate_than_the_rows_are_a_discrepancy_that_a_repair_mends(tmp_path: Path):
    source = write_version2(tmp_path / "old", [episode(n) for n in range(2)])
    for n in range(2):
        encode(source / f"videos/chunk-000/{VIEW}/episode_{n:06d}.mp4", episode(n).frames[VIEW], fps=25)
    with pytest.raises(DataError, match="frame rate of"):
        open_dataset(source)
    assert repair(source, tmp_path / "new").frame_exact
    assert open_dataset(tmp_path / "new").span(1, VIEW).track.frames_per_second == pytest.approx(10)


def test_two_writers_of_one_copy(tmp_path: Path):
    from armillary.data.staging import staged_folder

    with staged_folder(tmp_path / "copy") as folder:
        (folder / "a").write_text("first")
        with pytest.raises(StorageError, match="another process is writing"), staged_folder(tmp_path / "copy"):
            pass
        assert (folder / "a").read_text() == "first"
    assert tree(tmp_path) == {"copy/a": b"first"}


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    source = write_version2(tmp_path / "old", [episode(n) for n in range(2)])

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(video_files, "join", full)
    with pytest.raises(StorageError, match="disk is full"):
        convert(source, tmp_path / "out" / "new")
    assert list((tmp_path / "out").iterdir()) == []


def test_datasets_that_do_not_fit_are_refused_with_every_reason(tmp_path: Path):
    first = write_version2(tmp_path / "a", [episode(0)])
    second = write_version2(tmp_path / "b", [episode(1, fps=20.0, cameras=(VIEW, WRIST))])
    with pytest.raises(DataError, match=rf"(?s)20 frames a second.*{WRIST}"):
        merge([first, second], tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_merged_annotations_follow_their_tasks(tmp_path: Path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    paths = []
    for name, task in (("a", "push"), ("b", "pull")):
        path = write_version2(tmp_path / name, [episode(0, task=task)])
        file = path / "data/chunk-000/episode_000000.parquet"
        table = pq.read_table(file)
        pq.write_table(table.append_column("annotation.human.task", pa.array([0] * len(table))), file)
        info = read_info(path)
        info["features"]["annotation.human.task"] = {"dtype": "int64", "shape": [1], "names": None}
        write_info(path, info)
        paths.append(path)
    both = open_dataset(merge(paths, tmp_path / "both").path)
    assert both.info.tasks == ("push", "pull")
    assert [set(both.load(n, cameras=()).labels["annotation.human.task"].tolist()) for n in (0, 1)] == [{0}, {1}]
