"""Writing that survives a crash: temporary file, fsync, rename, fsync of the folder. And the one safe way to join a name to a folder."""

import errno
import json
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from armillary.core.errors import DataError, StorageError

TEMPORARY_PREFIX = ".armillary-tmp-"
_SAFE_PART = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9._+=@-]{0,200}\Z")


def safe_join(root: Path, name: str) -> Path:
    """`root / name`, or DataError when the name is absolute, has `..`, a null, a percent code, or leaves root by a link."""
    parts = name.split("/")
    for part in parts:
        if not _SAFE_PART.match(part) or part == "..":
            raise DataError(f"the name {name!r} is refused under {root}: every part must match {_SAFE_PART.pattern}; rename the file")
    path = root.joinpath(*parts)
    resolved_root = root.resolve()
    if not path.resolve().is_relative_to(resolved_root):
        raise DataError(f"{path} leads outside {resolved_root} through a link; replace the link by the file it points to")
    return path


def sync_folder(folder: Path) -> None:
    """Make a rename inside `folder` survive power loss."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn a failed write below into a StorageError that says what to do."""
    try:
        yield
    except OSError as error:
        if isinstance(error, StorageError) or error.errno is None:
            raise
        advice = {
            errno.ENOSPC: "the disk is full: free some space or choose another folder, then run the same command again",
            errno.EDQUOT: "the disk quota is used up: free some space, then run the same command again",
            errno.EROFS: "the file system is read-only: choose another folder",
            errno.EACCES: "permission denied: choose a folder that you may write to",
        }.get(error.errno, "check the disk, then run the same command again")
        what = f"writing failed ({error.strerror}); {advice}. Nothing written before was lost"
        raise StorageError(error.errno, what, str(path)) from error


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Call `write(temporary_path)`, then put the finished file at `path` in one move. On failure `path` is untouched."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}{path.suffix}"
    with storage_errors(path):
        try:
            write(temporary)
            with open(temporary, "rb+") as handle:
                os.fsync(handle.fileno())
            os.replace(temporary, path)
            sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a whole text file atomically."""
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_json(path: Path, value: object) -> None:
    """Write a whole JSON file atomically; NaN and Infinity are refused, since JSON has none."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def read_json(path: Path) -> object:
    """Read a JSON file, or raise DataError that names the file and the place in it."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not valid JSON: {error}") from error


@contextmanager
def folder_written_whole(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """Yield a temporary folder; when the block ends well it becomes `path` in one move, otherwise it is removed.

    Raises StorageError if `path` exists already and `replace` is false.
    """
    if path.exists() and not replace:
        raise StorageError(errno.EEXIST, "this folder exists already; choose another one or remove it first", str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}"
    with storage_errors(path):
        try:
            temporary.mkdir()
            yield temporary
            for file in temporary.rglob("*"):
                if file.is_file():
                    with open(file, "rb+") as handle:
                        os.fsync(handle.fileno())
                else:
                    sync_folder(file)
            sync_folder(temporary)
            retired = None
            if path.exists():
                retired = path.parent / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}"
                os.replace(path, retired)
            os.replace(temporary, path)
            sync_folder(path.parent)
            if retired is not None:
                shutil.rmtree(retired)
        finally:
            if temporary.exists():
                shutil.rmtree(temporary, ignore_errors=True)


def sweep_temporary(folder: Path) -> int:
    """Remove what killed writers left under `folder` (recursively); the number of things removed.

    Call it only where no other writer is at work.
    """
    if not folder.exists():
        return 0
    leftovers = [path for path in folder.rglob(f"{TEMPORARY_PREFIX}*")]
    for path in leftovers:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return len(leftovers)
