"""Faults in storage: whatever fails, the old file stays whole and nothing temporary is left."""

import errno
import os
from pathlib import Path

import pytest

from armillary.core import storage
from armillary.core.errors import DataError, StorageError


def leftovers(folder: Path) -> list[Path]:
    return list(folder.rglob(f"{storage.TEMPORARY_PREFIX}*"))


def failing(number: int):
    def fail(*arguments, **options):
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS, errno.EACCES])
def test_a_failed_write_leaves_the_old_file_and_says_what_to_do(tmp_path, monkeypatch, call, number):
    path = tmp_path / "value.json"
    storage.write_json(path, {"old": True})
    monkeypatch.setattr(os, call, failing(number))
    with pytest.raises(StorageError, match="Nothing written before was lost") as caught:
        storage.write_json(path, {"old": False})
    monkeypatch.undo()
    assert caught.value.errno == number and str(path) in str(caught.value)
    assert storage.read_json(path) == {"old": True}
    assert leftovers(tmp_path) == []


def test_a_disk_that_fills_half_way_through(tmp_path):
    path = tmp_path / "weights.bin"
    path.write_bytes(b"old")

    def write(temporary: Path) -> None:
        temporary.write_bytes(b"half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StorageError, match="the disk is full: free some space"):
        storage.write_atomically(path, write)
    assert path.read_bytes() == b"old" and leftovers(tmp_path) == []


def test_an_error_of_the_writers_own_passes_through_and_cleans_up(tmp_path):
    def write(temporary: Path) -> None:
        temporary.write_text("half")
        raise KeyError("not about storage")

    with pytest.raises(KeyError):
        storage.write_atomically(tmp_path / "a.txt", write)
    assert list(tmp_path.iterdir()) == []


def test_bytes_reach_the_disk_before_the_name_does(tmp_path, monkeypatch):
    order = []
    for call in ("fsync", "replace"):
        real = getattr(os, call)
        monkeypatch.setattr(os, call, lambda *a, _real=real, _call=call: (order.append(_call), _real(*a))[1])
    storage.write_text(tmp_path / "a.txt", "x")
    assert order == ["fsync", "replace", "fsync"]  # the file, the move, the folder


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_folder_is_written_whole_or_not_at_all(tmp_path, monkeypatch, call):
    target = tmp_path / "dataset"
    with storage.folder_written_whole(target) as folder:
        (folder / "a").mkdir()
        (folder / "a" / "b.txt").write_text("old")
    with pytest.raises(StorageError, match="disk is full"), storage.folder_written_whole(target, replace=True) as folder:
        (folder / "c.txt").write_text("new")
        monkeypatch.setattr(os, call, failing(errno.ENOSPC))
    monkeypatch.undo()
    assert [path.name for path in target.rglob("*.txt")] == ["b.txt"]
    assert leftovers(tmp_path) == []


def test_a_folder_that_exists_is_not_replaced_unasked(tmp_path):
    (tmp_path / "d").mkdir()
    with pytest.raises(StorageError, match="exists already"), storage.folder_written_whole(tmp_path / "d"):
        pass
    with storage.folder_written_whole(tmp_path / "d", replace=True) as folder:
        (folder / "x").write_text("1")
    assert (tmp_path / "d" / "x").read_text() == "1" and leftovers(tmp_path) == []


def test_a_folder_whose_writer_fails_is_never_seen(tmp_path):
    with pytest.raises(RuntimeError), storage.folder_written_whole(tmp_path / "d") as folder:
        (folder / "x").write_text("1")
        raise RuntimeError("stop")
    assert list(tmp_path.iterdir()) == []


def test_sweeping_removes_what_killed_writers_left_and_nothing_else(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / f"{storage.TEMPORARY_PREFIX}1.json").write_text("x")
    (tmp_path / f"{storage.TEMPORARY_PREFIX}2").mkdir()
    (tmp_path / "kept.json").write_text("{}")
    assert storage.sweep_temporary(tmp_path) == 2
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["deep", "kept.json"]
    assert storage.sweep_temporary(tmp_path / "absent") == 0


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_json_has_no_nan(tmp_path, value):
    with pytest.raises(ValueError, match="JSON"):
        storage.write_json(tmp_path / "a.json", {"x": value})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b""])
def test_a_damaged_json_file_is_named(tmp_path, content):
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"bad\.json is not valid JSON"):
        storage.read_json(path)
    with pytest.raises(DataError, match=r"absent\.json does not exist"):
        storage.read_json(tmp_path / "absent.json")


@pytest.mark.parametrize(
    "name",
    ["..", "a/../b", "/etc/passwd", "a//b", "", ".hidden", "a\0b", "%2e%2e/b", "a\\b", "a/..", "~/x", "a b", "x" * 300, "-rf", "a\n"],
)
def test_names_that_could_lead_elsewhere_are_refused(tmp_path, name):
    with pytest.raises(DataError, match="refused"):
        storage.safe_join(tmp_path, name)


def test_plain_names_are_joined_and_links_may_not_lead_out(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    (root / "out").symlink_to(tmp_path)
    (root / "in").symlink_to(root)
    assert storage.safe_join(root, "videos/chunk-000/file_1.mp4") == root / "videos" / "chunk-000" / "file_1.mp4"
    assert storage.safe_join(root, "in/a.txt") == root / "in" / "a.txt"
    with pytest.raises(DataError, match="outside"):
        storage.safe_join(root, "out/secret.txt")
