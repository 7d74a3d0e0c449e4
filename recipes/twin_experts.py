"""What the scripted experts of the twins' tasks can do, judged on randomised starts that they were not developed on.

    python -m recipes.twin_experts [--seeds 3] [--seed K] [--starts 200] [--tasks reach ...] [--workers 2] [--quick] [--json] [--out DIR]

Each start is a task drawn anew (other things, places, sizes, and goals) whose scene the default Randomiser then varies: masses, friction,
restitution, gains, damping, light. Experts were developed on the tasks of the seeds 0 to 199; the starts of seed K are those from
FIRST_SEED * (K + 1) on. Beside the expert two baselines have the same time in the first `--baselines` of the same starts: drives that hold
their targets, and smooth motion between random places (`motion.smooth_actions`). An episode ends when the task is done or its time is up;
one whose physics becomes unstable is a failure. Intervals are Wilson's over the starts of all seeds, bootstrapped for seconds.
What is found of a task and seed is kept under --out and not done again.
"""

import logging
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from armillary.core import Policy, WorldError, bootstrap
from armillary.core.storage import read_json, write_json
from armillary.evaluate.closed_loop_result import wilson
from armillary.studies.processes import in_order
from armillary.worlds.twin.motion import smooth_actions
from armillary.worlds.twin.randomise import Randomiser, randomise
from armillary.worlds.twin.tasks.attempt import attempt
from armillary.worlds.twin.tasks.catalogue import TASKS, draw
from armillary.worlds.twin.tasks.replay import Replay
from armillary.worlds.twin.tasks.task import TaskWorld
from benchmarks.rows import row
from recipes.seeds import begin, run_seeds, study_parser

NAME = "twin_experts"
FIRST_SEED = 1_000_000
EXPERT, IDLE, WANDERING = "expert", "doing nothing", "random smooth motion"
REACH = 1.0  # of half a drive's range, for random motion


def start_of(name: str, seed: int) -> TaskWorld:
    """The world of a task that a seed draws, its physics and its looks drawn anew by the same seed."""
    task, rng = draw(name, seed), np.random.default_rng([seed, 1])
    return TaskWorld(replace(task, scene=randomise(task.scene, Randomiser(), rng)))


def doing_nothing(world: TaskWorld, seed: int) -> Policy:
    """The drives hold their targets."""
    return Replay(world, torch.empty(0, len(world.drives)))


def wandering(world: TaskWorld, seed: int) -> Policy:
    """Smooth motion between random places."""
    steps = round(world.task.time_limit_s / world.spec.seconds_per_step)
    return Replay(world, torch.from_numpy(smooth_actions(world, steps, REACH, np.random.default_rng([seed, 2]))))


def tried(world: TaskWorld, policy: Policy) -> dict:
    """Whether the policy did the world's task, and in how many seconds of it; `problem` says what ended the physics, if anything did."""
    try:
        made = attempt(world, policy)
    except WorldError as error:
        return {"done": False, "seconds": None, "problem": str(error)}
    seconds = round(len(made.actions) * world.spec.seconds_per_step, 6)
    return {"done": made.done, "seconds": seconds if made.done else None, "problem": ""}


def trial(name: str, first_seed: int, baselines: int, number: int) -> dict:
    """What became of one start: words, seed, and by subject what `tried` says."""
    seed = first_seed + number
    world = start_of(name, seed)
    subjects: dict[str, Callable[[], Policy]] = {EXPERT: lambda: TASKS[name].expert(world)}
    if number < baselines:
        subjects |= {IDLE: lambda: doing_nothing(world, seed), WANDERING: lambda: wandering(world, seed)}
    return {"seed": seed, "words": world.task.words, "by": {subject: tried(world, make()) for subject, make in subjects.items()}}


def judge(seed: int, options: Namespace, out: Path) -> Mapping:
    """Every start of every task, by one seed."""
    starts, baselines, workers = (2, 1, 1) if options.quick else (options.starts, options.baselines, options.workers)
    found = {}
    for name in options.tasks:
        path = out / f"starts-{name}-{seed}.json"
        if not path.exists():
            work = partial(trial, name, FIRST_SEED * (seed + 1), baselines)
            write_json(path, list(in_order(work, starts, workers)))
        found[name] = read_json(path)
        for one in found[name]:
            if not one["by"][EXPERT]["done"]:
                logging.info("%s: the expert failed from seed %d: %s %s", name, one["seed"], one["words"], one["by"][EXPERT]["problem"])
    return found


def rows(measured: Sequence[Mapping]) -> list[dict]:
    """For each task the share of starts that each subject did, and the seconds that it took where it did."""
    table, seeds = [], len(measured)
    for name in measured[0]:
        for subject in (EXPERT, IDLE, WANDERING):
            outcomes = [one["by"][subject] for found in measured for one in found[name] if subject in one["by"]]
            if outcomes:
                share = wilson(sum(one["done"] for one in outcomes), len(outcomes))
                table.append(row(NAME, f"{name}, {subject}", "success", share, seeds=seeds, unit="share of starts"))
            seconds = [one["seconds"] for one in outcomes if one["done"]]
            if seconds and subject == EXPERT:
                table.append(row(NAME, f"{name}, {subject}", "simulated_seconds_to_success", bootstrap(seconds), seeds=seeds, unit="s"))
    return table


def main() -> None:
    """Print the rows."""
    arguments = study_parser(NAME, __doc__)
    arguments.add_argument("--starts", type=int, default=200, help="of each task and seed (default 200)")
    arguments.add_argument("--baselines", type=int, default=50, help="of these starts, how many the baselines try too (default 50)")
    arguments.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS), help="default: all")
    arguments.add_argument("--workers", type=int, default=2, help="processes (default 2)")
    options = begin(arguments)
    words = f"--starts {options.starts} --baselines {options.baselines} --tasks {' '.join(options.tasks)}"
    notes = [
        f"the default Randomiser varies every start; baselines have the first {options.baselines} starts of each seed",
        "success wanted of the experts: reach 0.99, grasp 0.95, pick_place, push and drawer 0.90",
    ]
    kept = f"found-{'-'.join(options.tasks)}"
    run_seeds(
        NAME, options, judge, rows, kept=kept, room=f"{options.starts}-starts-{options.baselines}-baselines", words=words, notes=notes
    )


if __name__ == "__main__":
    main()
