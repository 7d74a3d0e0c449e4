"""Episodes of one or several datasets written anew as one v3.0 dataset: what convert, merge and repair have in common."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from armillary import __version__
from armillary.core.errors import DataError
from armillary.core.storage import read_json, safe_join, write_json, write_text
from armillary.data.card import CARD_FILE, card_text
from armillary.data.dataset import Dataset
from armillary.data.episode_files import EpisodeFiles, Incoming
from armillary.data.labels import CARD_SECTION, MANIFEST_FILE, found_labels, label_path
from armillary.data.meta_files import camera_like, with_bookkeeping, write_episodes, write_info, write_stats, write_tasks
from armillary.data.metadata import read_metadata
from armillary.data.report import EpisodeRecord, Quarantined
from armillary.data.rows import as_stored
from armillary.data.schema import BOOKKEEPING, NUMERIC, Feature
from armillary.data.staging import staged_folder
from armillary.data.stats import join_stats
from armillary.data.video_files import Carried

PROVENANCE = "meta/armillary.json"
# Files of other tools that hold for the rows as a whole, and so stay true in a copy (GR00T's split of state and action).
KEPT_FILES = ("meta/modality.json",)


@dataclass(frozen=True, kw_only=True)
class Written:
    """An episode of the new dataset: from where it came, whether every decoded frame is the same as there, whether labels came along."""

    index: int
    source: str
    source_index: int
    length: int
    frame_exact: bool
    note: str = ""
    labels: bool = False


@dataclass(frozen=True, kw_only=True)
class Rewritten:
    """The outcome of a rewrite. `already_there` means that an earlier run had finished the very same work; `dropped` says what beside the
    episodes could not come along."""

    path: Path
    job: str
    episodes: tuple[Written, ...]
    left_out: tuple[Quarantined, ...]
    already_there: bool = False
    dropped: tuple[str, ...] = ()

    @property
    def frame_exact(self) -> bool:
        """True when no frame of any episode changed."""
        return all(one.frame_exact for one in self.episodes)

    def __str__(self) -> str:
        exact = sum(one.frame_exact for one in self.episodes)
        frames = sum(one.length for one in self.episodes)
        state = "was already there" if self.already_there else "written"
        lines = [f"{self.path}: {state}; {len(self.episodes)} episodes, {frames} frames, {exact} episodes frame-exact"]
        lines += [f"  episode {one.index} re-encoded: {one.note}" for one in self.episodes if one.note]
        lines += [f"  left out: {one}" for one in self.left_out]
        bare = [str(one.index) for one in self.episodes if not one.labels]
        if len(bare) < len(self.episodes):
            without = f"; episodes without: {', '.join(bare)}" if bare else ""
            lines.append(f"  labels of {len(self.episodes) - len(bare)} episodes carried along{without}")
        lines += [f"  dropped: {one}" for one in self.dropped]
        return "\n".join(lines)

    def to_json(self) -> dict:
        """As plain values."""
        return asdict(self) | {"path": str(self.path), "frame_exact": self.frame_exact}


def rewrite(
    destination: Path,
    sources: Sequence[Dataset],
    *,
    job: str,
    progress: Callable[[int, int], None] | None = None,
) -> Rewritten:
    """Write the usable episodes of `sources`, in order and numbered from 0, as a v3.0 dataset at `destination`.

    Nothing appears at `destination` before all of it is there. When the same work was done before, nothing is done.
    Raises StorageError when something else is at `destination`, DataError when the sources do not fit together.
    """
    provenance = {"job": job, "sources": [{"name": one.path.resolve().name, "fingerprint": fingerprint(one)} for one in sources]}
    if destination.exists():
        known = _known(destination, provenance)
        if known is not None:
            return known
    features = with_bookkeeping(_joint_features(sources))
    tasks = list(dict.fromkeys(name for source in sources for name in _tasks(source)))
    number_of = {name: number for number, name in enumerate(tasks)}
    info, total = sources[0].info, sum(len(source.episodes) for source in sources)
    with staged_folder(destination) as folder:
        files = EpisodeFiles(folder, features, info.fps)
        origins: list[tuple[Dataset, EpisodeRecord]] = []
        try:
            for source, record in _episodes(sources):
                files.append(_incoming(source, record, features, number_of))
                origins.append((source, record))
                _carry_labels(source, record, folder, len(origins) - 1)
                if progress:
                    progress(len(origins), total)
            rows = files.close()
        finally:
            files.abandon()
        written = [_written(number, *origin, files.carried(number)) for number, origin in enumerate(origins)]
        result = Rewritten(
            path=destination,
            job=job,
            episodes=tuple(written),
            left_out=tuple(q for s in sources for q in s.quarantined),
            dropped=_keep_manifest(origins, folder),
        )
        write_tasks(folder, tasks)
        write_stats(folder, join_stats(files.stats))
        write_episodes(folder, 0, rows, files.stats)
        _keep_files(sources, folder)
        write_json(folder / PROVENANCE, provenance | {"made_by": f"armillary {__version__}", "result": _result_json(result)})
        write_info(folder, info.fps, info.robot_type, features, len(rows), sum(one.length for one in written), len(tasks))
        card = card_text(read_metadata(folder), name=destination.name)
        write_text(folder / CARD_FILE, card + (CARD_SECTION if any(one.labels for one in written) else ""))
    return result


def fingerprint(source: Dataset) -> str:
    """What a rewrite of this dataset depends on, as one hash."""
    seen = [[one.index, one.length, one.content_hash] for one in source.episodes] + [[one.index, one.reason] for one in source.quarantined]
    labels = [[one.index, path.stat().st_size] for one in source.episodes if (path := found_labels(source.path, one.index)) is not None]
    facts = [source.info.version, source.info.fps, source.info.robot_type, seen] + ([labels] if labels else [])
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _result_json(result: Rewritten) -> dict:
    return {
        "episodes": [asdict(one) for one in result.episodes],
        "left_out": [asdict(one) for one in result.left_out],
        "dropped": list(result.dropped),
    }


def _known(destination: Path, provenance: Mapping) -> Rewritten | None:
    try:
        found = read_json(destination / PROVENANCE)
        if {name: found[name] for name in provenance} != provenance:
            return None
        episodes = tuple(Written(**one) for one in found["result"]["episodes"])
        left_out = tuple(Quarantined(**one) for one in found["result"]["left_out"])
        dropped = tuple(str(one) for one in found["result"].get("dropped", ()))
    except (DataError, OSError, KeyError, TypeError):
        return None
    job = provenance["job"]
    return Rewritten(path=destination, job=job, episodes=episodes, left_out=left_out, already_there=True, dropped=dropped)


def _episodes(sources: Sequence[Dataset]) -> Iterator[tuple[Dataset, EpisodeRecord]]:
    return ((source, record) for source in sources for record in source.episodes)


def _tasks(source: Dataset) -> list[str]:
    return [source.task_names[number] for number in sorted(source.task_names)] or [""]


def _joint_features(sources: Sequence[Dataset]) -> dict[str, Feature]:
    """The features that the sources share; DataError lists every difference."""
    first = sources[0]
    features = _present(first)
    problems = []
    for other in sources[1:]:
        theirs = _present(other)
        if other.info.fps != first.info.fps:
            problems.append(f"{other.path} has {other.info.fps:g} frames a second, {first.path} has {first.info.fps:g}")
        for key in sorted(set(features) ^ set(theirs)):
            has, lacks = (first, other) if key in features else (other, first)
            problems.append(f"{has.path} has {key!r}, {lacks.path} does not")
        for key in sorted(set(features) & set(theirs)):
            described = [f"{one[key].dtype} {list(one[key].shape)}" for one in (features, theirs)]
            if described[0] != described[1]:
                problems.append(f"{key!r} is {described[0]} in {first.path} and {described[1]} in {other.path}")
    if problems:
        raise DataError("these datasets cannot be merged: " + "; ".join(problems) + ". Merge those that agree, each group by itself")
    return features


def _present(source: Dataset) -> dict[str, Feature]:
    """The features whose data is there, as the files have them."""
    first = source.episodes[0]
    rows, videos = source.rows(first), source.listed(first).videos
    present = {}
    for key, feature in with_bookkeeping(source.info.features).items():
        if feature.dtype == "video":
            if key in videos and safe_join(source.path, videos[key].file).is_file():
                present[key] = camera_like(feature, source.span(first, key).track)
        elif key in BOOKKEEPING:
            present[key] = feature
        elif key in rows.column_names:
            present[key] = as_stored(rows, feature)
    return present


def _incoming(source: Dataset, record: EpisodeRecord, features: Mapping[str, Feature], number_of: Mapping[str, int]) -> Incoming:
    rows, listed = source.rows(record), source.listed(record)
    own = rows["task_index"].to_pylist() if "task_index" in rows.column_names else [0] * len(rows)
    names = [source.task_names.get(number, "") for number in own]
    renumber = {number: number_of[name] for number, name in source.task_names.items()}
    if any(old != new for old, new in renumber.items()):
        rows = _renumber_annotations(rows, features, renumber)
    return Incoming(
        rows=rows,
        task_index=np.array([number_of.get(name, 0) for name in names], dtype=np.int64),
        tasks=listed.tasks or tuple(dict.fromkeys(names)),
        spans={key: source.span(record, key) for key, feature in features.items() if feature.dtype == "video"},
        stats=listed.stats,
    )


def _renumber_annotations(rows: pa.Table, features: Mapping[str, Feature], renumber: Mapping[int, int]) -> pa.Table:
    """Columns `annotation.*` hold task numbers (GR00T's convention): they follow when tasks are renumbered."""
    for key, feature in features.items():
        if key.startswith("annotation.") and feature.dtype in NUMERIC and feature.dtype.startswith("int") and feature.shape == (1,):
            values = [renumber.get(value, value) for value in rows[key].to_pylist()]
            rows = rows.set_column(rows.column_names.index(key), key, pa.array(values, rows[key].type))
    return rows


def _written(number: int, source: Dataset, record: EpisodeRecord, carried: Mapping[str, Carried]) -> Written:
    notes = [f"{key}: {one.note}; off by {one.mean_error:.2f} on average" for key, one in carried.items() if not one.copied]
    return Written(
        index=number,
        source=source.path.resolve().name,
        source_index=record.index,
        length=record.length,
        frame_exact=all(one.frame_exact for one in carried.values()),
        note="; ".join(notes),
        labels=found_labels(source.path, record.index) is not None,
    )


def _keep_files(sources: Sequence[Dataset], folder: Path) -> None:
    for file in KEPT_FILES:
        texts = [safe_join(one.path, file).read_bytes() if (one.path / file).is_file() else None for one in sources]
        if texts[0] is not None and all(text == texts[0] for text in texts):
            (folder / file).write_bytes(texts[0])


def _carry_labels(source: Dataset, record: EpisodeRecord, folder: Path, number: int) -> None:
    """Labels belong to pictures row by row: no rewrite leaves out, adds or scales a picture, so they still hold."""
    labels = found_labels(source.path, record.index)
    if labels is not None:
        copy = label_path(folder, number)
        copy.parent.mkdir(exist_ok=True)
        shutil.copyfile(labels, copy)


def _keep_manifest(origins: Sequence[tuple[Dataset, EpisodeRecord]], folder: Path) -> tuple[str, ...]:
    """Copy the manifest that a simulated dataset was made from, if episodes are still numbered as in it; what could not be kept."""
    source = origins[0][0]
    same = all(one is source and record.index == number for number, (one, record) in enumerate(origins))
    manifests = {one.path for one, _ in origins if (one.path / MANIFEST_FILE).is_file()}
    if manifests and not same:
        return (f"{MANIFEST_FILE}, in which episodes have other numbers: it stays with the dataset that was simulated",)
    if manifests:
        shutil.copyfile(safe_join(source.path, MANIFEST_FILE), folder / MANIFEST_FILE)
    return ()
