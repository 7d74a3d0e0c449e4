"""Recordings whose right answer is known, and real ones cut down to a few episodes."""

import json
import shutil
from pathlib import Path

import numpy as np

from armillary.core.episode import Episode
from tests.data.pictures import moving_square

VIEW, WRIST = "observation.images.view", "observation.images.wrist"


def episode(number: int, length: int = 12, *, cameras: tuple[str, ...] = (VIEW,), fps: float = 10.0, task: str = "push") -> Episode:
    """An episode with every kind of column; everything follows from `number`."""
    rng = np.random.default_rng(number)
    return Episode(
        frames={key: moving_square(length, 48, 64, seed=number + 7 * place) for place, key in enumerate(cameras)},
        actions=rng.normal(size=(length, 3)).astype(np.float32),
        state=rng.normal(size=(length, 4)).astype(np.float32),
        rewards=np.arange(length, dtype=np.float32),
        terminated=np.arange(length) == length - 1,
        labels={"contacts": np.arange(length, dtype=np.int64), "depth.grid": rng.normal(size=(length, 2, 3))},
        seconds_per_step=1.0 / fps,
        task=task,
        index=number,
    )


def excerpt(source: Path, destination: Path, count: int) -> Path:
    """The first episodes of a v2.x dataset as a dataset of their own, with metadata to match."""
    (destination / "meta").mkdir(parents=True)
    for file in ("episodes.jsonl", "episodes_stats.jsonl"):
        if (source / "meta" / file).exists():
            lines = (source / "meta" / file).read_text().splitlines()[:count]
            (destination / "meta" / file).write_text("\n".join(lines) + "\n")
    shutil.copyfile(source / "meta/tasks.jsonl", destination / "meta/tasks.jsonl")
    listed = [json.loads(line) for line in (destination / "meta/episodes.jsonl").read_text().splitlines()]
    for one in listed:
        for path in [
            *source.glob(f"*/*/episode_{one['episode_index']:06d}.*"),
            *source.glob(f"*/*/*/episode_{one['episode_index']:06d}.*"),
        ]:
            target = destination / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    info = json.loads((source / "meta/info.json").read_text())
    info |= {"total_episodes": count, "total_frames": sum(one["length"] for one in listed), "splits": {"train": f"0:{count}"}}
    info["total_videos"] = count * sum(feature["dtype"] == "video" for feature in info["features"].values())
    write_info(destination, info)
    return destination


def read_info(dataset: Path) -> dict:
    return json.loads((dataset / "meta/info.json").read_text())


def write_info(dataset: Path, info: dict) -> None:
    (dataset / "meta/info.json").write_text(json.dumps(info, indent=2))


def tree(folder: Path) -> dict[str, bytes]:
    """Every file under a folder, by its place in it."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
