"""How fast labelled datasets are written: `python -m benchmarks.twin_dataset [--seeds N] [--quick] [--json]`.

`armillary simulate` of the tabletop scene as it is by default (128 x 128, one camera, rgb with depth and segmentation, episodes of 50
pictures, each with a layout of its own) against bare rendering: as many processes draw the same pictures of the same states, one after
another, and do nothing else. The states were simulated before: physics is not in bare rendering, and is in what is written. Labelled
frames a second of both by wall clock, in the same run, and the one as a share of the other.

A worker's start (Python, PyTorch, MuJoCo: seconds, once) is in neither: simulate's clock starts when as many episodes are saved as there
are processes, so that all work for what is counted lies after it, and stops with the last one. Rows of the whole command say what a
dataset as small as this one gives from the call to the closed dataset. Each seed is another dataset and one measurement; the interval is a
bootstrap over them.
"""

import multiprocessing
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from armillary.core import Estimate, bootstrap
from armillary.studies.simulate import simulate
from armillary.worlds.twin.manifest import Manifest
from armillary.worlds.twin.motion import smooth_actions
from armillary.worlds.twin.perform import world_of
from armillary.worlds.twin.record import follow, pictures
from benchmarks.rows import row, run_speed

NAME = "twin_dataset"
SCENE = "tabletop"
PROCESSES = (1, 2)
COUNTED, COUNTED_QUICK = 6, 2  # episodes that the clock sees


def drawing_rate(manifest: Manifest, episodes: range, together) -> float:
    """Frames a second that one process draws of these episodes; it waits at the barrier `together` until the others are ready too."""
    filmed, drawing_s = [], 0.0
    for episode in episodes:
        world = world_of(manifest, episode)
        actions = smooth_actions(world, manifest.steps, manifest.reach, manifest.streams(episode).actions)
        with ThreadPoolExecutor(max_workers=1) as ahead:
            filmed.append((world, list(follow(world, actions, ahead))))
    _draw(manifest, *filmed[0])  # what is only done once
    together.wait()
    for world, states in filmed:
        _draw(manifest, world, states[:1])
        begin = time.perf_counter()
        _draw(manifest, world, states)
        drawing_s += time.perf_counter() - begin
        world.close()
    return len(episodes) * manifest.steps / drawing_s


def _draw(manifest: Manifest, world, states) -> None:
    for state in states:
        pictures(world, state, None, (world.camera.name,), manifest.modalities)


def _work(options: tuple, together, answers) -> None:
    answers.put(drawing_rate(*options, together))


def bare_rate(manifest: Manifest, processes: int) -> float:
    """Frames a second of as many processes together, which draw what `simulate_rates` counts."""
    context = multiprocessing.get_context("spawn")  # a forked process cannot use its parent's OpenGL
    together, answers = context.Barrier(processes), context.Queue()
    shares = [range(first, manifest.episodes, processes) for first in range(processes, 2 * processes)]
    workers = [context.Process(target=_work, args=((manifest, share), together, answers)) for share in shares]
    for worker in workers:
        worker.start()
    rate = sum(answers.get(timeout=300) for _ in workers)
    for worker in workers:
        worker.join()
    return rate


def simulate_rates(manifest: Manifest, processes: int) -> tuple[float, float]:
    """Labelled frames a second once all processes are at work, and of the whole command."""
    saved_s: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        simulate(manifest, Path(folder) / "data", workers=processes, progress=lambda done, total: saved_s.append(time.perf_counter()))
        whole_s = time.perf_counter() - begin
    counted = (manifest.episodes - processes) * manifest.steps
    return counted / (saved_s[-1] - saved_s[processes - 1]), manifest.episodes * manifest.steps / whole_s


def measure(seed: int, counted: int) -> dict[tuple[str, str], float]:
    """Every number of one seed, by subject and metric."""
    found = {}
    for processes in PROCESSES:
        who = f"{processes} process" if processes == 1 else f"{processes} processes"
        manifest = Manifest(scene=SCENE, seed=seed, episodes=processes + counted)
        bare = bare_rate(manifest, processes)
        written, whole = simulate_rates(manifest, processes)
        found[who, "bare rendering"], found[who, "labelled frames written"] = bare, written
        found[who, f"whole command, {manifest.episodes} episodes"] = whole
        found[who, "written as a share of bare"] = written / bare
    return found


def rows(seeds: int, quick: bool) -> list[dict]:
    """Rates and shares of one and of two processes."""
    os.environ.setdefault("LP_NUM_THREADS", "1")  # the software renderer's own threads, where there is no GPU: the processes are enough
    measured = [measure(seed, COUNTED_QUICK if quick else COUNTED) for seed in range(seeds)]
    return [_row(one, bootstrap([each[one] for each in measured]), seeds) for one in measured[0]]


def _row(one: tuple[str, str], estimate: Estimate, seeds: int) -> dict:
    share = "share" in one[1]
    return row(NAME, *one, estimate, seeds=seeds, unit="" if share else "1/s", digits=3 if share else 1)


def main() -> None:
    """Print the rows."""
    run_speed(NAME, __doc__, rows)


if __name__ == "__main__":
    main()
