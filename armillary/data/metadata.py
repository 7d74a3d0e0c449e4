"""What a dataset lists: its episodes, tasks and the files that should hold them, alike for every format version."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from armillary.core.errors import DataError
from armillary.core.storage import read_json, safe_join
from armillary.data.report import Discrepancy
from armillary.data.schema import ACTION, VERSIONS, DatasetInfo, Feature, parse_feature

INFO_FILE = "meta/info.json"
# Written by `add` (data/library.py): the hash of every file and episode at ingest.
MANIFEST = "manifest.json"
MAX_EPISODES = 10_000_000
_FIELD = re.compile(r"\{(\w+)(?::0?(\d{1,2})d)?\}")


@dataclass(frozen=True, kw_only=True)
class VideoPlace:
    """Where one camera's pictures of an episode are: a whole file, or a span of one that several episodes share."""

    file: str
    from_s: float | None = None
    to_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Listed:
    """An episode as the metadata lists it. `stats` by feature and statistic, where the dataset has them."""

    index: int
    length: int
    tasks: tuple[str, ...]
    data_file: str
    videos: Mapping[str, VideoPlace]
    stats: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    content_hash: str = ""


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """Everything under `meta/`, and what was found wrong while reading it. `raw` is info.json as it stands."""

    root: Path
    raw: Mapping[str, object]
    info: DatasetInfo
    tasks: Mapping[int, str]
    listed: tuple[Listed, ...]
    discrepancies: tuple[Discrepancy, ...]
    notes: tuple[str, ...] = ()

    @property
    def shared_files(self) -> bool:
        """True when one file may hold several episodes (v3.0)."""
        return self.info.version == "v3.0"


def fill(template: str, values: Mapping[str, int | str]) -> str:
    """A path template of info.json with its fields filled in. Only `{name}` and `{name:03d}` are understood.

    >>> fill("data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet", {"chunk_index": 0, "file_index": 7})
    'data/chunk-000/file-007.parquet'
    """

    def put(match: re.Match) -> str:
        name, width = match[1], match[2]
        if name not in values:
            raise DataError(f"{INFO_FILE}: the path template {template!r} names {{{name}}}; known are {', '.join(values)}")
        return f"{int(values[name]):0{int(width)}d}" if width else str(values[name])

    return _FIELD.sub(put, template)


def read_metadata(root: Path) -> Metadata:
    """Read `meta/` of a v2.0, v2.1 or v3.0 dataset.

    Raises DataError when it cannot be told at all what the dataset is; anything less is listed in `discrepancies`.
    """
    from armillary.data import listing_v2, listing_v3

    root = Path(root)
    if not (root / INFO_FILE).is_file():
        hint = "the folder does not exist" if not root.is_dir() else f"{INFO_FILE} does not exist in it"
        raise DataError(f"{root} is not a LeRobot dataset: {hint}; give the folder that holds data/, meta/ and videos/")
    raw = read_json(safe_join(root, INFO_FILE))
    if not isinstance(raw, dict):
        raise DataError(f"{root / INFO_FILE} must hold an object, found {type(raw).__name__}; restore it from the dataset's source")
    found: list[Discrepancy] = []
    version = _version(raw, root)
    fps = raw.get("fps")
    if not isinstance(fps, int | float) or isinstance(fps, bool) or not 0 < fps <= 10_000:
        raise DataError(f"{root / INFO_FILE}: fps must be a number above 0, found {fps!r}; write the camera's frame rate there")
    features = _features(raw, root, found)
    reader = listing_v3 if version == "v3.0" else listing_v2
    tasks, listed, notes = reader.read(root, raw, features, found)
    hashes = _ingested(root)
    listed = [replace(one, content_hash=one.content_hash or hashes.get(one.index, "")) for one in listed]
    notes += [
        f"camera {key!r} is stored as single images inside the parquet files; it is kept by convert but not read as pictures"
        for key, feature in features.items()
        if feature.dtype == "image"
    ]
    info = DatasetInfo(
        version=version,
        fps=float(fps),
        robot_type=str(raw.get("robot_type") or "unknown"),
        features=features,
        tasks=tuple(tasks[index] for index in sorted(tasks)),
        total_episodes=len(listed),
        total_frames=sum(one.length for one in listed),
    )
    return Metadata(root=root, raw=raw, info=info, tasks=tasks, listed=tuple(listed), discrepancies=tuple(found), notes=tuple(notes))


def _ingested(root: Path) -> dict[int, str]:
    """The content hash that each episode had when it was added to a library; nothing for a dataset outside one."""
    if not (root / MANIFEST).is_file():
        return {}
    manifest = read_json(safe_join(root, MANIFEST))
    episodes = manifest.get("episodes") if isinstance(manifest, dict) else None
    known = [one for one in (episodes if isinstance(episodes, list) else []) if isinstance(one, dict) and whole(one.get("index"))]
    return {one["index"]: str(one.get("content_hash") or "") for one in known}


def _version(raw: Mapping, root: Path) -> str:
    version = raw.get("codebase_version")
    if version not in VERSIONS:
        raise DataError(
            f"{root / INFO_FILE}: codebase_version must be one of {', '.join(VERSIONS)}, found {version!r}; "
            "an older dataset has to be brought to v2.0 with the LeRobot release of its time"
        )
    return version


def _features(raw: Mapping, root: Path, found: list[Discrepancy]) -> dict[str, Feature]:
    declared = raw.get("features")
    if not isinstance(declared, dict) or not declared:
        raise DataError(f"{root / INFO_FILE}: features must be an object that describes every column, found {declared!r}")
    features = {}
    for key, value in declared.items():
        feature = parse_feature(key, value)
        problem = feature if isinstance(feature, str) else _name_problem(root, key)
        if problem:
            fix = f"describe the column, or remove {key!r} from features"
            found.append(Discrepancy(file=INFO_FILE, what=f"features[{key!r}]", expected="a feature", found=problem, fix=fix))
        else:
            features[key] = feature
    if ACTION not in features:
        raise DataError(
            f"{root / INFO_FILE}: features names no {ACTION!r}; a world is learned from what was done. It has {sorted(features)}"
        )
    if len(features[ACTION].shape) != 1:
        raise DataError(f"{root / INFO_FILE}: {ACTION!r} must be a vector, its shape is {list(features[ACTION].shape)}")
    return features


def _name_problem(root: Path, key: str) -> str:
    try:
        if "/" in key:
            return "a name with '/'; names become folders"
        safe_join(root, key)
    except DataError as error:
        return str(error)
    return ""


def whole(value: object, least: int = 0, most: int = 2**40) -> bool:
    """True for an int (not a bool) from `least` to `most`."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def positions(listed: list[Listed], file: str, found: list[Discrepancy]) -> list[Listed]:
    """The episodes in order; a number that is listed twice is kept once and reported."""
    unique: dict[int, Listed] = {}
    for one in listed:
        if one.index in unique:
            fix = "keep one of the two lines"
            what = f"episode {one.index}"
            found.append(Discrepancy(file=file, what=what, expected="listed once", found="listed more than once", fix=fix))
        else:
            unique[one.index] = one
    return [unique[index] for index in sorted(unique)]


def task_names(value: object) -> tuple[str, ...]:
    """Tasks of an episode, whatever a writer put there."""
    if isinstance(value, str):
        return (value,)
    return tuple(str(task) for task in value) if isinstance(value, list | tuple) else ()


def cameras(features: Mapping[str, Feature]) -> Iterator[str]:
    """Keys of the video features."""
    return (key for key, feature in features.items() if feature.dtype == "video")
