"""A LeRobot v2.0 or v2.1 dataset written by hand, file by file, independently of the package's writer."""

import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from armillary.core.episode import Episode
from armillary.data.video import encode_video


def write_version2(path: Path, episodes: Sequence[Episode], version: str = "v2.1", fps_free: bool = False, gop: int = 2) -> Path:
    """`fps_free` encodes each video at its own episode's rate."""
    tasks = list(dict.fromkeys(one.task for one in episodes))
    fps = round(1 / episodes[0].seconds_per_step)
    (path / "meta").mkdir(parents=True)
    listed, start = [], 0
    for number, one in enumerate(episodes):
        steps = range(len(one))
        columns = {
            "action": one.actions.tolist(),
            "observation.state": one.state.tolist(),
            "timestamp": pa.array([t / fps for t in steps], pa.float32()),
            "frame_index": list(steps),
            "episode_index": [number] * len(one),
            "index": [start + t for t in steps],
            "task_index": [tasks.index(one.task)] * len(one),
        }
        file = path / f"data/chunk-000/episode_{number:06d}.parquet"
        file.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns), file)
        for camera, frames in one.frames.items():
            rate = 1 / one.seconds_per_step if fps_free else fps
            encode_video(path / f"videos/chunk-000/{camera}/episode_{number:06d}.mp4", frames, rate, gop=gop)
        listed.append({"episode_index": number, "tasks": [one.task], "length": len(one)})
        start += len(one)
    features = {
        key: {"dtype": "video", "shape": list(v.shape[1:]), "names": ["height", "width", "channels"]}
        for key, v in episodes[0].frames.items()
    }
    for key, dtype, size in (("action", "float32", 3), ("observation.state", "float32", 4), ("timestamp", "float32", 1)):
        features[key] = {"dtype": dtype, "shape": [size], "names": None}
    features |= {key: {"dtype": "int64", "shape": [1], "names": None} for key in ("frame_index", "episode_index", "index", "task_index")}
    info = {"codebase_version": version, "robot_type": "toy", "fps": fps, "features": features, "chunks_size": 1000, "total_chunks": 1}
    info |= {"total_episodes": len(episodes), "total_frames": start, "total_tasks": len(tasks)}
    info |= {"total_videos": len(episodes) * len(episodes[0].frames), "splits": {"train": f"0:{len(episodes)}"}}
    info["data_path"] = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
    info["video_path"] = "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"
    (path / "meta/info.json").write_text(json.dumps(info))
    (path / "meta/tasks.jsonl").write_text("".join(json.dumps({"task_index": n, "task": task}) + "\n" for n, task in enumerate(tasks)))
    (path / "meta/episodes.jsonl").write_text("".join(json.dumps(one) + "\n" for one in listed))
    return path
