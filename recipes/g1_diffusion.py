"""Diffusion on a real humanoid's recordings: samples, their mean, what actions do, other looks, and fewer steps.

    python -m recipes.g1_diffusion [--data PATH] [--seeds N] [--seed K ...] [--out DIR] [--quick] [--json]

Same data, split and windows as `g1_open_loop`. For each held-out window SAMPLES futures are drawn from 0.5 s of context. Rows: PSNR of
the mean of the samples and of single ones, as gains over copy-last taken within each episode; what another episode's
actions cost; how sharp single samples are (energy of their Laplacian, real frames having 1); the same in looks that no one trained on; and
quality and time by the number of sampling steps. Intervals are bootstrapped over seeds and episodes together.
"""

import logging
import time
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from armillary.core import Episode, seeded
from armillary.evaluate.open_loop import Window, WindowBatch, evaluating, gather
from armillary.evaluate.result import mean_by_episode
from armillary.evaluate.shift import SHIFTS, shift_episodes
from armillary.evaluate.video import laplacian_energy, psnr
from armillary.studies.runs import HeldOut, LoadedRun, held_out
from armillary.worlds.diffusion.train import PRESETS, Config
from armillary.worlds.diffusion.world import DiffusionWorld
from benchmarks.rows import row
from recipes.futures import configured, draw, owners, prompt, windows_of
from recipes.intervals import over_seeds_and_episodes
from recipes.seeds import begin, run_seeds, study_parser
from recipes.training import processor_seconds, trained

NAME, FAMILY = "g1_diffusion", "diffusion"
DATA = Path(__file__).parents[2] / "shared" / "data" / "g1_inspire_lerobot21_160x120"
TRAINING_STEPS = 1800  # as many as V-M-C has in g1_open_loop
STEP_S = 0.1
HORIZONS_S = (0.5, 1.0, 2.0)
OTHER_ACTIONS_S = 1.0
CONTEXT = 5
SAMPLES = 8
STEPS = (35, 8, 4, 1)
WINDOWS_AT_ONCE = 16
EVERY_S = {"recorded": 1.0, "looks": 3.0, "steps": 3.0}  # how far apart windows start

logger = logging.getLogger(NAME)


def settings() -> Config:
    """What `armillary cost g1_diffusion` tells the cost of: the training run of one seed."""
    return recipe(0, quick=False)


def recipe(seed: int, quick: bool) -> Config:
    """The settings of one training run: the last weights are judged, so no validation episodes."""
    config = PRESETS["default"]
    train = replace(config.train, seed=seed, steps=4 if quick else TRAINING_STEPS, workers=0, precision="bf16", ema_decay=0.99)
    return replace(config, train=train, data=replace(config.data, validation_fraction=0.0))


def judge(seed: int, options: Namespace, out: Path) -> Mapping[str, list]:
    """Everything measured of one seed, an episode's mean at a time, by "what|about|horizon"."""
    command = ["python", "-m", f"recipes.{NAME}", "--data", str(options.data), "--seed", str(seed)]
    run = trained(FAMILY, recipe(seed, options.quick), data=options.data, folder=out / f"default-{seed}", replay=command)
    held, found = held_out(run, options.data), {}
    looks = () if options.quick else SHIFTS
    for look in ("recorded", *looks):
        logger.info("seed %d: judging in the look %s", seed, look)
        found |= _judge_look(look, run, held, seed, options.quick)
    for steps in STEPS[-1:] if options.quick else STEPS:
        logger.info("seed %d: judging %d sampling steps", seed, steps)
        found |= _judge_steps(steps, run, held, seed, options.quick)
    found["seconds of training"] = np.asarray([processor_seconds(run)])
    return {key: np.asarray(value).tolist() for key, value in found.items()}


def _judge_look(look: str, run: LoadedRun, held: HeldOut, seed: int, quick: bool) -> dict[str, np.ndarray]:
    """Mean of samples, single samples, sharpness and other actions, in one look."""
    episodes = list(held.episodes) if look == "recorded" else shift_episodes(held.episodes, look, camera=run.camera)
    windows = _windows(episodes, EVERY_S["recorded" if look == "recorded" else "looks"], seed, quick)
    found: dict[str, list] = {}
    for first in range(0, len(windows), WINDOWS_AT_ONCE):
        chosen = windows[first : first + WINDOWS_AT_ONCE]
        batch = gather(episodes, chosen, run.camera, CONTEXT, _ahead(), "cpu")
        horizons_s = HORIZONS_S if look == "recorded" else HORIZONS_S[1:]
        samples = futures(run.world, batch, batch.future_actions, seed=seed + first, horizons_s=horizons_s)
        other = futures(run.world, batch, batch.other_actions, seed=seed + first, horizons_s=(OTHER_ACTIONS_S,))
        for at, horizon_s in enumerate(horizons_s):
            real = batch.real[:, round(horizon_s / STEP_S) - 1]
            mean = psnr(samples[:, :, at].mean(1), real)
            copied = psnr(batch.context[:, -1], real)
            measured = {
                "gain of the mean of samples": mean - copied,
                "gain of a single sample": psnr(samples[:, :, at], real[:, None]).mean(1) - copied,
                "sharpness": laplacian_energy(samples[:, :, at]).mean(1) / laplacian_energy(real),
                "sharpness of the mean": laplacian_energy(samples[:, :, at].mean(1)) / laplacian_energy(real),
            }
            if horizon_s == OTHER_ACTIONS_S:
                measured["mean of samples over other actions"] = mean - psnr(other[:, :, 0].mean(1), real)
            for what, values in measured.items():
                found.setdefault(f"{what}|{look}|{horizon_s}", []).append(values)
    return {key: mean_by_episode(parts, owners(windows)) for key, parts in found.items()}


def _judge_steps(steps: int, run: LoadedRun, held: HeldOut, seed: int, quick: bool) -> dict[str, np.ndarray]:
    """Quality at +1 s and processor time a frame with so many sampling steps."""
    windows = _windows(held.episodes, EVERY_S["steps"], seed, quick)
    gains, sharpness, seconds = [], [], 0.0
    with configured(run.world, sampling_steps=steps):
        for first in range(0, len(windows), WINDOWS_AT_ONCE):
            batch = gather(held.episodes, windows[first : first + WINDOWS_AT_ONCE], run.camera, CONTEXT, _ahead(), "cpu")
            started = time.process_time()
            samples = futures(run.world, batch, batch.future_actions, seed=seed + first, horizons_s=(1.0,))[:, :, 0]
            seconds += time.process_time() - started
            real = batch.real[:, round(1.0 / STEP_S) - 1]
            gains.append(psnr(samples.mean(1), real) - psnr(batch.context[:, -1], real))
            sharpness.append(laplacian_energy(samples).mean(1) / laplacian_energy(real))
    return {
        f"gain of the mean of samples|{steps} steps|1.0": mean_by_episode(gains, owners(windows)),
        f"sharpness|{steps} steps|1.0": mean_by_episode(sharpness, owners(windows)),
        f"processor time a frame|{steps} steps|1.0": np.asarray([seconds / (len(windows) * SAMPLES)]),
    }


def futures(
    world: DiffusionWorld, batch: WindowBatch, actions: Float[Tensor, "b t a"], *, seed: int, horizons_s: Sequence[float]
) -> Float[Tensor, "b s h 3 y x"]:
    """SAMPLES futures of each window at the given horizons; the seed decides their noise, not the actions."""
    rng, steps = seeded(seed), [round(horizon_s / STEP_S) for horizon_s in horizons_s]
    with torch.no_grad(), evaluating(world):
        return draw(world, world.start(prompt(batch, SAMPLES), rng), actions, rng, count=SAMPLES, steps=steps)


def _windows(episodes: Sequence[Episode], every_s: float, seed: int, quick: bool) -> list[Window]:
    return windows_of(episodes, context=CONTEXT, ahead=_ahead(), step_s=STEP_S, every_s=every_s, seed=seed, quick=quick)


def _ahead() -> int:
    return round(HORIZONS_S[-1] / STEP_S)


def rows(kept: Sequence[Mapping[str, list]]) -> list[dict]:
    """The table: one row for each measure, look (or number of steps) and horizon."""
    found = []
    for key in kept[0]:
        what, *about = key.split("|")
        estimate = over_seeds_and_episodes(np.stack([np.asarray(one[key]) for one in kept]))
        metric = f"{what}, {about[0]}, +{about[1]} s" if about else what
        unit = "dB" if "gain" in what or "over" in what else "s" if "seconds" in what or "time" in what else ""
        found.append(row(NAME, "model", metric, estimate, seeds=len(kept), unit=unit))
    return found


def main() -> None:
    """Train, judge, print the rows."""
    arguments = study_parser(NAME, __doc__)
    arguments.add_argument("--data", type=Path, default=DATA, help="the G1 dataset, LeRobot v2.1 or v3")
    run_seeds(NAME, begin(arguments), judge, rows)


if __name__ == "__main__":
    main()
