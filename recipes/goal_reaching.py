"""Goals given as pictures: planning on latents learned from pixels, beside its rivals and its ceiling.

    python -m recipes.goal_reaching [TASK ...] [--seeds N] [--seed K ...] [--out DIR] [--quick] [--json]

A TASK is two-rooms-fixed, two-rooms-random (walls and doors that no recording holds) or pusher; all three by default. Each
seed records its own episodes of the world without goal marks, trains the end-to-end JEPA, goal-conditioned cloning and inverse
dynamics on that JEPA's frozen latents, one thread each, and lets them do the same held-out tasks (protocol:
`armillary.evaluate.closed_loop`) beside random actions, the scripted expert and the same planner with the true world. Rows:
success over all tasks of all seeds. Finished parts are kept under --out and not done again.
"""

import logging
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from armillary.core import bootstrap
from armillary.core.settings import override
from armillary.evaluate.closed_loop import ClosedLoopProtocol, expert_subject, random_subject, run_closed_loop
from armillary.evaluate.closed_loop_result import success_over_seeds
from armillary.studies.fit import family_module
from armillary.studies.layout import build_env, read_layout
from armillary.studies.plan import learned_subject, plan_settings, simulator_subject
from armillary.studies.recording import Recording, record
from armillary.studies.runs import LoadedRun
from benchmarks.rows import row
from recipes.seeds import begin, run_seeds, study_parser
from recipes.training import processor_seconds, trained

NAME = "goal_reaching"
WORLD, CLONING, INVERSE = "jepa", "goal-cloning", "inverse-dynamics"

logger = logging.getLogger(NAME)


@dataclass(frozen=True, kw_only=True)
class Task:
    """A world, what is recorded of it, what is trained on that, and how it is planned with. Settings are words as on a command line.

    The best weights by validation are judged; those of cloning stop getting better after some 500 steps.
    """

    env: str
    layout: Mapping[str, str] = field(default_factory=dict)
    recorded: int = 400
    steps: Mapping[str, int] = field(default_factory=lambda: {WORLD: 3000, CLONING: 1000, INVERSE: 1000})
    preset: str = "default"  # of the world
    planner: str = "icem"
    plan: Mapping[str, str] = field(default_factory=dict)


FAR = {"planner.horizon": "30"}  # three seconds: round by the door
TASKS = {
    "two-rooms-fixed": Task(env="two-rooms", plan=FAR),
    "two-rooms-random": Task(env="two-rooms", layout={"wall-x-m": "random", "door-y-m": "random"}, plan=FAR),
    "pusher": Task(env="pusher", preset="manipulation"),
}
QUICK_PLAN = {"planner.samples": "30", "planner.iterations": "1"}
QUICK = Task(env="two-rooms", recorded=6, steps={WORLD: 5, CLONING: 5, INVERSE: 5}, plan=QUICK_PLAN)


def recordings(task: Task, seed: int, out: Path) -> Path:
    """The dataset of one seed, recorded now unless it was before."""
    folder = out / f"data-{seed}"
    if not (folder / "meta" / "info.json").exists():
        record(Recording(env=task.env, num_episodes=task.recorded, seed=seed, show_goal=False, layout=task.layout), folder)
    return folder


def learned(family: str, task: Task, seed: int, out: Path, settings: Mapping[str, str], folder: str = "") -> LoadedRun:
    """The finished run of one family and seed, in a folder named after the family unless another name is given."""
    steps = {"train.steps": str(task.steps[family]), "train.checkpoint-every": "500"}
    words = {"train.seed": str(seed), "train.workers": "0", "train.precision": "bf16", **steps, **settings}
    presets = family_module(family).PRESETS
    config = override(presets[task.preset if family == WORLD else "default"], words)
    logger.info("seed %d: %s", seed, family)
    replay = ["python", "-m", f"recipes.{NAME}", "--seed", str(seed)]
    return trained(family, config, data=recordings(task, seed, out), folder=out / f"{folder or family}-{seed}", replay=replay)


def judge(name: str, seed: int, options: Namespace, out: Path) -> Mapping[str, Mapping]:
    """What every subject of one seed did: whether it solved each task, how far it ended, and how long an action took."""
    task, episodes = (QUICK, 4) if options.quick else (TASKS[name], options.episodes)
    world = learned(WORLD, task, seed, out, {})
    cloning = learned(CLONING, task, seed, out, {})
    inverse = learned(INVERSE, task, seed, out, {"model.world": str(world.path)})
    settings = plan_settings(task.planner, task.plan)
    env = build_env(task.env, show_goal=False)
    protocol = ClosedLoopProtocol(episodes=episodes, seed=seed)
    tasks = protocol.tasks(env, read_layout(env, task.layout))
    subjects = [learned_subject(run, task.planner, settings, env) for run in (world, cloning, inverse)]
    subjects += [random_subject(), expert_subject(), simulator_subject(task.planner, settings)]
    logger.info("seed %d: %d tasks, %d subjects", seed, episodes, len(subjects))
    result = run_closed_loop(tasks, subjects, protocol)
    found = {
        name: {
            "solved": outcome.solved.tolist(),
            "distance_m": outcome.final_distance_m.tolist(),
            "seconds_an_action": float(np.median(outcome.seconds_alone)),
        }
        for name, outcome in result.outcomes.items()
    }
    for run in (world, cloning, inverse):
        found[run.family]["processor_s"] = processor_seconds(run)
    return found


def rows(name: str, outcomes: Sequence[Mapping[str, Mapping]]) -> list[dict]:
    """Success and final distance over the tasks of all seeds; seconds over seeds."""
    found, seeds = [], len(outcomes)
    for subject in outcomes[0]:
        each = [one[subject] for one in outcomes]
        solved = success_over_seeds([np.asarray(one["solved"]) for one in each])
        found.append(row(name, subject, "success", solved, seeds=seeds))
        distance = bootstrap(np.concatenate([one["distance_m"] for one in each]))
        found.append(row(name, subject, "final distance", distance, seeds=seeds, unit="m"))
        waited = bootstrap([one["seconds_an_action"] for one in each])
        found.append(row(name, subject, "an action", waited, seeds=seeds, unit="s", digits=5))
        if "processor_s" in each[0]:
            seconds = bootstrap([one["processor_s"] for one in each])
            found.append(row(name, subject, "processor time of training", seconds, seeds=seeds, unit="s", digits=0))
    return found


def main() -> None:
    """Record, train, act, print the rows."""
    arguments = study_parser(NAME, __doc__)
    arguments.add_argument("tasks", nargs="*", metavar="TASK", help=f"which world and layout: {', '.join(TASKS)} (default: all)")
    arguments.add_argument("--episodes", type=int, default=100, help="tasks a seed (default 100)")
    options = begin(arguments)
    unknown = [name for name in options.tasks if name not in TASKS]
    if unknown:
        arguments.error(f"there is no task {', '.join(unknown)}; choose from {', '.join(TASKS)}")
    for name in ("quick",) if options.quick else options.tasks or TASKS:
        title = f"{NAME}_{name.replace('-', '_')}"
        run_seeds(NAME, options, partial(judge, name), partial(rows, title), kept="outcomes", room=name, words=name)


if __name__ == "__main__":
    main()
