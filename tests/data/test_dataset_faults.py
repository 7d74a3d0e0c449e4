"""Faults of single episodes are named and quarantined, and the rest is used; lies of the metadata give one error that lists all."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from armillary.core.errors import DataError, VideoError
from armillary.data.dataset import open_dataset
from armillary.data.doctor import examine, repair
from armillary.data.record import write_dataset
from armillary.data.validate import validate
from tests.data.recordings import VIEW, episode, read_info, tree, write_info
from tests.data.version2 import write_version2

VIDEO = f"videos/chunk-000/{VIEW}/episode_000001.mp4"
ROWS = "data/chunk-000/episode_000001.parquet"


@pytest.fixture(params=["v2.0", "v2.1"])
def dataset(request, tmp_path: Path) -> Path:
    return write_version2(tmp_path / "data", [episode(n) for n in range(3)], version=request.param)


def change_rows(path: Path, change: Callable[[dict], None]) -> None:
    table = pq.read_table(path)
    columns = {name: table[name].to_pylist() for name in table.column_names}
    change(columns)
    pq.write_table(pa.table(columns), path)


def not_a_number(columns):
    columns["action"][4][1] = float("nan")


def infinite(columns):
    columns["observation.state"][2][0] = float("inf")


def ragged(columns):
    columns["action"][3] = columns["action"][3][:2]


def wrong_width(columns):
    columns["action"] = [row[:2] for row in columns["action"]]


def missing_value(columns):
    columns["action"][0] = None


def drifting(columns):
    columns["timestamp"] = [time * 1.01 for time in columns["timestamp"]]


def jumping(columns):
    columns["timestamp"][6:] = [time + 0.05 for time in columns["timestamp"][6:]]


def not_zero_first(columns):
    columns["timestamp"] = [time + 0.1 for time in columns["timestamp"]]


def one_row_less(columns):
    for name in columns:
        columns[name] = columns[name][:-1]


def unknown_task(columns):
    columns["task_index"] = [7] * len(columns["task_index"])


CHANGES = {
    not_a_number: ("not finite", "row 4, number 1"),
    infinite: ("observation.state not finite", "row 2, number 0"),
    ragged: ("column 'action'", "rows of [2, 3] numbers"),
    wrong_width: ("column 'action'", "rows of 2 numbers"),
    missing_value: ("column 'action'", "1 missing values"),
    drifting: ("timestamps drift", "0.0110 s off"),
    jumping: ("timestamps drift", "row 6 at 0.6000 s"),
    not_zero_first: ("timestamps start", "0.1000 s"),
    one_row_less: ("number of rows", "expected 12, found 11"),
    unknown_task: ("task_index", "[7]"),
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_an_episode_with_bad_rows_is_quarantined(dataset: Path, change: Callable):
    change_rows(dataset / ROWS, change)
    opened = open_dataset(dataset)
    assert [record.index for record in opened.episodes] == [0, 2]
    (bad,) = opened.quarantined
    assert (bad.index, bad.file) == (1, ROWS) and "doctor" in bad.fix
    assert all(words in bad.reason for words in CHANGES[change]), bad.reason
    assert len(opened.load(2)) == 12
    with pytest.raises(DataError, match="episode 1"):
        opened.load(1)


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size * 2 // 3)


def cut_the_end(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 10)


def overwrite_with_text(path: Path) -> None:
    path.write_text("this is not a video")


@pytest.mark.parametrize("break_file", [Path.unlink, truncate, cut_the_end, overwrite_with_text], ids=lambda f: f.__name__)
@pytest.mark.parametrize("file", [VIDEO, ROWS])
def test_an_episode_with_a_bad_file_is_quarantined(dataset: Path, file: str, break_file: Callable):
    break_file(dataset / file)
    opened = open_dataset(dataset)
    assert [record.index for record in opened.episodes] == [0, 2]
    assert [(bad.index, bad.file) for bad in opened.quarantined] == [(1, file)]
    assert str(dataset / file) in opened.quarantined[0].reason or "missing" in opened.quarantined[0].reason


def test_a_video_of_other_length_size_or_rate_is_quarantined(tmp_path: Path):
    dataset = write_version2(tmp_path / "data", [episode(n, 12) for n in range(4)])
    other = write_version2(tmp_path / "other", [episode(0, 11), episode(1, 12, fps=20.0)], fps_free=True)
    (dataset / VIDEO).write_bytes((other / VIDEO.replace("1.mp4", "0.mp4")).read_bytes())
    (dataset / VIDEO.replace("1.mp4", "2.mp4")).write_bytes((other / VIDEO).read_bytes())
    reasons = {bad.index: bad.reason for bad in open_dataset(dataset).quarantined}
    assert reasons.keys() == {1, 2} and "expected 12 frames, found 11 frames" in reasons[1] and "20.000" in reasons[2]


def lie(info: dict) -> None:
    info["total_episodes"], info["total_frames"], info["total_tasks"] = 9, 1, 5
    info["total_videos"], info["total_chunks"], info["splits"] = 2, 0, {"train": "0:100"}
    info["features"]["observation.images.ghost"] = {"dtype": "video", "shape": [48, 64, 3], "names": ["height", "width", "channels"]}
    info["features"][VIEW]["shape"] = [40, 64, 3]
    info["features"]["action"]["shape"] = [7]
    info["features"]["gripper"] = {"dtype": "float32", "shape": [1], "names": None}


LIES = ("total_episodes", "total_frames", "total_tasks", "total_videos", "total_chunks", "splits['train']", "observation.images.ghost")


def test_metadata_that_lies_gives_one_error_with_every_discrepancy(dataset: Path, tmp_path: Path):
    info = read_info(dataset)
    truth = open_dataset(dataset)
    lie(info)
    write_info(dataset, info)
    with pytest.raises(DataError) as caught:
        open_dataset(dataset)
    message = str(caught.value)
    assert all(words in message for words in (*LIES, "picture size", "48 x 64", "column 'action'", "column 'gripper'")), message
    assert "10 discrepancies" in message and f"armillary data doctor {dataset} --repair" in message
    report = validate(dataset)
    assert not report.ok and all(one.file and one.expected and one.found and one.fix for one in report.discrepancies)
    before = tree(dataset)
    assert repair(dataset, tmp_path / "clean").frame_exact
    assert tree(dataset) == before, "a repair must not touch its source"
    assert repair(dataset).path == tmp_path.resolve() / "data-repaired" and validate(tmp_path / "data-repaired").ok
    clean = open_dataset(tmp_path / "clean")
    assert validate(tmp_path / "clean").ok and clean.info.camera_keys == (VIEW,) and clean.info.action_size == 3
    for one, other in zip(truth.episodes, clean.episodes, strict=True):
        np.testing.assert_array_equal(truth.load(one).frames[VIEW], clean.load(other).frames[VIEW])
        np.testing.assert_array_equal(truth.load(one).actions, clean.load(other).actions)


def test_broken_lines_of_metadata_are_listed(dataset: Path):
    with open(dataset / "meta/episodes.jsonl", "a") as handle:
        handle.write('{"episode_index": 1, "length": 12, "tasks": ["push"]}\n{broken\n{"episode_index": -1, "length": 3}\n')
    with pytest.raises(DataError, match=r"(?s)line 5.*line 6.*listed more than once"):
        open_dataset(dataset)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda info: info.pop("features"), "features must be an object"),
        (lambda info: info["features"].pop("action"), "names no 'action'"),
        (lambda info: info.update(fps=0), "fps must be a number above 0, found 0"),
        (lambda info: info.update(fps="30"), "fps must be a number above 0, found '30'"),
        (lambda info: info.update(codebase_version="v1.6"), "found 'v1.6'"),
        (lambda info: info.update(data_path="/etc/{episode_index}.parquet"), "refused"),
        (lambda info: info.update(data_path="../data/chunk-000/episode_{episode_index:06d}.parquet"), "refused"),
        (lambda info: info.update(video_path="{video_key.__class__}/{episode_index:06d}.mp4"), "refused|no such file"),
        (lambda info: info.update(data_path="{password}"), "names {password}"),
    ],
)
def test_hostile_or_useless_info_is_refused(dataset: Path, change: Callable, words: str):
    info = read_info(dataset)
    change(info)
    write_info(dataset, info)
    with pytest.raises(DataError, match=words):
        open_dataset(dataset)


def test_a_folder_that_is_no_dataset_is_named(tmp_path: Path):
    with pytest.raises(DataError, match=r"meta/info.json does not exist.*give the folder"):
        open_dataset(tmp_path)
    with pytest.raises(DataError, match="the folder does not exist"):
        open_dataset(tmp_path / "nowhere")


def test_a_flipped_bit_in_a_dataset_of_ours_is_found_at_open(tmp_path: Path):
    path = write_dataset(tmp_path / "ours", [episode(n) for n in range(3)])
    video = path / f"videos/{VIEW}/chunk-000/file-000.mp4"
    whole = bytearray(video.read_bytes())
    span = open_dataset(path).span(1, VIEW)
    whole[int(span.track.offsets[span.first + 2]) + 5] ^= 0x10
    video.write_bytes(whole)
    opened = open_dataset(path)
    assert [bad.index for bad in opened.quarantined] == [1] and "content changed" in opened.quarantined[0].reason


def test_of_a_shared_video_that_was_cut_off_the_whole_episodes_are_used(tmp_path: Path):
    path = write_dataset(tmp_path / "ours", [episode(n) for n in range(3)])
    truth = open_dataset(path).load(0)
    video = path / f"videos/{VIEW}/chunk-000/file-000.mp4"
    os.truncate(video, video.stat().st_size // 2)  # within the second of three alike
    opened = open_dataset(path)
    assert [one.index for one in opened.episodes] == [0] and [bad.index for bad in opened.quarantined] == [1, 2]
    assert all("truncated" in bad.reason for bad in opened.quarantined)
    np.testing.assert_array_equal(opened.load(0).frames[VIEW], truth.frames[VIEW])
    copy = repair(path, tmp_path / "copy")
    assert copy is not None and copy.frame_exact and len(copy.episodes) == 1 and validate(copy.path).ok


def test_version_3_metadata_that_lies_is_listed_and_repaired(tmp_path: Path):
    path = write_dataset(tmp_path / "ours", [episode(n) for n in range(3)])
    info = read_info(path)
    info |= {"total_episodes": 4, "total_frames": 0, "splits": {"train": "0:9"}}
    info["features"]["observation.images.ghost"] = info["features"][VIEW]
    write_info(path, info)
    with pytest.raises(DataError, match=r"(?s)4 discrepancies.*total_episodes.*total_frames.*splits.*ghost"):
        open_dataset(path)
    copy = repair(path, tmp_path / "copy")
    assert copy is not None and copy.frame_exact and len(copy.episodes) == 3 and validate(copy.path).ok


def test_the_doctor_decodes_every_frame_when_asked(dataset: Path, tmp_path: Path):
    video = dataset / VIDEO
    track = open_dataset(dataset).span(1, VIEW).track
    whole = bytearray(video.read_bytes())
    for number in range(3, 9):  # the frame table stays sound, the pictures do not
        start, size = int(track.offsets[number]), int(track.sizes[number])
        whole[start : start + size] = os.urandom(size)
    video.write_bytes(whole)
    assert open_dataset(dataset).quarantined == ()
    with pytest.raises(VideoError):
        open_dataset(dataset).load(1)
    report = examine(dataset, deep=True)
    assert [bad.index for bad in report.quarantined] == [1] and "does not decode" in report.quarantined[0].reason
    copy = repair(dataset, tmp_path / "copy", deep=True)
    assert [one.source_index for one in copy.episodes] == [0, 2] and [bad.index for bad in copy.left_out] == [1]


def test_what_was_found_is_remembered_until_a_file_changes(dataset: Path, monkeypatch: pytest.MonkeyPatch):
    first = open_dataset(dataset)
    from armillary.data import remembered

    def must_not_run(*_):
        raise AssertionError("an unchanged dataset was inspected again")

    with monkeypatch.context() as patched:
        patched.setattr(remembered, "inspect_episodes", must_not_run)
        assert open_dataset(dataset).episodes == first.episodes
    change_rows(dataset / ROWS, not_a_number)
    assert [bad.index for bad in open_dataset(dataset).quarantined] == [1]


def test_a_cache_that_cannot_be_used_is_no_obstacle(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ARMILLARY_CACHE", "/proc/nowhere")
    assert len(open_dataset(dataset)) == 3
    monkeypatch.setenv("ARMILLARY_CACHE", str(tmp_path / "other"))
    open_dataset(dataset)
    (note,) = (tmp_path / "other/validation").iterdir()
    note.write_text(json.dumps({"form": 1, "files": "nonsense"}))
    assert len(open_dataset(dataset)) == 3
