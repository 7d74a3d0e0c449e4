"""A real humanoid's latents: what those foreseen from its actions say of the right arm half a second later.

    python -m recipes.g1_action_conditioned [--data PATH] [--world WORLD] [--seeds N] [--seed K ...] [--out DIR] [--quick] [--json]

The last fifth of the episodes is held out. Each seed trains an action-conditioned world on the others. WORLD is jepa (the default: end
to end from pixels; its latents learn to tell the robot's state, which is asked for in training alone) or vjepa2-ac (a small V-JEPA 2 and
the action-conditioned predictor on its frozen tokens; its rows are not in the table). A ridge probe from latents of true pictures to the
seven joints of the right arm is fitted on training episodes (the last tenth of them chooses its penalty). Then, on held-out episodes,
the probe reads latents that were foreseen five steps (0.5 s) ahead from two pictures and the actions done (vjepa2-ac starts from
the robot's state as well). Beside it: another episode's actions, both read by a probe that is fitted on foreseen latents instead (of
training episodes as well), the latents of now, the true latents of then, and ridge regressions of the true state with and without the
actions. R2 is about the mean of the training data; intervals are bootstrapped over held-out episodes and seeds together.
"""

import logging
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from armillary.core import Estimate, seeded
from armillary.evaluate.linear_probe import LinearProbe, fit_linear_probe
from armillary.studies.runs import LoadedRun, held_out
from benchmarks.rows import row
from recipes.g1_worlds import AT_ONCE, JEPA, OUT, Windows, add_arguments, learned, prompt, recipe, run_study, windows
from recipes.intervals import r2_over_seeds_and_episodes
from recipes.seeds import begin, study_parser

NAME, FAMILY = "g1_action_conditioned", JEPA
RIGHT_ARM = slice(7, 14)  # kRightShoulderPitch to kRightWristYaw in the dataset's state

logger = logging.getLogger(NAME)


def settings():
    """What `armillary cost g1_action_conditioned` tells the cost of."""
    return recipe(FAMILY, 0, quick=False)


def arm(one: Windows) -> Float[Tensor, "n 7"]:
    """The right arm's joints at the end of each window."""
    return one["then_state"][:, RIGHT_ARM]


@torch.no_grad()
def foreseen(world, one: Windows, actions: Tensor) -> Float[Tensor, "n e"]:
    """Latents after `actions`, from the pictures, the action between them and, where the world takes it, the state."""
    found = []
    for part in torch.arange(len(actions)).split(AT_ONCE):
        rng = seeded(0)
        found.append(world.embed(world.rollout(world.start(prompt(one, part), rng), actions[part], rng)[-1]))
    return torch.cat(found)


@torch.no_grad()
def encoded(world, pictures: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n e"]:
    """Latents of real pictures."""
    return torch.cat([world.encode(part[:, None]).flatten(1) for part in pictures.split(AT_ONCE)])


def judge(seed: int, options: Namespace, out: Path) -> Mapping[str, list]:
    """Squared errors and squared distances from the mean, by subject and held-out episode, and the seconds that training took."""
    run, seconds = learned(seed, options, out, ["python", "-m", f"recipes.{NAME}"])
    logger.info("seed %d: probing", seed)
    found = errors(run, options.data, seed)
    found["seconds"] = [seconds]
    return found


def errors(run: LoadedRun, data: Path, seed: int) -> dict[str, list]:
    """[squared error, squared distance from the mean] of every subject in every held-out episode."""
    held = held_out(run, data)
    training, test = windows(held.training, run.camera), windows(held.episodes, run.camera)
    many = max(len(training) // 10, 1)
    fitted, aside = training[:-many], training[-many:]
    shuffle = np.random.default_rng(seed)

    def join(parts: Sequence[Windows], features) -> Tensor:
        return torch.cat([features(one) for one in parts])

    def probe(features) -> LinearProbe:
        given = [(join(parts, features), join(parts, arm)) for parts in (fitted, aside)]
        return fit_linear_probe(*given[0], given[1])

    def others(index: int, one: Windows) -> Tensor:
        """The actions of windows of other held-out episodes."""
        pool = torch.cat([another["actions"] for number, another in enumerate(test) if number != index])
        return pool[torch.from_numpy(shuffle.permutation(len(pool))[: len(one["actions"])])]

    then, state = probe(lambda one: encoded(run.world, one["then"])), lambda one: one["state"]
    acted = lambda one: torch.cat([one["state"], one["actions"].flatten(1)], dim=1)  # noqa: E731
    from_state, from_both = probe(state), probe(acted)
    own = probe(lambda one: foreseen(run.world, one, one["actions"]))
    told = {
        "model": lambda index, one: then.read(foreseen(run.world, one, one["actions"])),
        "shuffled_actions": lambda index, one: then.read(foreseen(run.world, one, others(index, one))),
        "model, probe of foreseen latents": lambda index, one: own.read(foreseen(run.world, one, one["actions"])),
        "shuffled_actions, probe of foreseen latents": lambda index, one: own.read(foreseen(run.world, one, others(index, one))),
        "latents of now": lambda index, one: then.read(encoded(run.world, one["frames"][:, -1])),
        "true latents of then": lambda index, one: then.read(encoded(run.world, one["then"])),
        "ridge on state": lambda index, one: from_state.read(state(one)),
        "ridge on state and actions": lambda index, one: from_both.read(acted(one)),
    }
    spread = [float((arm(one).double() - then.target_mean).square().sum()) for one in test]
    found = {}
    for name, tell in told.items():
        error = [float((tell(index, one) - arm(one).double()).square().sum()) for index, one in enumerate(test)]
        found[name] = [error, spread]
    return found


def rows(name: str, found: Sequence[Mapping[str, list]]) -> list[dict]:
    """The table."""
    metric, seeds = "R2 of the right arm +0.5 s", len(found)
    table = []
    for subject in found[0]:
        values = np.array([one[subject] for one in found])
        if subject == "seconds":
            seconds = Estimate(value=float(values.mean()), low=float(values.min()), high=float(values.max()), n=seeds)
            table.append(row(name, "model", "processor time of training", seconds, seeds=seeds, unit="s", digits=0))
        else:
            table.append(row(name, subject, metric, r2_over_seeds_and_episodes(values), seeds=seeds))
    return table


def main() -> None:
    """Train, probe, print the rows."""
    options = begin(add_arguments(study_parser(NAME, __doc__, out=OUT)))
    run_study(NAME, options, judge, rows, kept="errors")


if __name__ == "__main__":
    main()
