"""Ten demonstrations become hundreds: how many of the carried-over ones succeed in simulation?

    python -m recipes.twin_mimic [--seeds 3] [--seed K] [--tasks grasp pick_place] [--successes 500] [--quick] [--json] [--out DIR]

For each seed and task the expert shows DEMONSTRATIONS tasks. Every try takes one of them in turn, puts its things elsewhere, draws masses,
friction, gains and light anew (the default Randomiser), and carries the demonstration over (`worlds/twin/tasks/mimic.py`); what does not
succeed is thrown away. It ends at `--successes` a seed, or after four times as many tries. The yield is the share of tries that succeeded.
The trivial baseline plays the demonstration's own actions again in the first BASELINE of the same tries.
"""

from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from armillary.core import Policy
from armillary.core.storage import read_json, write_json
from armillary.evaluate.closed_loop_result import wilson
from armillary.worlds.twin.randomise import Randomiser, randomise
from armillary.worlds.twin.tasks.attempt import Attempt, attempt
from armillary.worlds.twin.tasks.catalogue import TASKS, draw
from armillary.worlds.twin.tasks.mimic import Demonstration, demonstration, plan_mimic
from armillary.worlds.twin.tasks.moves import HandExpert
from armillary.worlds.twin.tasks.replay import Replay
from armillary.worlds.twin.tasks.task import Task, TaskWorld
from benchmarks.rows import row
from recipes.seeds import begin, run_seeds, study_parser

NAME = "twin_mimic"
DEMONSTRATIONS = 10
BASELINE = 30  # tries of the baseline
TRIES = 4  # for each success that is wanted, at most
FIRST_SEED = 2_000_000  # of the tasks that are shown; nothing was developed on them


def shown(name: str, seed: int, count: int) -> tuple[list[tuple[Task, Demonstration, Attempt]], int]:
    """The expert's first `count` successes, and how often it tried."""
    found, tried = [], 0
    while len(found) < count:
        task = draw(name, FIRST_SEED * (1 + seed) + tried)
        tried += 1
        world = TaskWorld(task)
        made = attempt(world, TASKS[name].expert(world))
        if made.done:
            found.append((task, demonstration(world, made), made))
    return found, tried


def elsewhere(sources: Sequence[tuple[Task, Demonstration, Attempt]], seed: int) -> Iterator[tuple[TaskWorld, Demonstration, Attempt]]:
    """Each source in turn, its things standing elsewhere, its physics and looks drawn anew."""
    number = 0
    while True:
        rng = np.random.default_rng([seed, number])
        task, parts, made = sources[number % len(sources)]
        moved = task.rearranged(rng)
        yield TaskWorld(replace(moved, scene=randomise(moved.scene, Randomiser(), rng))), parts, made
        number += 1


def carrier(world: TaskWorld, parts: Demonstration) -> Policy:
    """Who carries a demonstration over."""
    return HandExpert(world, partial(plan_mimic, parts, world.task))


def judge(seed: int, options: Namespace, out: Path) -> Mapping:
    """Successes and tries of every task, by one seed; what is found of a task is kept."""
    found = {}
    for name in options.tasks[:1] if options.quick else options.tasks:
        path = out / f"{name}-{seed}.json"
        if not path.exists():
            write_json(path, multiplied(name, seed, *((2, 2, 2) if options.quick else (DEMONSTRATIONS, options.successes, BASELINE))))
        found[name] = read_json(path)
    return found


def multiplied(name: str, seed: int, count: int, wanted: int, baseline: int) -> dict[str, int]:
    """How often `count` demonstrations had to be carried over for `wanted` successes, and how the baseline did."""
    sources, asked = shown(name, seed, count)
    good = tried = again = 0
    for world, parts, made in elsewhere(sources, seed):
        good += attempt(world, carrier(world, parts), within_s=parts.enough_s).done
        if tried < baseline:
            again += attempt(world, Replay(world, made.actions), within_s=parts.enough_s).done
        tried += 1
        if good == wanted or tried == TRIES * wanted:
            break
    return {"successes": good, "tries": tried, "again": again, "baseline": min(baseline, tried), "asked": asked, "shown": count}


def rows(measured: Sequence[Mapping]) -> list[dict]:
    """For each task the yield, the baseline, and how many successes a seed gave at least."""
    table, seeds = [], len(measured)
    for name in measured[0]:
        total = {key: sum(one[name][key] for one in measured) for key in measured[0][name]}
        least = min(one[name]["successes"] for one in measured)
        share = wilson(total["successes"], total["tries"])
        table.append(row(NAME, f"{name}, carried over", "yield", share, seeds=seeds, unit="share of tries"))
        table.append(
            row(NAME, f"{name}, same actions again", "yield", wilson(total["again"], total["baseline"]), seeds=seeds, unit="share of tries")
        )
        fewest = replace(share, value=least, low=least, high=max(one[name]["successes"] for one in measured), n=seeds)
        table.append(
            row(NAME, f"{name}, carried over", "successes_of_ten_demonstrations", fewest, seeds=seeds, unit="fewest, and most of a seed")
        )
    return table


def main() -> None:
    """Print the rows."""
    arguments = study_parser(NAME, __doc__)
    arguments.add_argument("--tasks", nargs="+", default=["grasp", "pick_place"], help="tasks with stages (default: grasp pick_place)")
    arguments.add_argument("--successes", type=int, default=500, help="wanted of each seed and task (default 500)")
    options = begin(arguments)
    words = f"--tasks {' '.join(options.tasks)} --successes {options.successes}"
    kept = f"found-{'-'.join(options.tasks)}"
    notes = [f"each seed's {DEMONSTRATIONS} demonstrations are its expert's first successes; every try has its things elsewhere"]
    run_seeds(NAME, options, judge, rows, kept=kept, room=f"{options.successes}-successes", words=words, notes=notes)


if __name__ == "__main__":
    main()
