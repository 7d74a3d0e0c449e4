"""What each regulariser of the end-to-end JEPA is worth: one removed at a time, and the goals that are then reached.

    python -m recipes.regulariser_ablation [--seeds N] [--seed K ...] [--out DIR] [--quick] [--json]

Two rooms with walls and doors that no recording holds, the recordings, settings, tasks and planner of recipes.goal_reaching (whose runs are
used where its --out holds them), three seeds. "fall" is what the success of the whole loss loses on the very same tasks, with
an interval over seeds and episodes together. Beside it stands the effective rank of the embeddings at the end of training, and random
actions.
"""

import logging
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from armillary.core import bootstrap
from armillary.core.storage import read_json, write_json
from armillary.evaluate.closed_loop import ClosedLoopProtocol, random_subject, run_closed_loop
from armillary.evaluate.closed_loop_result import success_over_seeds
from armillary.studies.layout import build_env, read_layout
from armillary.studies.plan import learned_subject, plan_settings
from armillary.train.run import RunFolder
from benchmarks.rows import parser, publish, row, timed
from recipes import goal_reaching
from recipes.goal_reaching import QUICK, TASKS, WORLD, Task, learned
from recipes.intervals import over_seeds_and_episodes

NAME = "regulariser_ablation"
TASK = "two-rooms-random"
WHOLE = "whole loss"
REMOVED = {f"without {name}": {f"model.{name}-weight": "0"} for name in ("variance", "covariance", "similarity", "inverse")}

logger = logging.getLogger(NAME)


def judge(task: Task, seed: int, out: Path, episodes: int) -> Mapping[str, Mapping]:
    """Of each form of the loss: which tasks were solved, and the effective rank at the end."""
    kept = out / f"ablation-{seed}.json"
    if kept.exists():
        return read_json(kept)
    settings = plan_settings(task.planner, task.plan)
    env = build_env(task.env, show_goal=False)
    protocol = ClosedLoopProtocol(episodes=episodes, seed=seed)
    tasks = protocol.tasks(env, read_layout(env, task.layout))
    subjects, ranks = [], {}
    for name, words in {WHOLE: {}, **REMOVED}.items():
        run = learned(
            WORLD, task, seed, out, {**task.model, **words}, folder=f"{WORLD}{'' if name == WHOLE else '-'.join(['', *name.split()])}"
        )
        subjects.append(replace(learned_subject(run, task.planner, settings, env), name=name))
        ranks[name] = RunFolder.open(run.path).metrics()[-1]["effective_rank"]
    result = run_closed_loop(tasks, [*subjects, random_subject()], protocol)
    found = {name: {"solved": outcome.solved.tolist(), "rank": ranks.get(name)} for name, outcome in result.outcomes.items()}
    write_json(kept, found)
    return found


def rows(outcomes: list[Mapping[str, Mapping]]) -> list[dict]:
    """Success, how far it fell, and the rank."""
    found, seeds = [], len(outcomes)
    solved = {name: np.array([one[name]["solved"] for one in outcomes], dtype=float) for name in outcomes[0]}
    for name, values in solved.items():
        found.append(row(NAME, name, "success", success_over_seeds([one > 0 for one in values]), seeds=seeds))
        if name in REMOVED:
            found.append(row(NAME, name, "fall", over_seeds_and_episodes(solved[WHOLE] - values), seeds=seeds))
        if outcomes[0][name]["rank"] is not None:
            found.append(row(NAME, name, "effective rank", bootstrap([one[name]["rank"] for one in outcomes]), seeds=seeds, digits=1))
    return found


def main() -> None:
    """Train what is missing, act, print the rows."""
    arguments = parser(f"recipes.{NAME}", __doc__.splitlines()[0])
    arguments.add_argument("--episodes", type=int, default=100, help="tasks a seed (default 100)")
    arguments.add_argument(
        "--out", type=Path, default=Path("runs") / goal_reaching.NAME, help="where recordings, runs and outcomes are kept"
    )
    arguments.add_argument("--seed", type=int, nargs="*", help="only do the work of these seeds (to share it among processes)")
    options = arguments.parse_args()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    task, out = (QUICK, options.out / "quick") if options.quick else (TASKS[TASK], options.out / TASK)
    seeds, episodes = (1, 4) if options.quick else (options.seeds, options.episodes)
    if options.seed is not None:
        for seed in options.seed:
            judge(task, seed, out, episodes)
        return
    earlier = any((out / f"ablation-{seed}.json").exists() for seed in range(seeds))
    with timed() as wall:
        outcomes = [judge(task, seed, out, episodes) for seed in range(seeds)]
    publish(NAME, rows(outcomes), options, command=f"python -m recipes.{NAME}", wall_s=None if earlier else wall["s"])


if __name__ == "__main__":
    main()
