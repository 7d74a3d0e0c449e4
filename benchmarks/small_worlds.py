"""How fast the small worlds are: `python -m benchmarks.small_worlds [--seeds N] [--quick] [--json]`.

Rows: frames per second of stepping and drawing together (`frames`), of stepping alone (`step`) and of drawing alone (`render`),
64 x 64 pixels, one thread, a batch of 64. A second is one of processor time, so that a busy machine does not count.
Each seed is one measurement; the interval is a bootstrap over them.
"""

import time

import torch

from armillary.core import Prompt, bootstrap, seeded
from armillary.worlds.catalog import SMALL, build_small
from benchmarks.rows import row, run_speed

NAME = "small_worlds"
BATCH_SIZE = 64


def measure(name: str, seed: int, *, seconds: float) -> dict[str, float]:
    """World-steps a second by kind of work, each measured for about `seconds` of processor time."""
    world, rng = build_small(name), seeded(seed)
    space = world.spec.action_space
    space.seed(seed)
    actions = torch.stack([torch.as_tensor(space.sample()) for _ in range(BATCH_SIZE)])
    state = world.start(Prompt(batch_size=BATCH_SIZE, layout={"theme": "random"}), rng)
    found = {}
    for kind in ("frames", "step", "render"):
        count, begin = 0, time.process_time()
        while (elapsed := time.process_time() - begin) < seconds or count == 0:
            if kind != "render":
                state = world.step(state, actions, rng)
            if kind != "step":
                world.render(state)
            count += BATCH_SIZE
        found[kind] = count / elapsed
    return found


def rows(seeds: int, quick: bool) -> list[dict]:
    """One row per world and kind of work."""
    torch.set_num_threads(1)
    found = []
    for name in SMALL:
        measured = [measure(name, seed, seconds=0.2 if quick else 1.0) for seed in range(seeds)]
        for kind in measured[0]:
            found.append(row(NAME, name, kind, bootstrap([one[kind] for one in measured]), seeds=seeds, unit="1/s", digits=0))
    return found


def main() -> None:
    """Print the rows."""
    run_speed(NAME, __doc__, rows)


if __name__ == "__main__":
    main()
