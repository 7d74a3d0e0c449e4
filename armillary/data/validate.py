"""Does a dataset hold what it says? One report of every discrepancy and every faulty episode, each with its fix."""

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from armillary.data.inspect_episode import Inspected
from armillary.data.metadata import INFO_FILE, Metadata, read_metadata, whole
from armillary.data.remembered import inspect_or_remember
from armillary.data.report import Discrepancy, EpisodeRecord, Fault, Quarantined, Report
from armillary.data.schema import ACTION, BOOKKEEPING


def validate(path: Path | str, *, remember: bool = True, progress: Callable[[int, int], None] | None = None) -> Report:
    """Check a dataset whole, without decoding a frame.

    With `remember`, files that have not changed since the last look (by size and time of change) are not read again.
    Raises DataError only when it cannot be told at all what the dataset is.
    """
    metadata = read_metadata(Path(path))
    return report_on(metadata, inspect_or_remember(metadata, remember=remember, progress=progress))


def report_on(metadata: Metadata, inspected: list[Inspected]) -> Report:
    """Sort what was found into discrepancies of the dataset and faults of single episodes."""
    absent = _absent_cameras(metadata, inspected)
    discrepancies = list(metadata.discrepancies) + _count_discrepancies(metadata, absent)
    discrepancies += [_absent_camera(metadata, key) for key in absent]
    faults = {one.index: [f for f in one.faults if not _of_absent(f, absent)] for one in inspected}
    shared = _shared_faults(faults, len(metadata.listed))
    discrepancies += [_as_discrepancy(fault, len(metadata.listed)) for fault in shared.values()]
    episodes, quarantined = [], []
    for listed, seen in zip(metadata.listed, inspected, strict=True):
        own = [fault for fault in faults[listed.index] if fault.kind not in shared and not fault.kind.startswith("codec of ")]
        if own:
            reason = "; ".join(fault.reason for fault in own)
            quarantined.append(Quarantined(index=listed.index, reason=reason, file=own[0].file, fix=own[0].fix))
        else:
            episodes.append(EpisodeRecord(index=listed.index, length=listed.length, tasks=listed.tasks, content_hash=seen.content_hash))
    return Report(
        path=metadata.root,
        info=metadata.info,
        episodes=tuple(episodes),
        quarantined=tuple(quarantined),
        discrepancies=tuple(discrepancies),
        notes=metadata.notes,
    )


def mends(fault: Fault) -> bool:
    """True for faults that a rewritten dataset does not have, so that the whole set need not be given up for them."""
    if fault.kind.startswith("column "):
        made_anew = any(fault.kind == f"column {key!r}" for key in BOOKKEEPING)
        other_size = re.fullmatch(r"rows of \d+ numbers", fault.found) is not None
        return made_anew or other_size or (fault.found == "no such column" and fault.kind != f"column {ACTION!r}")
    return fault.kind.startswith(("timestamps start", "picture size of ", "frame rate of ", "codec of ", "episode_index", "frame_index"))


def _shared_faults(faults: Mapping[int, list[Fault]], count: int) -> dict[str, Fault]:
    """Faults that every episode has: then it is the metadata that is wrong, not the episodes. The first of each kind."""
    first: dict[str, Fault] = {}
    tally: Counter[str] = Counter()
    for own in faults.values():
        for fault in own:
            first.setdefault(fault.kind, fault)
            tally[fault.kind] += 1
    return {kind: fault for kind, fault in first.items() if mends(fault) and tally[kind] == count}


def _as_discrepancy(fault: Fault, count: int) -> Discrepancy:
    what = f"{fault.kind} (in every one of {count} episodes)"
    return Discrepancy(file=fault.file, what=what, expected=fault.expected, found=fault.found, fix=fault.fix)


def _absent_cameras(metadata: Metadata, inspected: list[Inspected]) -> tuple[str, ...]:
    """Cameras that no episode has a file of."""
    missing = Counter(fault.kind for one in inspected for fault in one.faults if fault.kind.startswith("video file of "))
    unplaced = Counter(key for listed in metadata.listed for key in metadata.info.camera_keys if key not in listed.videos)
    count = len(metadata.listed)
    return tuple(key for key in metadata.info.camera_keys if count and missing[f"video file of {key}"] + unplaced[key] == count)


def _of_absent(fault: Fault, absent: tuple[str, ...]) -> bool:
    return any(fault.kind.endswith(f" of {key}") for key in absent)


def _absent_camera(metadata: Metadata, key: str) -> Discrepancy:
    place = metadata.listed[0].videos.get(key)
    where = f", such as {place.file}" if place else ""
    return Discrepancy(
        file=INFO_FILE,
        what=f"features[{key!r}]",
        expected=f"a video of it for each of {len(metadata.listed)} episodes{where}",
        found="no such file at all",
        fix=f"remove {key!r} from features, or add its files",
    )


def _count_discrepancies(metadata: Metadata, absent: tuple[str, ...]) -> list[Discrepancy]:
    info, raw = metadata.info, metadata.raw
    expected = {"total_episodes": info.total_episodes, "total_frames": info.total_frames, "total_tasks": len(metadata.tasks)}
    if not metadata.shared_files:
        chunks_size = raw.get("chunks_size") if whole(raw.get("chunks_size"), 1) else 1000
        expected["total_videos"] = info.total_episodes * (len(info.camera_keys) - len(absent))
        expected["total_chunks"] = math.ceil((max((one.index for one in metadata.listed), default=-1) + 1) / chunks_size)
    found = [
        Discrepancy(file=INFO_FILE, what=key, expected=str(value), found=repr(raw.get(key)), fix=f"write {value}")
        for key, value in expected.items()
        if raw.get(key) != value
    ]
    last = max((one.index for one in metadata.listed), default=-1) + 1
    splits = raw.get("splits") or {}
    for name, span in splits.items() if isinstance(splits, Mapping) else [("splits", splits)]:
        if not _within(span, last):
            fix = f'write "0:{last}"'
            found.append(Discrepancy(file=INFO_FILE, what=f"splits[{name!r}]", expected=f"within 0:{last}", found=repr(span), fix=fix))
    return found + _unknown_tasks(metadata)


def _within(span: object, last: int) -> bool:
    parts = str(span).split(":") if isinstance(span, str) else []
    return len(parts) == 2 and all(part.isdecimal() for part in parts) and int(parts[0]) <= int(parts[1]) <= last


def _unknown_tasks(metadata: Metadata) -> list[Discrepancy]:
    known = set(metadata.tasks.values())
    unknown = sorted({task for listed in metadata.listed for task in listed.tasks} - known) if known else []
    file = "meta/tasks.parquet" if metadata.shared_files else "meta/tasks.jsonl"
    fix = "add them to the tasks, each with a number of its own"
    shown = ", ".join(repr(task) for task in unknown[:5])
    return [Discrepancy(file=file, what="tasks", expected="every episode's task", found=f"none for {shown}", fix=fix)] if unknown else []
