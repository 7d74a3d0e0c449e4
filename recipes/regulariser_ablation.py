"""What each regulariser of the end-to-end JEPA is worth: one removed at a time, and the goals that are then reached.

    python -m recipes.regulariser_ablation [--seeds N] [--seed K ...] [--out DIR] [--quick] [--json]

Two rooms with walls and doors that no recording holds, the recordings, settings, tasks and planner of recipes.goal_reaching (whose runs are
used where its --out holds them), three seeds. "fall" is what the success of the whole loss loses on the very same tasks, with
an interval over seeds and episodes together. Beside it stands the effective rank of the embeddings at the end of training, and random
actions.
"""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from armillary.core import bootstrap
from armillary.evaluate.closed_loop import ClosedLoopProtocol, random_subject, run_closed_loop
from armillary.evaluate.closed_loop_result import success_over_seeds
from armillary.studies.layout import build_env, read_layout
from armillary.studies.plan import learned_subject, plan_settings
from armillary.train.run import RunFolder
from benchmarks.rows import row
from recipes import goal_reaching
from recipes.goal_reaching import QUICK, TASKS, WORLD, learned
from recipes.intervals import over_seeds_and_episodes
from recipes.seeds import begin, run_seeds, study_parser

NAME = "regulariser_ablation"
TASK = "two-rooms-random"
WHOLE = "whole loss"
REMOVED = {f"without {name}": {f"model.{name}-weight": "0"} for name in ("variance", "covariance", "similarity", "inverse")}


def judge(seed: int, options: Namespace, out: Path) -> Mapping[str, Mapping]:
    """Of each form of the loss: which tasks were solved, and the effective rank at the end."""
    task, episodes = (QUICK, 4) if options.quick else (TASKS[TASK], options.episodes)
    settings = plan_settings(task.planner, task.plan)
    env = build_env(task.env, show_goal=False)
    protocol = ClosedLoopProtocol(episodes=episodes, seed=seed)
    tasks = protocol.tasks(env, read_layout(env, task.layout))
    subjects, ranks = [], {}
    for name, words in {WHOLE: {}, **REMOVED}.items():
        run = learned(WORLD, task, seed, out, words, folder=f"{WORLD}{'' if name == WHOLE else '-'.join(['', *name.split()])}")
        subjects.append(replace(learned_subject(run, task.planner, settings, env), name=name))
        ranks[name] = RunFolder.open(run.path).metrics()[-1]["effective_rank"]
    result = run_closed_loop(tasks, [*subjects, random_subject()], protocol)
    return {name: {"solved": outcome.solved.tolist(), "rank": ranks.get(name)} for name, outcome in result.outcomes.items()}


def rows(outcomes: Sequence[Mapping[str, Mapping]]) -> list[dict]:
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
    arguments = study_parser(NAME, __doc__, out=Path("runs") / goal_reaching.NAME)
    arguments.add_argument("--episodes", type=int, default=100, help="tasks a seed (default 100)")
    run_seeds(NAME, begin(arguments), judge, rows, kept="ablation", room=TASK)


if __name__ == "__main__":
    main()
