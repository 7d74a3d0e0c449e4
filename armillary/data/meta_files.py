"""Writing the `meta/` folder of a v3.0 dataset: info.json, stats.json, tasks.parquet and the table of episodes."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from armillary.core.storage import write_atomically, write_json
from armillary.data.listing_v3 import DATA_PATH, EPISODES_PATH, TASKS, VIDEO_PATH
from armillary.data.metadata import INFO_FILE, fill
from armillary.data.mp4 import VideoTrack
from armillary.data.schema import BOOKKEEPING, Feature
from armillary.data.stats import BASE, QUANTILES, Stats, plain
from armillary.data.video_files import FILES_PER_CHUNK

STATS_FILE = "meta/stats.json"


def with_bookkeeping(features: Mapping[str, Feature]) -> dict[str, Feature]:
    """The features, with the columns that every LeRobot dataset has, in LeRobot's own types, at the end."""
    kept = {key: feature for key, feature in features.items() if key not in BOOKKEEPING}
    return kept | {key: Feature(key=key, dtype=dtype, shape=(1,)) for key, dtype in BOOKKEEPING.items()}


def write_info(folder: Path, fps: float, robot_type: str, features: Mapping[str, Feature], episodes: int, frames: int, tasks: int) -> None:
    """Write info.json: the step that makes what was written before it count."""
    info = {
        "codebase_version": "v3.0",
        "robot_type": robot_type,
        "total_episodes": episodes,
        "total_frames": frames,
        "total_tasks": tasks,
        "chunks_size": FILES_PER_CHUNK,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "fps": int(fps) if float(fps).is_integer() else fps,
        "splits": {"train": f"0:{episodes}"},
        "data_path": DATA_PATH,
        "video_path": VIDEO_PATH if any(feature.dtype == "video" for feature in features.values()) else None,
        "features": {key: declared(feature, fps) for key, feature in features.items()},
    }
    write_json(folder / INFO_FILE, info)


def declared(feature: Feature, fps: float) -> dict[str, object]:
    """A feature as info.json describes it."""
    described: dict[str, object] = {"dtype": feature.dtype, "shape": list(feature.shape)}
    if feature.dtype in ("video", "image"):
        described["names"] = ["height", "width", "channels"]
    else:
        described["names"] = feature.raw.get("names") or (list(feature.names) or None)
    if feature.dtype == "video":
        height, width, channels = feature.shape
        rate = int(fps) if float(fps).is_integer() else fps
        known = {"height": height, "width": width, "codec": feature.video.get("codec", "h264"), "pix_fmt": feature.video.get("pix_fmt")}
        known |= {"is_depth_map": bool(feature.video.get("is_depth_map", False)), "fps": rate, "channels": channels}
        described["info"] = {f"video.{name}": value for name, value in known.items() if value is not None} | {"has_audio": False}
    return described


def camera_like(feature: Feature, track: VideoTrack) -> Feature:
    """A camera as its file really is."""
    video = dict(feature.video) | {"codec": track.codec}
    shape = (track.height, track.width, feature.shape[2])
    return Feature(
        key=feature.key, dtype="video", shape=shape, names=feature.names, raw={"info": {f"video.{k}": v for k, v in video.items()}}
    )


def write_stats(folder: Path, stats: Mapping[str, Stats]) -> None:
    """Write the statistics of the whole dataset."""
    write_json(folder / STATS_FILE, plain(stats))


def write_tasks(folder: Path, tasks: Sequence[str]) -> None:
    """Write the tasks, numbered as they come, as pandas would with the task as index (LeRobot reads it so)."""
    table = pa.table({"task_index": pa.array(range(len(tasks)), pa.int64()), "__index_level_0__": pa.array(list(tasks), pa.string())})
    columns = [
        {"name": "task_index", "field_name": "task_index", "pandas_type": "int64", "numpy_type": "int64", "metadata": None},
        {"name": None, "field_name": "__index_level_0__", "pandas_type": "unicode", "numpy_type": "object", "metadata": None},
    ]
    unnamed = {"name": None, "field_name": None, "pandas_type": "unicode", "numpy_type": "object", "metadata": {"encoding": "UTF-8"}}
    pandas = {"index_columns": ["__index_level_0__"], "column_indexes": [unnamed], "columns": columns, "pandas_version": "2.2.3"}
    table = table.replace_schema_metadata({"pandas": json.dumps(pandas)})
    write_atomically(folder / TASKS, lambda temporary: pq.write_table(table, temporary))


def write_episodes(
    folder: Path, number: int, rows: Sequence[Mapping[str, object]], stats: Sequence[Mapping[str, Stats]], chunk: int = 0
) -> None:
    """Write one file of the episodes table. Statistics that not every episode has are left out."""
    chunk, file = chunk + number // FILES_PER_CHUNK, number % FILES_PER_CHUNK
    names = [
        (key, name)
        for key in (stats[0] if stats else {})
        for name in (*BASE, *QUANTILES)
        if all(key in own and name in own[key] for own in stats)
    ]
    complete = []
    for row, own in zip(rows, stats, strict=True):
        lists = plain(own)
        measured = {f"stats/{key}/{name}": lists[key][name] for key, name in names}
        complete.append(dict(row) | measured | {"meta/episodes/chunk_index": chunk, "meta/episodes/file_index": file})
    table = pa.Table.from_pylist(complete)
    path = folder / fill(EPISODES_PATH, {"chunk_index": chunk, "file_index": file})
    write_atomically(path, lambda temporary: pq.write_table(table, temporary, compression="snappy"))
