"""Episodes, tasks and statistics of LeRobot v2.0 and v2.1: JSON lines, one parquet and one mp4 per camera for every episode."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from armillary.core.storage import safe_join
from armillary.data.metadata import MAX_EPISODES, Listed, VideoPlace, cameras, fill, positions, task_names, whole
from armillary.data.report import Discrepancy
from armillary.data.schema import Feature

EPISODES, TASKS, EPISODE_STATS = "meta/episodes.jsonl", "meta/tasks.jsonl", "meta/episodes_stats.jsonl"
DATA_PATH = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
VIDEO_PATH = "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"
MAX_LINE = 64 * 2**20


def read(
    root: Path, raw: Mapping[str, object], features: Mapping[str, Feature], found: list[Discrepancy]
) -> tuple[dict[int, str], list[Listed], list[str]]:
    """(task by index, episodes in order, notes); what is wrong is added to `found`."""
    tasks = _tasks(root, found)
    stats, notes = _episode_stats(root, raw)
    chunks_size = raw.get("chunks_size", 1000)
    if not whole(chunks_size, 1):
        fix = "write 1000, or the number of episodes in each chunk folder"
        found.append(Discrepancy(file="meta/info.json", what="chunks_size", expected="a number > 0", found=repr(chunks_size), fix=fix))
        chunks_size = 1000
    data_path, video_path = (str(raw.get(k) or default) for k, default in (("data_path", DATA_PATH), ("video_path", VIDEO_PATH)))
    listed = []
    for number, line in json_lines(root, EPISODES, found):
        index, length = line.get("episode_index"), line.get("length")
        if not whole(index, 0, MAX_EPISODES) or not whole(length, 1):
            what, fix = f"line {number}", "restore the line, or remove it together with the episode's files"
            expected = "episode_index >= 0 and length >= 1"
            found.append(Discrepancy(file=EPISODES, what=what, expected=expected, found=f"{index!r} and {length!r}", fix=fix))
            continue
        fields = {"episode_chunk": index // chunks_size, "episode_index": index}
        videos = {key: VideoPlace(file=fill(video_path, fields | {"video_key": key})) for key in cameras(features)}
        names = task_names(line.get("tasks"))
        file = fill(data_path, fields)
        listed.append(Listed(index=index, length=length, tasks=names, data_file=file, videos=videos, stats=stats.get(index, {})))
    return tasks, positions(listed, EPISODES, found), notes


def json_lines(root: Path, file: str, found: list[Discrepancy]) -> Iterator[tuple[int, dict]]:
    """(line number from 1, object) of a JSON lines file; bad lines are reported and left out."""
    path = safe_join(root, file)
    if not path.is_file():
        found.append(Discrepancy(file=file, what="file", expected="it exists", found="missing", fix="restore it from the dataset's source"))
        return
    with open(path, encoding="utf-8", errors="replace") as handle:
        for number in range(1, MAX_EPISODES):
            text = handle.readline(MAX_LINE)
            if not text:
                return
            if not text.strip():
                continue
            try:
                value = json.loads(text)
            except json.JSONDecodeError as error:
                value = str(error)
            if isinstance(value, dict):
                yield number, value
            else:
                fix = "restore the line from the dataset's source"
                found.append(Discrepancy(file=file, what=f"line {number}", expected="a JSON object", found=repr(value)[:200], fix=fix))


def _tasks(root: Path, found: list[Discrepancy]) -> dict[int, str]:
    tasks = {}
    for number, line in json_lines(root, TASKS, found):
        if whole(line.get("task_index")) and isinstance(line.get("task"), str):
            tasks[line["task_index"]] = line["task"]
        else:
            fix = "restore the line"
            found.append(Discrepancy(file=TASKS, what=f"line {number}", expected="task_index and task", found=repr(line)[:200], fix=fix))
    return tasks


def _episode_stats(root: Path, raw: Mapping[str, object]) -> tuple[dict[int, dict], list[str]]:
    if raw.get("codebase_version") == "v2.0":
        return {}, []
    ignored: list[Discrepancy] = []
    stats = {
        line["episode_index"]: line["stats"]
        for _, line in json_lines(root, EPISODE_STATS, ignored)
        if whole(line.get("episode_index")) and isinstance(line.get("stats"), dict)
    }
    return stats, [f"{one}; statistics are computed anew where they are needed" for one in ignored]
