"""The frame cache: right pictures, built once, safe against kills, rivals, damage and a full disk."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from armillary.core.episode import Episode
from armillary.core.errors import ConfigError, DataError, StorageError
from armillary.data import cache as cache_module
from armillary.data.cache import Progress, cameras_beside, open_cache
from armillary.data.report import EpisodeRecord
from armillary.data.resize import area_resize
from armillary.data.video import decode_video, encode_video
from tests.data.pictures import moving_square

CAMERA, BACK = "observation.images.front", "observation.images.back"
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Clip:
    path: Path
    span_s: tuple[float, float] | None = None


class Folder:
    """The least dataset that the cache takes: one mp4 an episode."""

    def __init__(self, folder: Path, lengths: dict[int, int]):
        self.folder = folder
        self.info = SimpleNamespace(camera_keys=(CAMERA,))
        self.episodes = tuple(
            EpisodeRecord(index=i, length=n, tasks=(), content_hash=hashlib.sha256(self.path(i).read_bytes()).hexdigest())
            for i, n in lengths.items()
        )

    def path(self, index: int) -> Path:
        return self.folder / f"{index}.mp4"

    def load(self, record, cameras=None):
        assert cameras == ()
        actions = np.arange(record.length, dtype=np.float32)[:, None]
        return Episode(frames={}, actions=actions, seconds_per_step=1 / 30, index=record.index)

    def clip(self, record, camera):
        return Clip(self.path(record.index))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> Folder:
    folder = tmp_path_factory.mktemp("recorded")
    lengths = {i: 10 + i for i in range(6)}
    for index, length in lengths.items():
        encode_video(folder / f"{index}.mp4", moving_square(length, seed=index), 30)
    return Folder(folder, lengths)


class TwoCameras(Folder):
    """The same with a second camera, whose mp4 of episode i is 1i.mp4."""

    def __init__(self, folder: Path, lengths: dict[int, int]):
        super().__init__(folder, lengths)
        self.info = SimpleNamespace(camera_keys=(CAMERA, BACK))

    def clip(self, record, camera):
        return Clip(self.path(record.index + (10 if camera == BACK else 0)))


def files_in(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file() and path.name != "building.lock")


def test_it_holds_every_frame_resized_beside_its_actions(recorded, tmp_path):
    cache = open_cache(recorded, camera=CAMERA, size=(16, 24), root=tmp_path)
    assert [episode.index for episode in cache.episodes] == list(range(6)) and cache.built == 6
    for episode, record in zip(cache.episodes, recorded.episodes, strict=True):
        frames = episode.frames[CAMERA]
        np.testing.assert_array_equal(frames, area_resize(decode_video(recorded.path(record.index)), (16, 24)))
        assert len(episode.actions) == len(frames) == record.length and episode.content_hash == record.content_hash
        with pytest.raises(ValueError, match="read-only"):
            frames[0] = 0


def test_the_second_opening_decodes_nothing(recorded, tmp_path, monkeypatch):
    open_cache(recorded, camera=CAMERA, size=(16, 16), root=tmp_path)
    monkeypatch.setattr(cache_module, "decode_video", None)
    again = open_cache(recorded, camera=CAMERA, size=(16, 16), root=tmp_path)
    assert again.built == 0 and len(again.episodes) == 6


def test_sizes_cameras_and_contents_do_not_mix(recorded, tmp_path):
    small = open_cache(recorded, camera=CAMERA, size=(8, 8), root=tmp_path)
    large = open_cache(recorded, camera=CAMERA, size=(16, 16), root=tmp_path)
    assert small.folder != large.folder
    changed = tmp_path / "changed"
    changed.mkdir()
    encode_video(changed / "0.mp4", moving_square(10, seed=99), 30)
    other = open_cache(Folder(changed, {0: 10}), camera=CAMERA, size=(8, 8), root=tmp_path)
    assert not np.array_equal(other.episodes[0].frames[CAMERA], small.episodes[0].frames[CAMERA])


def test_progress_counts_up_to_all(recorded, tmp_path):
    seen: list[Progress] = []
    open_cache(recorded, camera=CAMERA, size=(8, 8), root=tmp_path, on_progress=seen.append, workers=1)
    assert [step.done for step in seen] == [1, 2, 3, 4, 5, 6] and {step.total for step in seen} == {6}


def test_a_truncated_video_is_quarantined_by_name_and_the_rest_is_used(recorded, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    for index in range(3):
        raw = recorded.path(index).read_bytes()
        (folder / f"{index}.mp4").write_bytes(raw[: len(raw) // 2] if index == 1 else raw)
    cache = open_cache(Folder(folder, {0: 10, 1: 11, 2: 12}), camera=CAMERA, size=(8, 8), root=tmp_path / "cache")
    assert [episode.index for episode in cache.episodes] == [0, 2] and cache.built == 2
    (bad,) = cache.quarantined
    assert bad.index == 1 and bad.file.endswith("1.mp4") and bad.reason and "remove its episode" in bad.fix


def test_when_nothing_can_be_decoded_the_reasons_are_told(recorded, tmp_path):
    (tmp_path / "0.mp4").write_bytes(b"not a video")
    with pytest.raises(DataError, match=r"no episode.*0\.mp4"):
        open_cache(Folder(tmp_path, {0: 10}), camera=CAMERA, size=(8, 8), root=tmp_path / "cache")


def test_an_unknown_camera_is_told_with_those_that_exist(recorded, tmp_path):
    with pytest.raises(ConfigError, match=CAMERA):
        open_cache(recorded, camera="observation.images.wrist", size=(8, 8), root=tmp_path)


@pytest.mark.parametrize("damage", ["short", "empty", "text", "other shape"])
def test_a_damaged_cache_file_is_built_again(recorded, tmp_path, damage):
    first = open_cache(recorded, camera=CAMERA, size=(8, 8), root=tmp_path)
    right = [np.array(episode.frames[CAMERA]) for episode in first.episodes]
    victim = files_in(tmp_path)[2]
    raw = victim.read_bytes()
    victim.unlink()
    if damage == "other shape":
        np.save(victim, np.zeros((3, 8, 8, 3), dtype=np.uint8))
    else:
        victim.write_bytes({"short": raw[:-100], "empty": b"", "text": b"x" * len(raw)}[damage])
    again = open_cache(recorded, camera=CAMERA, size=(8, 8), root=tmp_path)
    assert again.built == 1
    for episode, frames in zip(again.episodes, right, strict=True):
        np.testing.assert_array_equal(episode.frames[CAMERA], frames)


def test_too_little_space_is_told_before_anything_is_decoded(recorded, tmp_path, monkeypatch):
    monkeypatch.setattr(cache_module.shutil, "disk_usage", lambda folder: SimpleNamespace(free=1000))
    monkeypatch.setattr(cache_module, "decode_video", None)
    with pytest.raises(StorageError, match="ARMILLARY_CACHE"):
        open_cache(recorded, camera=CAMERA, size=(32, 32), root=tmp_path)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 128 KiB, where this user may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("only root may mount a small tmpfs")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_disk_that_fills_up_while_writing_loses_nothing(recorded, small_disk, monkeypatch):
    monkeypatch.setattr(cache_module.shutil, "disk_usage", lambda folder: SimpleNamespace(free=10**12))
    with pytest.raises(StorageError, match="disk is full"):
        open_cache(recorded, camera=CAMERA, size=(32, 32), root=small_disk, workers=1)
    kept = files_in(small_disk)
    assert len(kept) >= 2 and all(path.suffix == ".npy" and not path.name.startswith(".") for path in kept)
    subprocess.run(["mount", "-o", "remount,size=1m", str(small_disk)], check=True)
    cache = open_cache(recorded, camera=CAMERA, size=(32, 32), root=small_disk)
    assert cache.built == 6 - len(kept)
    for episode in cache.episodes:
        np.testing.assert_array_equal(episode.frames[CAMERA], area_resize(decode_video(recorded.path(episode.index)), (32, 32)))


BUILD = """
import sys
from pathlib import Path
from armillary.data.cache import open_cache
from tests.data.test_cache import CAMERA, Folder
folder, root, count = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
cache = open_cache(Folder(folder, {i: 10 + i for i in range(count)}), camera=CAMERA, size=(40, 40), root=root, workers=1)
print(cache.built, len(cache.episodes))
"""


def builder(recorded: Folder, root: Path) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", BUILD, str(recorded.folder), str(root), "6"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def test_two_builders_at_once_end_with_one_right_cache(recorded, tmp_path):
    rivals = [builder(recorded, tmp_path) for _ in range(2)]
    for rival in rivals:
        out, _ = rival.communicate(timeout=120)
        assert rival.returncode == 0 and out.split()[1] == "6"
    cache = open_cache(recorded, camera=CAMERA, size=(40, 40), root=tmp_path)
    assert cache.built == 0 and len(files_in(tmp_path)) == 6
    for episode in cache.episodes:
        np.testing.assert_array_equal(episode.frames[CAMERA], area_resize(decode_video(recorded.path(episode.index)), (40, 40)))


def test_a_killed_build_keeps_whole_episodes_and_the_next_sweeps_and_finishes(recorded, tmp_path):
    killed = builder(recorded, tmp_path)
    deadline = time.monotonic() + 60
    while not files_in(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.002)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    killed.stdout.close()
    folder = next(path for path in tmp_path.iterdir() if path.is_dir())
    (folder / ".armillary-tmp-left-behind.npy").write_bytes(b"half")
    kept = len([path for path in files_in(tmp_path) if path.suffix == ".npy" and not path.name.startswith(".")])
    cache = open_cache(recorded, camera=CAMERA, size=(40, 40), root=tmp_path)
    assert cache.built == 6 - kept and len(cache.episodes) == 6
    assert all(not path.name.startswith(".armillary-tmp") for path in files_in(tmp_path))


def test_cameras_stand_side_by_side_and_one_alone_stays_what_it_was(tmp_path):
    """An episode of which one camera has other frames than the rest is left out, and the report names that camera's file."""
    for index, length in ((0, 8), (10, 8), (1, 9), (11, 7)):
        encode_video(tmp_path / f"{index}.mp4", moving_square(length, seed=index), 30)
    dataset, root = TwoCameras(tmp_path, {0: 8, 1: 9}), tmp_path / "cache"
    both = open_cache(dataset, camera=(CAMERA, BACK), size=(24, 32), root=root, workers=1)
    assert both.camera == f"{CAMERA},{BACK}" and cameras_beside(both.camera) == (CAMERA, BACK)
    expected = np.concatenate([area_resize(decode_video(tmp_path / name), (24, 32)) for name in ("0.mp4", "10.mp4")], axis=2)
    assert [episode.index for episode in both.episodes] == [0]
    np.testing.assert_array_equal(both.episodes[0].frames[both.camera], expected)
    assert [(one.index, one.file) for one in both.quarantined] == [(1, str(tmp_path / "11.mp4"))]
    assert open_cache(dataset, camera=(CAMERA, BACK), size=(24, 32), root=root).folder == both.folder
    alone, listed = (open_cache(dataset, camera=camera, size=(24, 32), root=root, workers=1) for camera in (CAMERA, (CAMERA,)))
    assert alone.folder == listed.folder != both.folder and listed.built == 0 and alone.camera == CAMERA
    np.testing.assert_array_equal(alone.episodes[0].frames[CAMERA], expected[:, :, :32])
    with pytest.raises(ConfigError, match="there is no camera 'top'"):
        open_cache(dataset, camera=(CAMERA, "top"), size=(24, 32), root=root)
