"""Violation of expectation: does a world model find what physics could not do more surprising than what it does?

    python -m recipes.violation_of_expectation [--seeds N] [--seed K ...] [--out DIR] [--quick] [--json]

Each seed records its own episodes of two bouncing balls (a fifth of them: of one), in which nothing impossible happens, and trains
the end-to-end JEPA on them, with a memory and without inverse dynamics. Then it watches films of scenes not seen in training: a ball
vanishes or appears, a ball teleports, two balls pass through each other; and the same films as physics has them
(`armillary.worlds.small.violations`). A film's score is its most surprising moment. Rows: AUROC of the scores of impossible films
against those of possible ones, by kind and for all kinds together, and among three balls, more than any training scene has.
Beside the model: the latents' own change, and what three measures of pixels say without learning.
Intervals are bootstrapped over scenes and seeds together. Finished parts are kept under --out and not done again.
"""

import logging
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from armillary.core import bootstrap, seeded, to_model
from armillary.core.settings import override
from armillary.data.record import write_dataset
from armillary.evaluate.auroc import auroc_over_scenes
from armillary.studies.fit import family_module
from armillary.studies.runs import LoadedRun, held_out
from armillary.worlds.jepa.surprise import prediction_errors, usual_errors
from armillary.worlds.small.violations import EQUAL_BALLS, KINDS, Films, plant, possible_episodes
from benchmarks.rows import row
from recipes.seeds import begin, run_seeds, study_parser
from recipes.training import processor_seconds, trained

NAME, FAMILY = "violation_of_expectation", "jepa"
SIZE = 32  # pixels
BALLS, MORE_BALLS = 2, 3
# Of every five episodes one lacks the second ball, so that films in which it is missing are possible. Were it half of them, an encoder
# would do well to see that ball alone: what is absent is foreseen without an error (docs/LOG.md).
RECORDED_BALLS = (2, 2, 2, 2, 1)
LAYOUT = {**EQUAL_BALLS, "speed_m_s": 1.0, "push_m_s2": 0.0}
RECORDED, TRAINING_STEPS = 2500, 8000
CONTEXT_STEPS = 4  # frames that are given, not judged
SCENES = {"vanish": 60, "teleport": 60, "pass-through": 120}  # 120 films of each kind, and as many possible ones
MODEL = {
    "latent-size": "64",
    "memory-size": "64",
    "channels": "16,32",
    "context-steps": str(CONTEXT_STEPS),
    "predict-steps": "2",
    "variance-weight": "16",
    "covariance-weight": "8",
    "similarity-weight": "0.3",
    "inverse-weight": "0",
    "learning-rate": "0.001",
}
TOGETHER = "all kinds"
FIRST_FILMS = 100  # seeds of the films; settings were chosen on films of seeds 900 and on
WINDOW = 3  # frames over which surprise is averaged before its maximum is taken
PAINTED = 40  # of 255: a pixel so far from the empty room shows a ball
AT_ONCE = 40  # films watched side by side

logger = logging.getLogger(NAME)
Scores = Mapping[str, Mapping[str, list[float]]]  # by "kind|subject" and, of "kind|scene", which rows belong together


def settings(seed: int = 0, quick: bool = False):
    """The settings of one training run; what `armillary cost violation_of_expectation` tells the cost of."""
    words = {f"model.{name}": word for name, word in MODEL.items()}
    words |= {
        "train.seed": str(seed),
        "train.steps": "4" if quick else str(TRAINING_STEPS),
        "train.workers": "0",
        "train.precision": "bf16",
    }
    words |= {"data.height": str(SIZE), "data.width": str(SIZE), "data.stride": "1"}
    return override(family_module(FAMILY).PRESETS["default"], words)


def learned(seed: int, out: Path, quick: bool) -> LoadedRun:
    """The finished run of one seed, on its own recordings."""
    data = out / f"data-{seed}"
    if not (data / "meta" / "info.json").exists():
        logger.info("seed %d: recording", seed)
        scenes = {"seed": seed, "size": SIZE, "num_balls": RECORDED_BALLS, "layout": LAYOUT}
        write_dataset(data, possible_episodes(12 if quick else RECORDED, **scenes), robot_type="armillary-bouncing-balls")
    logger.info("seed %d: training", seed)
    replay = ["python", "-m", f"recipes.{NAME}", "--seed", str(seed)]
    return trained(FAMILY, settings(seed, quick), data=data, folder=out / f"{FAMILY}-{seed}", replay=replay)


class Judges:
    """Every subject: from films and the actions in them to how surprising each frame after the given ones is."""

    def __init__(self, run: LoadedRun):
        self.world = run.world
        episodes = held_out(run, run.data_path).episodes
        frames = np.stack([episode.frames[run.camera] for episode in episodes])
        actions = torch.from_numpy(np.stack([episode.actions for episode in episodes]))
        self.empty = np.median(frames.reshape(-1, *frames.shape[2:]), axis=0)
        self.usual = usual_errors(self._errors(frames, actions))
        self.usual_change = usual_errors(self._change(frames))
        self.subjects: dict[str, Callable] = {
            "model": lambda frames, actions: self.usual.surprise(self._errors(frames, actions)),
            "model, plain squared error": lambda frames, actions: self._errors(frames, actions).square().mean(dim=-1),
            "change of latents": lambda frames, actions: self.usual_change.surprise(self._change(frames)),
            "change of pixels": lambda frames, actions: _pixel_change(frames, order=1),
            "change of pixels' change": lambda frames, actions: _pixel_change(frames, order=2),
            "change of painted area": lambda frames, actions: self._area(frames).diff(dim=1).abs()[:, CONTEXT_STEPS - 1 :],
        }

    def _errors(self, frames: np.ndarray, actions: Tensor) -> Float[Tensor, "b s d"]:
        parts = torch.arange(len(frames)).split(AT_ONCE)
        watch = {"rng": seeded(0), "context_steps": CONTEXT_STEPS}
        return torch.cat([prediction_errors(self.world, to_model(frames[part.numpy()]), actions[part], **watch) for part in parts])

    @torch.no_grad()
    def _change(self, frames: np.ndarray) -> Float[Tensor, "b s d"]:
        """What answering the latent before would miss by."""
        parts = [self.world.encode(to_model(part)) for part in np.array_split(frames, -(-len(frames) // AT_ONCE))]
        return -torch.cat(parts).diff(dim=1)[:, CONTEXT_STEPS - 1 :]

    def _area(self, frames: np.ndarray) -> Float[Tensor, "b t"]:
        """The share of the picture that differs from the empty room."""
        differs = np.abs(frames.astype(np.float32) - self.empty).max(axis=-1) > PAINTED
        return torch.from_numpy(differs.mean(axis=(2, 3)))

    def score(self, subject: str, films: Films, actions: Tensor) -> list[float]:
        """How surprising the most surprising moment of each film is."""
        found = self.subjects[subject](films.frames, actions)
        return found.unfold(1, WINDOW, 1).mean(dim=-1).amax(dim=1).double().tolist()


def _pixel_change(frames: np.ndarray, *, order: int) -> Float[Tensor, "b s"]:
    """Mean absolute difference of pixels from the frame before (1), or from going on as from there to here (2)."""
    return to_model(frames).diff(n=order, dim=1).abs().mean(dim=(2, 3, 4))[:, CONTEXT_STEPS - order :]


def judge(seed: int, options: Namespace, out: Path) -> Scores:
    """The score of every film of every kind by every subject."""
    run = learned(seed, out, options.quick)
    judges, found = Judges(run), {"seconds": {"model": [processor_seconds(run)]}}
    for balls in (BALLS, MORE_BALLS):
        for number, kind in enumerate(KINDS):
            logger.info("seed %d: %s among %d balls", seed, kind, balls)
            scenes = 2 if options.quick else SCENES[kind]
            films = plant(kind, scenes, seed=FIRST_FILMS + 10 * balls + number, size=SIZE, num_balls=balls, layout=LAYOUT)
            name = kind if balls == BALLS else f"{kind}, {balls} balls"
            found[name] = {"scene": films.scene.tolist()}
            for subject in judges.subjects:
                found[name][f"impossible|{subject}"] = judges.score(subject, films.impossible, films.actions)
                found[name][f"possible|{subject}"] = judges.score(subject, films.possible, films.actions)
    return found


def rows(found: Sequence[Scores]) -> list[dict]:
    """The table: each kind, all kinds together, and the same with more balls."""
    seeds, table = len(found), []
    for after in ("", f", {MORE_BALLS} balls"):
        groups = {f"{kind}{after}": [f"{kind}{after}"] for kind in KINDS} | {f"{TOGETHER}{after}": [f"{kind}{after}" for kind in KINDS]}
        subjects = [name.partition("|")[2] for name in found[0][f"{KINDS[0]}{after}"] if name.startswith("possible|")]
        for group, kinds in groups.items():
            for subject in subjects:
                estimate = _estimate(found, kinds, subject)
                table.append(row(NAME, subject, f"AUROC, {group}", estimate, seeds=seeds))
    seconds = bootstrap([one["seconds"]["model"][0] for one in found])
    table.append(row(NAME, "model", "processor time of training", seconds, seeds=seeds, unit="s", digits=0))
    return table


def _estimate(found: Sequence[Scores], kinds: Sequence[str], subject: str):
    """Films of several kinds as one set; every kind has scenes of its own."""

    def joined(one: Scores, side: str) -> np.ndarray:
        return np.concatenate([np.asarray(one[kind][f"{side}|{subject}"]) for kind in kinds])

    scenes, first = [], 0
    for kind in kinds:
        scenes.append(np.asarray(found[0][kind]["scene"]) + first)
        first = int(scenes[-1].max()) + 1
    sides = ([joined(one, side) for one in found] for side in ("impossible", "possible"))
    return auroc_over_scenes(*sides, np.concatenate(scenes))


def main() -> None:
    """Record, train, watch, print the rows."""
    run_seeds(NAME, begin(study_parser(NAME, __doc__)), judge, rows, kept="scores")


if __name__ == "__main__":
    main()
