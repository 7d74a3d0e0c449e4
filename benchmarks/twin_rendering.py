"""How fast a twin is drawn: `python -m benchmarks.twin_rendering [--seeds N] [--quick] [--json]`.

The tabletop scene at 128 x 128, by two processes at once; frames a second of both together, by wall clock, so that a busy machine counts.
Rows: rgb in each quality ("fine" is what MuJoCo does by default), depth with segmentation (one drawing gives both), normals on top of
these, and how many times faster than "fine" the others are in the same run. Each seed is another scene and one measurement; the interval
is a bootstrap over them.
"""

import multiprocessing
import os
import time

from armillary.core import Prompt, bootstrap, seeded
from armillary.worlds.twin.quality import QUALITIES
from armillary.worlds.twin.scenes.catalogue import build
from armillary.worlds.twin.world import TwinWorld
from benchmarks.rows import row, run_speed

NAME = "twin_rendering"
SCENE = "tabletop"
PROCESSES = 2
KINDS = {
    "rgb": ("rgb",),
    "depth and segmentation": ("depth", "segmentation"),
    "depth, segmentation and normals": ("depth", "segmentation", "normals"),
}


def measure(seed: int, quality: str, kind: str, seconds: float, together) -> float:
    """Frames a second of one process, which waits at the barrier `together` until the others are ready too."""
    world = TwinWorld(build(SCENE, seed), quality=quality)
    state, camera = world.start(Prompt(), seeded(seed)), world.camera.name
    world.look(state, camera, KINDS[kind])  # what is only done once
    together.wait()
    count, begin = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - begin) < seconds:
        world.look(state, camera, KINDS[kind])
        count += 1
    world.close()
    return count / elapsed


def _work(options: tuple, together, answers) -> None:
    answers.put(measure(*options, together))


def of_all(seed: int, quality: str, kind: str, seconds: float) -> float:
    """Frames a second of PROCESSES processes together."""
    context = multiprocessing.get_context("spawn")  # a forked process cannot use its parent's OpenGL
    together, answers = context.Barrier(PROCESSES), context.Queue()
    workers = [context.Process(target=_work, args=((seed, quality, kind, seconds), together, answers)) for _ in range(PROCESSES)]
    for worker in workers:
        worker.start()
    rate = sum(answers.get(timeout=300) for _ in workers)
    for worker in workers:
        worker.join()
    return rate


def rows(seeds: int, quick: bool) -> list[dict]:
    """One row per quality and kind of picture, and the ratios."""
    os.environ.setdefault("LP_NUM_THREADS", "1")  # the software renderer's own threads, where there is no GPU: the processes are enough
    seconds = 0.5 if quick else 3.0
    asked = [(quality, "rgb") for quality in QUALITIES] + [("fast", kind) for kind in KINDS if kind != "rgb"]
    measured = [{one: of_all(seed, *one, seconds) for one in asked} for seed in range(seeds)]
    found = [
        row(NAME, quality, kind, bootstrap([one[quality, kind] for one in measured]), seeds=seeds, unit="1/s", digits=1)
        for quality, kind in asked
    ]
    for quality in QUALITIES:
        if quality != "fine":
            ratios = bootstrap([one[quality, "rgb"] / one["fine", "rgb"] for one in measured])
            found.append(row(NAME, quality, "rgb, times as fast as MuJoCo's defaults", ratios, seeds=seeds, digits=2))
    return found


def main() -> None:
    """Print the rows."""
    run_speed(NAME, __doc__, rows)


if __name__ == "__main__":
    main()
