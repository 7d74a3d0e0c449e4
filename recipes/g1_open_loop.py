"""A real humanoid's world: open-loop prediction on Unitree G1 recordings, V-M-C beside every baseline.

    python -m recipes.g1_open_loop [--data PATH] [--seeds N] [--seed K ...] [--out DIR] [--quick] [--json]

The last fifth of the episodes is held out (10 of 53), all others are learned from and the last weights judged. Each seed
trains the default V-M-C, the published one and `direct_unet` on one thread each, then dreams 2 s from 0.3 s of held-out
context, in the recorded look and in five looks that no one trained on. Rows: PSNR and SSIM by horizon, and gains over
copy-last taken within each episode. Intervals are bootstrapped over seeds and episodes together. Finished parts are kept
under --out and not done again.
"""

import logging
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from armillary.evaluate.direct_unet import DirectUnetConfig, fit_direct_unet
from armillary.evaluate.open_loop import evaluate_open_loop
from armillary.evaluate.result import Protocol
from armillary.evaluate.shift import SHIFTS, shift_episodes
from armillary.studies.runs import HeldOut, LoadedRun, held_out
from armillary.worlds.vmc.train import PRESETS, Config
from benchmarks.rows import row
from recipes.intervals import over_seeds_and_episodes
from recipes.seeds import begin, run_seeds, study_parser
from recipes.training import processor_seconds, trained

NAME, FAMILY = "g1_open_loop", "vmc"
DATA = Path(__file__).parents[2] / "shared" / "data" / "g1_inspire_lerobot21_160x120"
STEPS = {"default": 1800, "published": 1200}  # chosen on a split of the training episodes (docs/LOG.md)
UNET_STEPS = 600
STEP_S = 0.1
HORIZONS_S = (0.5, 1.0, 1.5, 2.0)
PROTOCOL = Protocol(report_s=HORIZONS_S, starts_every_s=1.0)
SUBJECTS = {"default": "model", "published": "model_published"}
UNITS = {"psnr": "dB", "ssim": ""}

logger = logging.getLogger(NAME)


def settings() -> Config:
    """What `armillary cost g1_open_loop` tells the cost of: the longest training run of one seed."""
    return recipe("default", 0, quick=False)


def recipe(preset: str, seed: int, quick: bool) -> Config:
    """The settings of one training run."""
    config = PRESETS[preset]
    steps = 12 if quick else STEPS[preset]
    train = replace(config.train, seed=seed, steps=steps, checkpoint_every=500, workers=0)
    return replace(config, train=train, data=replace(config.data, validation_fraction=0.0))


def learned(preset: str, seed: int, data: Path, out: Path, quick: bool) -> LoadedRun:
    """The finished run of one preset and seed."""
    command = ["python", "-m", f"recipes.{NAME}", "--data", str(data), "--seed", str(seed)]
    return trained(FAMILY, recipe(preset, seed, quick), data=data, folder=out / f"{preset}-{seed}", replay=command)


def judge(seed: int, options: Namespace, out: Path) -> Mapping[str, list]:
    """Every subject of one seed in every look: curves per held-out episode, and the seconds that training took."""
    data, quick = options.data, options.quick
    loaded = {preset: learned(preset, seed, data, out, quick) for preset in SUBJECTS}
    held = held_out(loaded["default"], data)
    settings = DirectUnetConfig(steps=12 if quick else UNET_STEPS)
    logger.info("seed %d: direct_unet", seed)
    num_future, camera = round(HORIZONS_S[-1] / STEP_S), loaded["default"].camera
    unet = fit_direct_unet(held.training, camera=camera, num_future=num_future, config=settings, seed=seed)
    curves: dict[str, np.ndarray] = {}
    for look in ("recorded", *(() if quick else SHIFTS)):
        logger.info("seed %d: judging in the look %s", seed, look)
        curves |= _judge_look(look, loaded, held, unet, seed)
    for preset, run in loaded.items():
        curves[f"seconds|{preset}"] = np.asarray([processor_seconds(run)])
    return {key: value.tolist() for key, value in curves.items()}


def _judge_look(look: str, loaded: Mapping[str, LoadedRun], held: HeldOut, unet, seed: int) -> dict[str, np.ndarray]:
    camera = loaded["default"].camera
    episodes = list(held.episodes) if look == "recorded" else shift_episodes(held.episodes, look, camera=camera)
    found = {}
    for preset, run in loaded.items():
        others = {"direct_unet": unet} if preset == "default" else {}
        baselines = {"mean_frame": held.mean_frame, "predictors": others, "protocol": PROTOCOL}
        result = evaluate_open_loop(run.world, episodes, camera=camera, seed=seed, num_samples=1, **baselines)
        renamed = {"model": SUBJECTS[preset], "shuffled_actions": SUBJECTS[preset].replace("model", "shuffled_actions")}
        for metric in UNITS:
            for subject, curve in result.curves[metric].items():
                if preset == "default" or subject in renamed:
                    found[f"{look}|{metric}|{renamed.get(subject, subject)}"] = np.asarray(curve)
    return found


def rows(kept: Sequence[Mapping[str, list]]) -> list[dict]:
    """The table: values of every subject, gains over copy-last, and what other actions cost the models."""
    curves = [{key: np.asarray(value) for key, value in one.items()} for one in kept]
    found = []
    keys = [key for key in curves[0] if not key.startswith("seconds")]
    for key in keys:
        look, metric, subject = key.split("|")
        stacked = np.stack([one[key] for one in curves])
        copy = np.stack([one[f"{look}|{metric}|copy_last"] for one in curves])
        pairs = [("", stacked)] + ([("_gain_over_copy_last", stacked - copy)] if subject != "copy_last" else [])
        if subject.startswith("model"):
            other = np.stack([one[f"{look}|{metric}|{subject.replace('model', 'shuffled_actions')}"] for one in curves])
            pairs.append(("_gain_over_shuffled_actions", stacked - other))
        for suffix, values in pairs:
            for horizon_s in HORIZONS_S:
                estimate = over_seeds_and_episodes(values[:, :, round(horizon_s / STEP_S) - 1])
                name = f"{metric}{suffix} +{horizon_s} s, {look}"
                found.append(row(NAME, subject, name, estimate, seeds=len(curves), unit=UNITS[metric]))
    for preset, subject in SUBJECTS.items():
        seconds = np.stack([one[f"seconds|{preset}"] for one in curves])
        found.append(row(NAME, subject, "processor time of training", over_seeds_and_episodes(seconds), seeds=len(curves), unit="s"))
    return found


def main() -> None:
    """Train, judge, print the rows."""
    arguments = study_parser(NAME, __doc__)
    arguments.add_argument("--data", type=Path, default=DATA, help="the G1 dataset, LeRobot v2.1 or v3")
    run_seeds(NAME, begin(arguments), judge, rows, kept="curves")


if __name__ == "__main__":
    main()
