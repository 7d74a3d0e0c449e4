"""Episodes, tasks and statistics of LeRobot v3.0: parquet tables, files that several episodes share."""

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from armillary.core.errors import DataError
from armillary.core.storage import safe_join
from armillary.data.metadata import Listed, VideoPlace, cameras, fill, positions, task_names, whole
from armillary.data.report import Discrepancy
from armillary.data.schema import Feature

EPISODES_FOLDER, TASKS = "meta/episodes", "meta/tasks.parquet"
EPISODES_PATH = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO_PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
HASH_COLUMN = "armillary/content_hash"
MAX_TABLE_BYTES = 8 * 2**30
# Present while a recording is open: how many of the episodes listed are certain (data/record.py).
RECORDING = "meta/recording.json"


def read(
    root: Path, raw: Mapping[str, object], features: Mapping[str, Feature], found: list[Discrepancy]
) -> tuple[dict[int, str], list[Listed], list[str]]:
    """(task by index, episodes in order, notes); what is wrong is added to `found`."""
    notes: list[str] = []
    listed: list[Listed] = []
    unfinished = (root / RECORDING).is_file()
    for file in sorted(path.relative_to(root).as_posix() for path in (root / EPISODES_FOLDER).glob("chunk-*/file-*.parquet")):
        listed += _episodes(root, file, raw, features, found)
    if not listed and not unfinished:
        fix = "restore it from the dataset's source"
        found.append(Discrepancy(file=EPISODES_FOLDER, what="episodes", expected="at least one", found="none that can be read", fix=fix))
    if unfinished:
        notes.append(f"the recording was not closed; finish it with: armillary data doctor {root} --repair")
        listed = _certain(listed, raw)
    tasks = _tasks(root, found)
    if unfinished and whole(raw.get("total_tasks")):
        tasks = {index: task for index, task in tasks.items() if index < raw["total_tasks"]}
    return tasks, positions(listed, EPISODES_FOLDER, found), notes


def _certain(listed: list[Listed], raw: Mapping[str, object]) -> list[Listed]:
    """Of an open recording: the episodes whose save returned, each once (joined files come before single ones)."""
    total = raw.get("total_episodes")
    unique: dict[int, Listed] = {}
    for one in listed:
        if whole(total) and one.index < total:
            unique.setdefault(one.index, one)
    return list(unique.values())


def read_parquet(root: Path, file: str) -> pa.Table:
    """A whole parquet file; DataError names the file when it cannot be read."""
    path = safe_join(root, file)
    try:
        file = pq.ParquetFile(path, memory_map=False)
        size = sum(file.metadata.row_group(number).total_byte_size for number in range(file.metadata.num_row_groups))
        if size > MAX_TABLE_BYTES:
            raise DataError(f"{path} would need {size} bytes of memory, the limit is {MAX_TABLE_BYTES}; split it into smaller files")
        return file.read()
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist") from error
    except (OSError, ValueError, pa.ArrowException) as error:
        raise DataError(f"{path} cannot be read as parquet: {str(error)[:300]}") from error


def _episodes(root: Path, file: str, raw: Mapping, features: Mapping[str, Feature], found: list[Discrepancy]) -> list[Listed]:
    try:
        table = read_parquet(root, file)
    except DataError as error:
        fix = "restore it from the dataset's source"
        found.append(Discrepancy(file=file, what="episodes", expected="a parquet table", found=str(error), fix=fix))
        return []
    listed = []
    for row in table.to_pylist():
        problem = _row_problem(row, features)
        if problem:
            what, fix = f"episode {row.get('episode_index')!r}", "restore the table from the dataset's source"
            found.append(Discrepancy(file=file, what=what, expected="its length and its files", found=problem, fix=fix))
        else:
            listed.append(_listed(row, raw, features))
    return listed


def _row_problem(row: Mapping[str, object], features: Mapping[str, Feature]) -> str:
    needed = ["episode_index", "data/chunk_index", "data/file_index"]
    needed += [
        f"videos/{key}/{what}" for key in cameras(features) if f"videos/{key}/chunk_index" in row for what in ("chunk_index", "file_index")
    ]
    wrong = [f"{name} = {row.get(name)!r}" for name in needed if not whole(row.get(name), 0, 2**31)]
    if not whole(row.get("length"), 1):
        wrong.append(f"length = {row.get('length')!r}")
    return ", ".join(wrong)


def _listed(row: Mapping[str, object], raw: Mapping[str, object], features: Mapping[str, Feature]) -> Listed:
    videos = {}
    for key in cameras(features):
        if f"videos/{key}/chunk_index" not in row:
            continue
        fields = {"video_key": key, **{name: row[f"videos/{key}/{name}"] for name in ("chunk_index", "file_index")}}
        span = (row.get(f"videos/{key}/{name}") for name in ("from_timestamp", "to_timestamp"))
        from_s, to_s = (float(value) if isinstance(value, int | float) else None for value in span)
        file = fill(str(raw.get("video_path") or VIDEO_PATH), fields)
        videos[key] = VideoPlace(file=file, from_s=from_s if from_s is not None else 0.0, to_s=to_s)
    stats: dict[str, dict[str, object]] = {}
    for name, value in row.items():
        if name.startswith("stats/") and value is not None:
            feature, _, statistic = name.removeprefix("stats/").rpartition("/")
            stats.setdefault(feature, {})[statistic] = value
    return Listed(
        index=row["episode_index"],
        length=row["length"],
        tasks=task_names(row.get("tasks")),
        data_file=fill(str(raw.get("data_path") or DATA_PATH), {name: row[f"data/{name}"] for name in ("chunk_index", "file_index")}),
        videos=videos,
        stats=stats,
        content_hash=str(row.get(HASH_COLUMN) or ""),
    )


def _tasks(root: Path, found: list[Discrepancy]) -> dict[int, str]:
    try:
        table = read_parquet(root, TASKS)
        names = next(name for name in (*table.column_names, "") if name != "task_index")
        rows = zip(table["task_index"].to_pylist(), table[names].to_pylist(), strict=True)
        return {index: str(name) for index, name in rows if whole(index)}
    except (DataError, KeyError) as error:
        fix = "restore it from the dataset's source"
        found.append(Discrepancy(file=TASKS, what="tasks", expected="a table of task and task_index", found=str(error), fix=fix))
        return {}
