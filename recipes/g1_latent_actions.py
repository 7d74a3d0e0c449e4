"""What a real humanoid was told to do, read from latent actions that were learned from its pictures alone.

    python -m recipes.g1_latent_actions [--data PATH] [--seeds N] [--seed K ...] [--out DIR] [--quick] [--json]

Same recordings and split as `g1_open_loop`, steps of 0.1 s. A Genie's latent action model learns from the training episodes' pictures
(tokenizer and dynamics hardly learn: they are not judged). Then ridge regression, fitted on training episodes, reads from the codes'
vectors what the right arm was told: its seven joints' commands, counted from where the joints are, for commands as they stand say where the
arm is rather than what it does. Read from the one code of that step, and from those of 1.7 s around it. Beside it: random codes; codes of
an encoder that learned nothing (only its code book did); as many principal components of the pictures' differences; and, as what can be
had, how far the joints truly moved. R2 is about the mean of the training data; intervals are bootstrapped over held-out episodes and seeds
together. The 1.7 s were chosen on episodes 33 to 42; for 256 codes of 32 numbers, among 8, 64 and 1,024 codes and 8 numbers, the held-out
episodes were looked at (docs/LOG.md). A seed takes about six minutes of a core.
"""

import logging
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from armillary.core import Episode, to_model
from armillary.core.settings import override
from armillary.evaluate.controllability import infer_codes, random_codes
from armillary.evaluate.linear_probe import fit_linear_probe
from armillary.studies.runs import LoadedRun, held_out
from armillary.worlds.genie.train import PRESETS, Config
from benchmarks.rows import row
from recipes.g1_action_conditioned import RIGHT_ARM
from recipes.g1_worlds import DATA
from recipes.intervals import over_seeds_and_episodes, r2_over_seeds_and_episodes
from recipes.seeds import begin, run_seeds, study_parser
from recipes.training import processor_seconds, trained

NAME, FAMILY = "g1_latent_actions", "genie"
SETTINGS = {
    "train.steps": "600",
    "train.ema-decay": "0.99",
    "train.workers": "0",
    "model.tokenize-share": "0.02",
    "model.action-share": "0.94",
    "model.num-actions": "256",
    "model.action-size": "32",
}
LEARNED_NOTHING = {"train.steps": "100", "model.learning-rate": "1e-12"}
AROUND = {"that step": 0, "1.7 s around it": 8}  # steps before and after
ASIDE = 4  # of the training episodes, every so many choose the probe's penalty
MODEL, UNTRAINED, RANDOM = "model", "encoder that learned nothing", "random codes"
COMPONENTS, MOTION = "principal components of differences", "the joints' true motion"
DIFFERENCES = 2  # of pictures, every so many find the components

logger = logging.getLogger(NAME)
Series = Mapping[int, Float[Tensor, "t k"]]  # of every episode, by its index: a row for each step


def settings() -> Config:
    """What `armillary cost g1_latent_actions` tells the cost of: the training run of one seed."""
    return recipe(0, quick=False)


def recipe(seed: int, quick: bool, changes: Mapping[str, str] | None = None) -> Config:
    """The settings of one training run: the last weights are judged, so no validation episodes."""
    words = {"train.seed": str(seed), "data.validation-fraction": "0", **SETTINGS, **(changes or {})}
    return override(PRESETS["default"], words | ({"train.steps": "8"} if quick else {}))


def judge(seed: int, options: Namespace, out: Path) -> Mapping[str, list]:
    """[squared errors, squared distances from the mean] of every held-out episode, by "whose|how far around"."""
    runs = {}
    for name, changes in {MODEL: {}, UNTRAINED: LEARNED_NOTHING}.items():
        words = {"data": options.data, "replay": ["python", "-m", f"recipes.{NAME}", "--data", str(options.data), "--seed", str(seed)]}
        runs[name] = trained(FAMILY, recipe(seed, options.quick, changes), folder=out / f"{name.split()[0]}-{seed}", **words)
    logger.info("seed %d: reading", seed)
    held = held_out(runs[MODEL], options.data)
    training, test = (list(some)[: 4 if options.quick else None] for some in (held.training, held.episodes))
    told, features = commanded([*training, *test]), series(runs, training, test, seed)
    found = {}
    for whose, values in features.items():
        for where, steps in AROUND.items():
            found[f"{whose}|{where}"] = read({index: around(one, steps) for index, one in values.items()}, told, training, test)
    return found | {"seconds": [processor_seconds(runs[MODEL])]}


def commanded(episodes: Sequence[Episode]) -> Series:
    """The right arm's last command of each step but the last, counted from where the joints are as the step begins."""
    found = {}
    for one in episodes:
        size = one.state.shape[1]
        commands = torch.from_numpy(np.array(one.actions[:-1, -size:])).double()
        found[one.index] = (commands - torch.from_numpy(np.array(one.state[:-1])).double())[:, RIGHT_ARM]
    return found


def series(runs: Mapping[str, LoadedRun], training: Sequence[Episode], test: Sequence[Episode], seed: int) -> dict[str, Series]:
    """What the commands are read from."""
    episodes, found = [*training, *test], {}
    for name, run in runs.items():
        codes, vectors = infer_codes(run.world, episodes, camera=run.camera), run.world.latent_actions.double()
        found[name] = {one.index: vectors[torch.from_numpy(some)] for one, some in zip(episodes, codes, strict=True)}
        if name == MODEL:
            drawn = random_codes(codes, len(vectors), seed)
            found[RANDOM] = {one.index: vectors[torch.from_numpy(some)] for one, some in zip(episodes, drawn, strict=True)}
    differences = {one.index: (grey := to_model(one.frames[runs[MODEL].camera]).mean(1).flatten(1))[1:] - grey[:-1] for one in episodes}
    some = torch.cat([differences[one.index] for one in training])[::DIFFERENCES]
    directions = torch.linalg.svd(some - some.mean(0), full_matrices=False).Vh[: vectors.shape[1]]
    states = {one.index: torch.from_numpy(np.array(one.state)).double() for one in episodes}
    return found | {
        COMPONENTS: {index: (one @ directions.T).double() for index, one in differences.items()},
        MOTION: {index: one[1:] - one[:-1] for index, one in states.items()},
    }


def around(values: Float[Tensor, "t k"], steps: int) -> Float[Tensor, "t j"]:
    """Each row beside those of `steps` before and after it; at an episode's ends the last one there is."""
    held = torch.cat([values[:1].expand(steps, -1), values, values[-1:].expand(steps, -1)])
    return torch.cat([held[first : first + len(values)] for first in range(2 * steps + 1)], dim=1)


def read(features: Series, told: Series, training: Sequence[Episode], test: Sequence[Episode]) -> list[list[float]]:
    """[squared errors, squared distances from the mean] of the held-out episodes, by a probe fitted on those of training."""

    def joined(chosen: Callable[[int], bool]) -> tuple[Tensor, Tensor]:
        some = [one.index for number, one in enumerate(training) if chosen(number)]
        return torch.cat([features[index] for index in some]), torch.cat([told[index] for index in some])

    probe = fit_linear_probe(*joined(lambda number: number % ASIDE != 1), joined(lambda number: number % ASIDE == 1))
    errors = [float((probe.read(features[one.index]) - told[one.index]).square().sum()) for one in test]
    return [errors, [float((told[one.index] - probe.target_mean).square().sum()) for one in test]]


def rows(kept: Sequence[Mapping[str, list]]) -> list[dict]:
    """The table."""
    found = []
    for key in kept[0]:
        values = np.array([one[key] for one in kept])
        if key == "seconds":
            found.append(
                row(NAME, MODEL, "processor time of training", over_seeds_and_episodes(values), seeds=len(kept), unit="s", digits=0)
            )
            continue
        subject, where = key.split("|")
        metric = f"R2 of the right arm's commands, from {where}"
        found.append(row(NAME, subject, metric, r2_over_seeds_and_episodes(values), seeds=len(kept)))
    return found


def main() -> None:
    """Train, read, print the rows."""
    arguments = study_parser(NAME, __doc__)
    arguments.add_argument("--data", type=Path, default=DATA, help="the G1 dataset, LeRobot v2.1 or v3")
    run_seeds(NAME, begin(arguments), judge, rows)


if __name__ == "__main__":
    main()
