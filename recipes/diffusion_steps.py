"""How few sampling steps a diffusion world of the G1 needs: those of the world itself, and those of students that learned from it.

    python -m recipes.diffusion_steps [--data PATH] [--teachers DIR] [--seeds N] [--seed K ...] [--out DIR] [--quick] [--json]

The teachers are the worlds of `g1_diffusion`, trained now unless they were before. A student begins as its teacher and learns to land in
a step where the teacher ends after many (`armillary distill`), on the same recordings. On the episodes that `g1_diffusion` holds out, at
+1 s: PSNR of the mean of SAMPLES futures and of single ones over copy-last, sharpness (real frames having 1), and frames a second of one
core. What a subject loses against the teacher's most steps is taken within each episode. Intervals are bootstrapped over seeds and
episodes together.
"""

import logging
import time
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from armillary.core import seeded
from armillary.core.settings import override
from armillary.evaluate.open_loop import evaluating, gather
from armillary.evaluate.result import mean_by_episode
from armillary.evaluate.video import laplacian_energy, psnr
from armillary.studies.distill import student_settings
from armillary.studies.runs import HeldOut, LoadedRun, held_out
from benchmarks.rows import row
from recipes import g1_diffusion
from recipes.futures import configured, draw, owners, prompt, windows_of
from recipes.g1_diffusion import CONTEXT, DATA, FAMILY, SAMPLES, STEP_S, WINDOWS_AT_ONCE
from recipes.intervals import over_seeds_and_episodes
from recipes.seeds import begin, run_seeds, study_parser
from recipes.training import processor_seconds, trained

NAME = "diffusion_steps"
TEACHER_STEPS, STUDENT_STEPS = (35, 8, 4, 1), (4, 1)
TRAINING_STEPS = 400
HORIZON = 10  # steps of 0.1 s
EVERY_S = 1.0  # how far apart windows start
MOST, GAIN, LOSS = f"teacher, {TEACHER_STEPS[0]} steps", "gain of the mean of samples", "mean of samples under the teacher's most steps"

logger = logging.getLogger(NAME)


def judge(seed: int, options: Namespace, out: Path) -> Mapping[str, list]:
    """Everything measured of one seed, an episode's mean at a time, by "what|subject"."""
    replay = ["python", "-m", f"recipes.{NAME}", "--data", str(options.data), "--seed", str(seed)]
    folder = out / f"teacher-{seed}" if options.quick else options.teachers / f"default-{seed}"
    logger.info("seed %d: the teacher", seed)
    teacher = trained(FAMILY, g1_diffusion.recipe(seed, options.quick), data=options.data, folder=folder, replay=replay)
    held, found = held_out(teacher, options.data), {}
    for steps in TEACHER_STEPS[-1:] if options.quick else TEACHER_STEPS:
        found |= judge_world(f"teacher, {steps} steps", teacher, steps, held, seed, options.quick)
    for steps in STUDENT_STEPS:
        logger.info("seed %d: a student of %d steps", seed, steps)
        words = {"train.steps": "2" if options.quick else str(TRAINING_STEPS), "train.seed": str(seed)}
        config = override(student_settings(teacher.path, steps), words)
        student = trained(FAMILY, config, data=options.data, folder=out / f"student-{steps}-{seed}", replay=replay, init=teacher.path)
        found |= judge_world(f"student, {steps} steps", student, steps, held, seed, options.quick)
        found[f"processor time of distilling|student, {steps} steps"] = [processor_seconds(student) / 60.0]
    best = found.get(f"{GAIN}|{MOST}")
    for key in [] if best is None else [key for key in found if key.startswith(f"{GAIN}|") and not key.endswith(f"|{MOST}")]:
        found[key.replace(GAIN, LOSS)] = best - found[key]
    return {key: np.asarray(value).tolist() for key, value in found.items()}


def judge_world(subject: str, run: LoadedRun, steps: int, held: HeldOut, seed: int, quick: bool) -> dict[str, np.ndarray]:
    """Quality at +1 s and frames a second with so many sampling steps."""
    sizes = {"context": CONTEXT, "ahead": HORIZON}
    windows = windows_of(held.episodes, **sizes, step_s=STEP_S, every_s=EVERY_S, seed=seed, quick=quick)
    found: dict[str, list] = {GAIN: [], "gain of a single sample": [], "sharpness": []}
    seconds = 0.0
    with torch.no_grad(), evaluating(run.world), configured(run.world, sampling_steps=steps):
        for first in range(0, len(windows), WINDOWS_AT_ONCE):
            batch, rng = (
                gather(held.episodes, windows[first : first + WINDOWS_AT_ONCE], run.camera, CONTEXT, HORIZON, "cpu"),
                seeded(seed + first),
            )
            started = time.process_time()
            state = run.world.start(prompt(batch, SAMPLES), rng)
            samples = draw(run.world, state, batch.future_actions, rng, count=SAMPLES, steps=(HORIZON,))[:, :, 0]
            seconds += time.process_time() - started
            real = batch.real[:, HORIZON - 1]
            copied = psnr(batch.context[:, -1], real)
            found[GAIN].append(psnr(samples.mean(1), real) - copied)
            found["gain of a single sample"].append(psnr(samples, real[:, None]).mean(1) - copied)
            found["sharpness"].append(laplacian_energy(samples).mean(1) / laplacian_energy(real))
    by_episode = {f"{what}|{subject}": mean_by_episode(parts, owners(windows)) for what, parts in found.items()}
    return by_episode | {f"frames a second|{subject}": np.asarray([len(windows) * SAMPLES / seconds])}


def rows(kept: Sequence[Mapping[str, list]]) -> list[dict]:
    """The table: one row for each measure and subject."""
    found = []
    for key in kept[0]:
        what, subject = key.split("|")
        estimate = over_seeds_and_episodes(np.stack([np.asarray(one[key], float) for one in kept]))
        unit = "dB" if "gain" in what or "under" in what else "min" if "time" in what else ""
        metric = what if "time" in what or "second" in what else f"{what}, +{HORIZON * STEP_S:.1f} s"
        found.append(row(NAME, subject, metric, estimate, seeds=len(kept), unit=unit))
    return found


def main() -> None:
    """Train, distil, judge, print the rows."""
    arguments = study_parser(NAME, __doc__)
    arguments.add_argument("--data", type=Path, default=DATA, help="the G1 dataset, LeRobot v2.1 or v3")
    folder = Path("runs") / g1_diffusion.NAME
    arguments.add_argument("--teachers", type=Path, default=folder, help=f"where g1_diffusion kept its runs (default {folder})")
    run_seeds(NAME, begin(arguments), judge, rows)


if __name__ == "__main__":
    main()
