"""How fast windows are read: `python -m benchmarks.loader [--data PATH] [--seeds N] [--quick] [--json]`.

A window is 16 pictures three recorded frames apart, with all 48 actions. Ours come from the warm frame cache at 64 x 64;
LeRobot's own dataset class reads the same windows of the same recordings (converted to v3.0 first) with `delta_timestamps`,
decoding through PyAV, at recorded size (its resize to 64 x 64, which training would add, is not counted). It is measured
twice: opening the file for every window, as it does with torchvision, and with files kept open, as with torchcodec.
`ratio` is ours over the faster of the two, in the same run, both in one thread, in turns, on the clock;
`ratio_of_processor_time` the same without the time that other programs took. Before anything is measured some
windows of both are compared pixel by pixel. `cold_build` decodes and shrinks every recording into the cache.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from armillary.core import DataError, bootstrap
from armillary.data.cache import FrameCache, open_cache
from armillary.data.convert import convert
from armillary.data.dataset import Dataset, open_dataset
from armillary.data.resize import area_resize
from armillary.data.windows import WindowLoader, WindowSampler
from benchmarks import rows
from benchmarks.lerobot_reader import KEPT_OPEN, REOPENED, load_lerobot

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "g1_inspire_lerobot21_160x120"
SIZE, STRIDE, NUM_FRAMES, BATCH_SIZE = (64, 64), 3, 16, 32
WORKERS = (0, 1, 2)


class Rivals:
    """Both readers over the same windows of one dataset."""

    def __init__(self, dataset: Dataset, cache: FrameCache, root: Path):
        self.camera = cache.camera
        self.lengths = [len(episode) for episode in cache.episodes]
        self.episodes = [episode.every(STRIDE) for episode in cache.episodes]
        self.firsts = np.concatenate([[0], np.cumsum(self.lengths)])
        frame = 1.0 / dataset.info.fps
        pictures = [i * STRIDE * frame for i in range(NUM_FRAMES)]
        actions = [i * frame for i in range(NUM_FRAMES * STRIDE)]
        moments = {self.camera: pictures, "action": actions}
        reader = load_lerobot()
        self.readers = {
            name: reader("local/benchmark", root=root, delta_timestamps=moments, video_backend=backend)
            for name, backend in (("lerobot, reopening", REOPENED), ("lerobot, kept open", KEPT_OPEN))
        }

    def sampler(self, seed: int) -> WindowSampler:
        return WindowSampler([len(e) for e in self.episodes], num_frames=NUM_FRAMES, batch_size=BATCH_SIZE, seed=seed)

    def theirs(self, name: str, position: int, start: int) -> dict:
        return self.readers[name][int(self.firsts[position]) + start * STRIDE]

    def compare(self) -> None:
        """The first windows of both must be the same, or the comparison means nothing."""
        batch = WindowLoader(self.episodes, self.camera, self.sampler(0)).read(0)
        for row, (position, start) in enumerate(self.sampler(0).batch(0)[:4].tolist()):
            for name in self.readers:
                item = self.theirs(name, position, start)
                pictures = (item[self.camera] * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
                ours = (batch.frames[row] * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
                assert np.array_equal(area_resize(pictures, SIZE), ours), f"{name}: pictures differ in window {position}, {start}"
                assert torch.equal(item["action"].reshape(NUM_FRAMES, -1), batch.actions[row]), f"{name}: actions differ"

    def our_speed(self, seed: int, workers: int, batches: int) -> "Speed":
        with WindowLoader(self.episodes, self.camera, self.sampler(seed), workers=workers) as loader:
            stream = iter(loader)
            next(stream)
            return speed(batches * BATCH_SIZE, lambda: sum(1 for _ in islice(stream, batches)))

    def their_speed(self, name: str, seed: int, windows: int) -> "Speed":
        chosen = self.sampler(seed).batch(0).tolist()
        self.theirs(name, *chosen[0])
        return speed(windows, lambda: [self.theirs(name, *chosen[number % len(chosen)]) for number in range(windows)])


class Speed(NamedTuple):
    """Windows a second on the clock, and a second of processor time."""

    wall: float
    processor: float


def speed(windows: int, work: Callable[[], object]) -> Speed:
    """How fast `work` reads that many windows."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return Speed(windows / (time.perf_counter() - wall), windows / (time.process_time() - processor))


def measure(rivals: Rivals, seed: int, *, quick: bool) -> dict[str, Speed]:
    """The speed of every subject over the windows of one seed."""
    batches, windows = (10, 8) if quick else (60, BATCH_SIZE)
    theirs = {name: rivals.their_speed(name, seed, windows) for name in rivals.readers}
    return theirs | {f"armillary workers={workers}": rivals.our_speed(seed, workers, batches) for workers in WORKERS}


def rows_of(measured: Sequence[dict[str, Sequence[float]]], rivals: Sequence[str]) -> list[dict]:
    """Windows a second of each subject, and the ratios; one measurement a seed."""
    speeds = {subject: [Speed(*one[subject]) for one in measured] for subject in measured[0]}
    found = [row(subject, "windows_per_second", [one.wall for one in values], "1/s") for subject, values in speeds.items()]
    for metric, clock in (("ratio", "wall"), ("ratio_of_processor_time", "processor")):
        best = [max(getattr(one, clock) for one in pair) for pair in zip(*(speeds[name] for name in rivals), strict=True)]
        ours = [getattr(one, clock) for one in speeds["armillary workers=0"]]
        found.append(row("armillary / lerobot", metric, [a / b for a, b in zip(ours, best, strict=True)], "x"))
    return found


def row(subject: str, metric: str, values: Sequence[float], unit: str) -> dict:
    """One row; the interval is a bootstrap over seeds."""
    return rows.row("loader", subject, metric, bootstrap(values), seeds=len(values), unit=unit)


def run(data: Path, folder: Path, seeds: int, quick: bool) -> list[dict]:
    """Every row, with what is made on the way below `folder`."""
    # Before LeRobot is imported: nothing is fetched, and nothing is left in the user's folders.
    os.environ |= {"HF_HOME": f"{folder}/huggingface", "HF_HUB_OFFLINE": "1", "ARMILLARY_CACHE": f"{folder}/cache"}
    root = folder / "v3"
    convert(data, root)
    with rows.timed() as opening:
        dataset = open_dataset(root)
    camera = dataset.info.camera_keys[0]
    with rows.timed() as cold:
        cache = open_cache(dataset, camera=camera, size=SIZE)
    with rows.timed() as warm:
        open_cache(dataset, camera=camera, size=SIZE)
    frames = sum(len(episode) for episode in cache.episodes)
    rivals = Rivals(dataset, cache, root)
    rivals.compare()
    return [
        row("armillary", "dataset_opening", [opening["s"]], "s"),
        row("armillary", "cold_build", [cold["s"]], "s"),
        row("armillary", "cold_build_frames_per_second", [frames / cold["s"]], "1/s"),
        row("armillary", "warm_opening", [warm["s"]], "s"),
        *rows_of([measure(rivals, seed, quick=quick) for seed in range(seeds)], list(rivals.readers)),
    ]


def main() -> int:
    """Print the rows."""
    parser = rows.parser("benchmarks.loader", __doc__ or "", seeds=5)
    parser.add_argument("--data", type=Path, default=DATA, help="a LeRobot dataset with at least one video camera")
    options = parser.parse_args()
    torch.set_num_threads(1)
    try:
        with tempfile.TemporaryDirectory() as folder, rows.timed() as whole:
            found = run(options.data, Path(folder), 1 if options.quick else options.seeds, options.quick)
    except (ImportError, DataError) as error:
        print(error, file=sys.stderr)
        return 1
    rows.publish("loader", found, options, command="python -m benchmarks.loader", wall_s=whole["s"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
