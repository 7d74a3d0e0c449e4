"""Planning offline on a real humanoid: is the true action's energy low, and is the planned action the true one?

    python -m recipes.offline_planning [--data PATH] [--world WORLD] [--seeds N] [--seed K ...] [--out DIR] [--quick] [--json]

The worlds are those of recipes.g1_action_conditioned (trained now unless its --out holds them), the protocol is that of
`armillary.evaluate.offline_planning`: goals are the pictures 0.5 s later in held-out episodes, energies the L1 distance of latents.
A command is 26 numbers, thirty times a second. Random ones are 200 a moment, as large as the true ones. CEM plans the straight way.
Intervals are bootstrapped over held-out episodes and seeds together.
"""

import logging
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from armillary.core import seeded
from armillary.evaluate.offline_planning import Moments, command_error, planned_commands, random_changes, share_dearer
from armillary.planning.cem import CEM, CEMConfig
from armillary.planning.objectives import GoalImage
from armillary.studies.runs import LoadedRun, held_out
from benchmarks.rows import row
from recipes.g1_worlds import OUT, Windows, add_arguments, learned, prompt, run_study, windows
from recipes.intervals import over_seeds_and_episodes
from recipes.seeds import begin, study_parser

NAME = "offline_planning"
RANDOM_ACTIONS = 200
MOMENTS_EVERY = 4  # of the windows, which begin every third step
# Its deviation is in halves of a range of ten deviations of the data: 0.06 is 0.3 of one. The mean of many elites is calm where the
# energy is flat.
PLANNER = CEMConfig(horizon=1, samples=256, elites=48, iterations=5, initial_std=0.06, answer="mean", max_rows=1024)
EFFORT = 1.0  # chosen on episodes 33 to 42 (docs/LOG.md)
SHARE, ERROR = "random actions dearer than the true one", "error of the commands"

logger = logging.getLogger(NAME)


def judge(seed: int, options: Namespace, out: Path) -> Mapping[str, list]:
    """The mean of each held-out episode: share of dearer random actions, and errors of the planned, the zero and the mean action."""
    run, _ = learned(seed, options, out, ["python", "-m", f"recipes.{NAME}"])
    logger.info("seed %d: planning", seed)
    held = held_out(run, options.data)
    episodes = windows(held.episodes[:1] if options.quick else held.episodes, run.camera)
    every = 30 if options.quick else MOMENTS_EVERY
    found = [judged(run, one, torch.arange(0, len(one["state"]), every), seed) for one in episodes]
    return {name: [one[name] for one in found] for name in found[0]}


@torch.no_grad()
def judged(run: LoadedRun, one: Windows, part: torch.Tensor, seed: int) -> dict[str, float]:
    """One episode."""
    world, rng = run.world, seeded(seed)
    size = one["actions"].shape[2] // run.stride
    commands, before = (numbers[part].unflatten(2, (-1, size)).flatten(1, 2) for numbers in (one["actions"], one["between"]))
    moments = Moments(world.start(prompt(one, part), rng), commands, before[:, -1])
    mean, std = world.standardise.mean[-size:], world.standardise.std[-size:]
    energy = GoalImage(world, one["then"][part], rng, distance="l1", steps="final")
    others = random_changes(moments.commands, moments.last, std, RANDOM_ACTIONS, rng)
    given = {
        "planned": planned_commands(world, moments, energy, CEM(PLANNER), rng, effort=EFFORT, std=std),
        "zero action": moments.last[:, None].expand_as(commands),
        "mean action": mean.expand_as(commands),
    }
    found = {name: float(command_error(one, moments, std).mean()) for name, one in given.items()}
    return found | {SHARE: float(share_dearer(world, moments, energy, others, rng).mean())}


def rows(title: str, found: Sequence[Mapping[str, list]]) -> list[dict]:
    """The table, with how much less the planned command's error is than each of the others'."""
    seeds = len(found)
    stacked = {name: np.array([one[name] for one in found]) for name in found[0]}
    table = [row(title, "model", SHARE, over_seeds_and_episodes(stacked.pop(SHARE)), seeds=seeds)]
    for name, values in stacked.items():
        table.append(row(title, name, ERROR, over_seeds_and_episodes(values), seeds=seeds, unit="deviations"))
    for name in ("zero action", "mean action"):
        less = over_seeds_and_episodes(stacked[name] - stacked["planned"])
        table.append(row(title, "planned", f"less error than {name}", less, seeds=seeds, unit="deviations"))
    return table


def main() -> None:
    """Train what is missing, plan, print the rows."""
    options = begin(add_arguments(study_parser(NAME, __doc__, out=OUT)))
    run_study(NAME, options, judge, rows, kept="planning")


if __name__ == "__main__":
    main()
