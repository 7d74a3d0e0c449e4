"""A new folder that appears whole or not at all, and can be asked for again after a kill: one writer at a time."""

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from armillary.core.errors import StorageError
from armillary.core.storage import TEMPORARY_PREFIX, storage_errors, sync_folder


def staging_path(path: Path) -> Path:
    """Where `path` is being built: always the same place, so that the next writer finds what a killed one left."""
    return path.parent / f"{TEMPORARY_PREFIX}{path.name}"


@contextmanager
def staged_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder; when the block ends well it becomes `path` in one move, otherwise it is removed.

    What a killed writer of the same path left behind is swept first. Raises StorageError when `path` exists or when
    another process is writing it.
    """
    refuse_existing(path)
    staging = staging_path(path)
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        staging.mkdir(exist_ok=True)
        descriptor = os.open(staging, os.O_RDONLY)
    try:
        lock_folder(descriptor, path)
        try:
            with storage_errors(path):
                refuse_existing(path)
                _empty(staging)
                yield staging
                sync_tree(staging)
                os.replace(staging, path)
                sync_folder(path.parent)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
    finally:
        os.close(descriptor)


def refuse_existing(path: Path) -> None:
    """StorageError when something is at `path` already."""
    if path.exists():
        raise StorageError(errno.EEXIST, "this folder exists already; choose another one or remove it first", str(path))


def lock_folder(descriptor: int, path: Path) -> None:
    """Take the folder for this process until the descriptor is closed; StorageError when another one has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise StorageError(errno.EBUSY, "another process is writing here; wait for it or choose another folder", str(path)) from error


def sync_tree(folder: Path) -> None:
    """Make everything under `folder` survive power loss."""
    for parent, _, files in os.walk(folder):
        for name in files:
            with open(Path(parent) / name, "rb+") as handle:
                os.fsync(handle.fileno())
        sync_folder(Path(parent))


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
