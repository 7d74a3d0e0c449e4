"""Recording: what `save` returned for is there after a kill, a second writer is told, and nothing unfit gets in."""

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from armillary.core import Episode
from armillary.core.errors import DataError, StorageError
from armillary.data import record
from armillary.data.dataset import open_dataset
from armillary.data.doctor import repair
from armillary.data.record import DatasetWriter, finish_recording, write_dataset
from armillary.data.validate import validate
from tests.data.recordings import VIEW, WRIST, episode, read_info, tree

ROOT = Path(__file__).parents[2]


def assert_holds(path: Path, originals: list) -> None:
    opened = open_dataset(path)
    assert len(opened) == len(originals) and not opened.quarantined
    for number, original in enumerate(originals):
        loaded = opened.load(number)
        np.testing.assert_array_equal(loaded.actions, original.actions)
        np.testing.assert_array_equal(loaded.state, original.state)
        np.testing.assert_array_equal(loaded.rewards, original.rewards)
        np.testing.assert_array_equal(loaded.terminated, original.terminated)
        assert (loaded.task, loaded.seconds_per_step, loaded.labels.keys()) == (
            original.task,
            original.seconds_per_step,
            original.labels.keys(),
        )
        for key, column in original.labels.items():
            np.testing.assert_array_equal(loaded.labels[key], column)
        for camera, frames in original.frames.items():
            assert np.abs(loaded.frames[camera].astype(int) - frames).mean() < 3


def test_what_was_recorded_is_read_back(tmp_path: Path):
    originals = [episode(n, 9 + n, cameras=(VIEW, WRIST), task=("push", "pull", "")[n % 3]) for n in range(4)]
    path = write_dataset(tmp_path / "set", originals, robot_type="toy", action_names=("x", "y", "z"), state_names=("a", "b", "c", "d"))
    assert_holds(path, originals)
    info = open_dataset(path).info
    assert (info.robot_type, info.action_names, info.state_size, info.tasks) == ("toy", ("x", "y", "z"), 4, ("push", "pull", ""))
    assert validate(path).ok and not (path / "meta/recording.json").exists()
    bare = open_dataset(path).load(0, cameras=())
    assert bare.frames == {} and len(bare) == 9 and len(open_dataset(path).load(0, cameras=(WRIST,)).frames) == 1


def test_full_colour_keeps_what_is_two_pixels_wide(tmp_path: Path):
    recorded, lost = squares(32), {}
    for full in (False, True):
        path = write_dataset(tmp_path / str(full), [recorded], full_colour=full)
        assert validate(path).ok
        lost[full] = loss_of(path, recorded)
    assert lost[True] < 5 < 40 < lost[False]


@pytest.mark.parametrize(("size", "full"), [(126, True), (128, False)])
def test_small_pictures_are_recorded_in_full_colour(tmp_path: Path, size: int, full: bool):
    recorded = squares(size)
    assert (loss_of(write_dataset(tmp_path / "set", [recorded]), recorded) < 5) == full


def test_small_pictures_are_kept_without_loss_and_what_stays_stays(tmp_path: Path):
    """A square walks over noise: a pixel that it does not touch is the same in every frame, as it was but for the rounding of colours."""
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    frames = np.stack([noise] * 8)
    for moment in range(8):
        frames[moment, 4:8, 2 * moment : 2 * moment + 4] = 255
    recorded = Episode(frames={VIEW: frames}, actions=np.zeros((8, 1), np.float32), seconds_per_step=0.1)
    found = {}
    for name, crf in (("default", None), ("good", 18)):
        kept = open_dataset(write_dataset(tmp_path / name, [recorded], crf=crf)).load(0).frames[VIEW]
        found[name] = np.abs(kept.astype(int) - frames).max(), (kept[:, 16:] != kept[:1, 16:]).any(axis=-1).mean()
    assert found["default"][0] <= 3 and found["default"][1] == 0
    assert found["good"][0] > 10 and found["good"][1] > 0.1


def squares(size: int) -> Episode:
    """Red and blue squares of two pixels, a half of which lies across every shared colour."""
    places = (np.indices((size, size)) + 1) // 2 % 2
    frame = np.where((places[0] ^ places[1])[..., None], np.array([220, 30, 30]), np.array([30, 30, 220])).astype(np.uint8)
    return Episode(frames={VIEW: np.stack([frame] * 4)}, actions=np.zeros((4, 1), np.float32), seconds_per_step=0.1)


def loss_of(path: Path, recorded: Episode) -> float:
    return float(np.abs(open_dataset(path).load(0).frames[VIEW].astype(int) - recorded.frames[VIEW]).mean())


def test_captions_are_the_rows_tasks(tmp_path: Path):
    """As LeRobot has it: every row names its task, so what is said may change within an episode."""
    texts = ("", "", "rain", "rain", "", "night", "night", "night")
    captioned, plain = replace(episode(0, 8, task=""), captions=texts), episode(1, 6, task="push")
    path = write_dataset(tmp_path / "set", [captioned, plain])
    assert validate(path).ok
    opened = open_dataset(path)
    first, second = opened.load(0), opened.load(1)
    assert first.captions == texts and first.task == "rain; night" and first.every(2).captions == ("", "rain", "", "night")
    assert second.captions is None and second.texts == ("push",) * 6
    assert [opened.task_names[number] for number in opened.rows(0)["task_index"].to_pylist()] == list(texts)


def test_a_recording_goes_on_where_it_was_closed(tmp_path: Path):
    originals = [episode(n) for n in range(5)]
    write_dataset(tmp_path / "set", originals[:2])
    with pytest.raises(StorageError, match="resume=True"):
        DatasetWriter(tmp_path / "set")
    with DatasetWriter(tmp_path / "set", resume=True) as writer:
        assert [writer.save(one) for one in originals[2:]] == [2, 3, 4]
    assert_holds(tmp_path / "set", originals)
    assert validate(tmp_path / "set").ok and read_info(tmp_path / "set")["total_frames"] == 60


RECORD = """
import sys
from armillary.data.record import DatasetWriter
from tests.data.recordings import episode
writer = DatasetWriter(sys.argv[1])
for n in range(100):
    writer.save(episode(n, 8))
    print(n, flush=True)
"""


@pytest.mark.parametrize("saves", [1, 2, 4])
def test_killed_while_recording_every_saved_episode_is_there(tmp_path: Path, saves: int):
    process = subprocess.Popen([sys.executable, "-c", RECORD, tmp_path / "set"], cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    for n in range(saves):
        assert process.stdout.readline() == f"{n}\n".encode()
    process.send_signal(signal.SIGKILL)
    process.wait()
    more = len(process.stdout.read().splitlines())
    process.stdout.close()
    count = len(open_dataset(tmp_path / "set"))
    assert saves + more <= count <= saves + more + 1
    assert_holds(tmp_path / "set", [episode(n, 8) for n in range(count)])
    assert "repair" in open_dataset(tmp_path / "set").notes[0]
    assert repair(tmp_path / "set") is None and repair(tmp_path / "set") is None
    assert_holds(tmp_path / "set", [episode(n, 8) for n in range(count)])
    assert (
        validate(tmp_path / "set").ok
        and not list((tmp_path / "set").rglob("*chunk-9*"))
        and not list((tmp_path / "set").rglob(".armillary*"))
    )


STEPS = ("write_episodes", "_remove_strays", "sweep_temporary", "write_tasks", "write_stats", "write_info", "write_card")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_while_closing_it_can_be_closed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, when: str):
    originals = [episode(n) for n in range(3)]
    writer = DatasetWriter(tmp_path / "set")
    for one in originals:
        writer.save(one)
    whole = shutil.copytree(tmp_path / "set", tmp_path / "whole" / "set")
    finish_recording(whole)
    real = getattr(record, step)

    def die(*arguments, **options):
        if when == "after":
            real(*arguments, **options)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(record, step, die)
        writer.close()
    assert_holds(tmp_path / "set", originals)
    finish_recording(tmp_path / "set")
    finish_recording(tmp_path / "set")
    assert tree(tmp_path / "set") == tree(whole)


def test_a_save_that_failed_can_be_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    writer = DatasetWriter(tmp_path / "set")
    writer.save(episode(0))

    def full(*_, **__):
        raise StorageError(28, "the disk is full")

    with monkeypatch.context() as patched, pytest.raises(StorageError):
        patched.setattr(record, "write_info", full)
        writer.save(episode(1, task="pull"))
    assert_holds(tmp_path / "set", [episode(0)])
    assert open_dataset(tmp_path / "set").info.tasks == ("push",)
    assert writer.save(episode(2)) == 1
    writer.close()
    assert_holds(tmp_path / "set", [episode(0), episode(2)])


def test_a_second_writer_is_told(tmp_path: Path):
    with DatasetWriter(tmp_path / "set") as writer:
        writer.save(episode(0))
        for attempt in (lambda: DatasetWriter(tmp_path / "set", resume=True), lambda: finish_recording(tmp_path / "set")):
            with pytest.raises(StorageError, match="another process is writing"):
                attempt()
        writer.save(episode(1))
    assert_holds(tmp_path / "set", [episode(0), episode(1)])


def spoiled(name: str):
    one = episode(1)
    column = np.array(getattr(one, name))
    column[3] = np.nan
    return replace(one, **{name: column})


@pytest.mark.parametrize(
    ("unfit", "words"),
    [
        (spoiled("actions"), "'action' is not finite in row 3"),
        (spoiled("state"), "'observation.state' is not finite"),
        (episode(1, fps=20.0), "20 rows a second, the dataset 10"),
        (episode(1, cameras=(WRIST,)), f"'{WRIST}' is not in the dataset"),
        (replace(episode(1), actions=np.zeros((12, 2), np.float32)), r"float32 \[2\], in the dataset float32 \[3\]"),
        (replace(episode(1), labels={"task_index": np.zeros(12)}), "has the name of another column"),
    ],
)
def test_what_does_not_fit_is_refused_and_the_recording_goes_on(tmp_path: Path, unfit, words: str):
    with DatasetWriter(tmp_path / "set") as writer:
        writer.save(episode(0))
        with pytest.raises(DataError, match=words):
            writer.save(unfit)
        writer.save(episode(2))
    assert_holds(tmp_path / "set", [episode(0), episode(2)])


@pytest.fixture
def small_disk(tmp_path: Path):
    """A file system of 200 KiB, where this user may mount one."""
    (tmp_path / "disk").mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", tmp_path / "disk"], capture_output=True)
    if mounted.returncode:
        pytest.skip("only root may mount a small tmpfs")
    yield tmp_path / "disk"
    subprocess.run(["umount", "--lazy", tmp_path / "disk"], check=True)


def test_a_full_disk_loses_no_saved_episode(small_disk: Path):
    writer, saved = DatasetWriter(small_disk / "set"), 0
    with pytest.raises(StorageError, match="disk is full"):
        for n in range(100):
            writer.save(episode(n))
            saved = n + 1
    assert saved >= 1
    assert_holds(small_disk / "set", [episode(n) for n in range(saved)])
    os.close(writer._lock)
    copy = repair(small_disk / "set", small_disk.parent / "elsewhere")
    assert len(copy.episodes) == saved


def test_a_disk_that_fills_up_while_closing_is_said_and_loses_no_episode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    originals = [episode(0), episode(1)]

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(record, "_join", full)
        with pytest.raises(StorageError, match="disk is full"):
            write_dataset(tmp_path / "set", originals)
    assert_holds(tmp_path / "set", originals)
    finish_recording(tmp_path / "set")
    assert_holds(tmp_path / "set", originals)
