"""armillary plan RUN --env ENV: a run acts towards goal pictures, beside random actions and planning with the truth."""

from argparse import Namespace

from armillary.cli import options as shared
from armillary.cli.console import Console

_EPILOG = """A run of a world (jepa) is planned with; a run of a policy (goal-cloning, inverse-dynamics) acts as it is.
Settings: --layout.wall-x-m random --planner.samples 200 --planner.horizon 20 --policy.execute 2 --objective.distance l2
--json prints {"rows": [{"metric", "subject", "value", "low", "high", "n"}], ...}; DIR/rows.json has every episode too.
With --goal PATH.png only the distance to that picture is known, not success."""


def add(verbs) -> None:
    """Declare the verb."""
    parser = shared.new_verb(
        verbs, "plan", run, "let a run act towards goals, beside random and the simulator", takes_settings=True, epilog=_EPILOG
    )
    parser.add_argument("run_folder", metavar="RUN", help="the folder that train --out made")
    parser.add_argument("--env", required=True, metavar="NAME", help="two-rooms or pusher")
    parser.add_argument("--goal", default="random", metavar="GOAL", help="random (one for each episode) or a picture's path")
    parser.add_argument("--planner", default="icem", metavar="NAME", help="icem, mppi, cem, gradient or random-shooting (default: icem)")
    parser.add_argument("--episodes", type=int, default=50, metavar="N", help="how many tasks (default: 50)")
    parser.add_argument("--steps", type=int, default=0, metavar="N", help="actions an episode (default: two-rooms 50, pusher 100)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="draws the tasks and the noise; never a recording's")
    parser.add_argument("--out", metavar="DIR", help="where rows.json and episodes.mp4 go (default: RUN/plan-NAME)")
    parser.add_argument("--no-simulator", action="store_true", help="leave out planning with the truth, which takes longest")
    parser.add_argument("--goal-mark", default="auto", metavar="WHEN", help="draw the goal: yes, no or auto (as in the recordings)")
    parser.add_argument("--weights", choices=("best", "latest"), default="best", help="which checkpoint (default: best)")


def run(options: Namespace, console: Console) -> int:
    """Check, act, and print what was found."""
    from pathlib import Path

    from armillary.evaluate.closed_loop import ClosedLoopProtocol
    from armillary.studies.plan import PlanJob, prepare, run_plan

    job = PlanJob(
        run=options.run_folder,
        env=options.env,
        goal=options.goal,
        planner=options.planner,
        settings=options.settings,
        protocol=ClosedLoopProtocol(episodes=options.episodes, max_steps=options.steps, seed=options.seed),
        simulator=not options.no_simulator,
        goal_mark=options.goal_mark,
        weights=options.weights,
    )
    prepared = prepare(job)
    about = prepared.to_json()
    out = Path(options.out or Path(options.run_folder) / f"plan-{options.env}")
    if options.dry_run:
        who = ", ".join(about["subjects"])
        text = f"would let {who} act in {about['episodes']} episodes of {about['steps']} steps of {options.env}, and write {out}"
        console.result(about | {"out": str(out)}, text)
        return 0

    def on_step(name: str, done: int, total: int) -> None:
        console.progress(f"acting  {name}  step {done}/{total}")

    result = run_plan(prepared, out, replay=options.replay, on_step=on_step)
    rows = result.rows()
    console.result(about | {"out": str(out), "rows": rows}, f"{table(rows, options.goal)}\n{out / 'episodes.mp4'}")
    return 0


def table(rows: list[dict], goal: str) -> str:
    """A line for each subject, a column for each metric."""
    metrics = list(dict.fromkeys(row["metric"] for row in rows))
    subjects = list(dict.fromkeys(row["subject"] for row in rows))
    cells = {(row["subject"], row["metric"]): _cell(row) for row in rows}
    lines = [f"{'subject':<18}" + "".join(f"{_HEADS.get(metric, metric):>28}" for metric in metrics)]
    lines += [f"{subject:<18}" + "".join(f"{cells[subject, metric]:>28}" for metric in metrics) for subject in subjects]
    episodes = rows[0]["n"]  # of success or closeness; the n of seconds counts blocks of actions
    if goal == "random":
        lines.append(f"{episodes} tasks; success at any time, 95 % intervals (Wilson; distance: bootstrap)")
    else:
        lines.append(
            f"{episodes} episodes towards one picture: whether it was reached cannot be judged, only how far the pictures are apart"
        )
    return "\n".join(lines)


_HEADS = {
    "success": "success, %",
    "final_distance_m": "final distance, m",
    "distance_to_goal_picture_start": "distance at the start",
    "distance_to_goal_picture_end": "distance at the end",
    "seconds_an_action": "ms an action, alone",
    "seconds_an_action_in_batch": "ms an action, in batch",
}


def _cell(row: dict) -> str:
    if row["metric"].startswith("seconds"):
        return f"{1000 * row['value']:.2f}"
    if row["metric"] == "success":
        return f"{100 * row['value']:.0f} [{100 * row['low']:.0f}, {100 * row['high']:.0f}]"
    return f"{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"
