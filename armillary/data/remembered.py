"""The outcome of the last inspection, kept in the cache folder, so that opening an unchanged dataset reads no data again."""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from armillary.core.errors import DataError, StorageError
from armillary.core.storage import read_json, safe_join, write_json
from armillary.data.inspect_episode import Inspected, inspect_episodes
from armillary.data.metadata import MANIFEST, Metadata
from armillary.data.report import Fault

# Change it whenever an inspection would find something else in the same files.
FORM = 1


def cache_folder() -> Path:
    """Where things that can be built again are kept: $ARMILLARY_CACHE, else `armillary` in the user's cache folder."""
    chosen = os.environ.get("ARMILLARY_CACHE")
    return Path(chosen) if chosen else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "armillary"


def inspect_or_remember(
    metadata: Metadata, *, remember: bool = True, progress: Callable[[int, int], None] | None = None
) -> list[Inspected]:
    """Inspect every episode, or recall the last inspection when no file has changed since (size and time of change)."""
    if not remember:
        return inspect_episodes(metadata, progress)
    file = cache_folder() / "validation" / f"{hashlib.sha256(str(metadata.root.resolve()).encode()).hexdigest()[:32]}.json"
    before = _files(metadata)
    recalled = _recall(file, before)
    if recalled is not None and [one.index for one in recalled] == [one.index for one in metadata.listed]:
        return recalled
    inspected = inspect_episodes(metadata, progress)
    if _files(metadata) == before:
        try:
            write_json(file, {"form": FORM, "files": before, "inspected": [asdict(one) for one in inspected]})
        except (StorageError, OSError):
            return inspected  # a cache that cannot be written costs time, not the answer
    return inspected


def _files(metadata: Metadata) -> dict[str, list[int]]:
    """Size and time of change of every file that an inspection reads."""
    names = {one.data_file for one in metadata.listed} | {place.file for one in metadata.listed for place in one.videos.values()}
    names.add(MANIFEST)
    meta = metadata.root / "meta"
    names |= {path.relative_to(metadata.root).as_posix() for path in meta.rglob("*") if path.is_file()}
    return {name: _signature(metadata.root, name) for name in sorted(names)}


def _signature(root: Path, name: str) -> list[int]:
    try:
        state = safe_join(root, name).stat()
    except (OSError, DataError):
        return []
    return [state.st_size, state.st_mtime_ns, state.st_ino]


def _recall(file: Path, files: dict[str, list[int]]) -> list[Inspected] | None:
    try:
        known = read_json(file)
        if known["form"] != FORM or known["files"] != files:
            return None
        return [
            Inspected(index=one["index"], content_hash=one["content_hash"], faults=tuple(Fault(**fault) for fault in one["faults"]))
            for one in known["inspected"]
        ]
    except (DataError, OSError, KeyError, TypeError, json.JSONDecodeError):
        return None
