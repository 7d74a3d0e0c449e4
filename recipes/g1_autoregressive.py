"""An autoregressive world on a real humanoid's recordings: samples, their mean, what actions do, what codes cost, and fewer passes.

    python -m recipes.g1_autoregressive [--data PATH] [--seeds N] [--seed K ...] [--out DIR] [--quick] [--json]

Same data, split and windows as `g1_open_loop`. For each held-out window SAMPLES futures are drawn from 0.3 s of context. Rows: PSNR of
the mean of the samples, of single ones and of always taking the likeliest code, as gains over copy-last taken within each episode; what
another episode's actions cost; the ceiling that codes set: real frames through the tokenizer, alone and repaired with the context; and
quality and processor time of drawing a frame's codes one by one or in a few passes. Intervals are bootstrapped over seeds and
episodes together.
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

from armillary.core import State, seeded
from armillary.core.settings import override
from armillary.evaluate.open_loop import Window, WindowBatch, evaluating, gather
from armillary.evaluate.result import mean_by_episode
from armillary.evaluate.video import psnr
from armillary.studies.runs import HeldOut, LoadedRun, held_out
from armillary.worlds.autoregressive.train import PRESETS, Config
from armillary.worlds.autoregressive.world import AutoregressiveWorld
from benchmarks.rows import row
from recipes.futures import configured, draw, owners, prompt, windows_of
from recipes.intervals import over_seeds_and_episodes
from recipes.seeds import begin, run_seeds, study_parser
from recipes.training import processor_seconds, trained

NAME, FAMILY = "g1_autoregressive", "autoregressive"
DATA = Path(__file__).parents[2] / "shared" / "data" / "g1_inspire_lerobot21_160x120"
SETTINGS = {"train.steps": "2000", "train.precision": "bf16", "train.ema-decay": "0.99", "model.top-p": "0.8"}
STEP_S = 0.1
HORIZONS_S = (0.5, 1.0, 2.0)
AHEAD = round(HORIZONS_S[-1] / STEP_S)
SAMPLES = 8
PASSES = (0, 8, 4, 2)  # 0: one by one
EVERY_S, EVERY_S_PASSES = 1.0, 3.0  # how far apart windows start
WINDOWS_AT_ONCE = 16

logger = logging.getLogger(NAME)


def settings() -> Config:
    """What `armillary cost g1_autoregressive` tells the cost of: the training run of one seed."""
    return recipe(0, quick=False)


def recipe(seed: int, quick: bool) -> Config:
    """The settings of one training run: the last weights are judged, so no validation episodes."""
    words = {"train.seed": str(seed), "train.workers": "0", "data.validation-fraction": "0", **SETTINGS}
    return override(PRESETS["default"], words | ({"train.steps": "6"} if quick else {}))


def judge(seed: int, options: Namespace, out: Path) -> Mapping[str, list]:
    """Everything measured of one seed, an episode's mean at a time, by "what|about|horizon"."""
    command = ["python", "-m", f"recipes.{NAME}", "--data", str(options.data), "--seed", str(seed)]
    run = trained(FAMILY, recipe(seed, options.quick), data=options.data, folder=out / f"default-{seed}", replay=command)
    held = held_out(run, options.data)
    with torch.no_grad(), evaluating(run.world):
        logger.info("seed %d: judging samples", seed)
        found = judge_samples(run, held, seed, options.quick)
        for passes in PASSES:
            logger.info("seed %d: judging %d passes", seed, passes)
            found |= judge_passes(passes, run, held, seed, options.quick)
    found["processor time of training"] = np.asarray([processor_seconds(run)])
    return {key: np.asarray(value).tolist() for key, value in found.items()}


def judge_samples(run: LoadedRun, held: HeldOut, seed: int, quick: bool) -> dict[str, np.ndarray]:
    """The mean of samples, single ones, the likeliest codes, other actions, and what the codes of the real frames would show."""
    world, windows, found = run.world, _windows(held, EVERY_S, seed, quick), {}
    for first in range(0, len(windows), WINDOWS_AT_ONCE):
        batch = gather(held.episodes, windows[first : first + WINDOWS_AT_ONCE], run.camera, world.spec.context_steps, AHEAD, "cpu")
        samples = futures(world, batch, batch.future_actions, seed=seed + first)
        other = futures(world, batch, batch.other_actions, seed=seed + first)
        with configured(world, temperature=0.0):
            likeliest = futures(world, batch, batch.future_actions, seed=seed + first, count=1)[:, 0]
        for at, horizon_s in enumerate(HORIZONS_S):
            real = batch.real[:, round(horizon_s / STEP_S) - 1]
            mean, copied = psnr(samples[:, :, at].mean(1), real), psnr(batch.context[:, -1], real)
            alone, repaired = ceilings(world, batch, real, seed)
            measured = {
                "PSNR of copy-last": copied,
                "gain of the mean of samples": mean - copied,
                "gain of a single sample": psnr(samples[:, :, at], real[:, None]).mean(1) - copied,
                "gain of the likeliest codes": psnr(likeliest[:, at], real) - copied,
                "mean of samples over other actions": mean - psnr(other[:, :, at].mean(1), real),
                "PSNR of the real frame's codes": alone,
                "PSNR of the real frame's codes, repaired": repaired,
            }
            for what, values in measured.items():
                found.setdefault(f"{what}|recorded|{horizon_s}", []).append(values)
    return {key: mean_by_episode(parts, owners(windows)) for key, parts in found.items()}


def judge_passes(passes: int, run: LoadedRun, held: HeldOut, seed: int, quick: bool) -> dict[str, np.ndarray]:
    """Quality at +1 s with so many passes a frame, and the processor time of a step: of one world, and of each of many side by side."""
    world, windows, name = run.world, _windows(held, EVERY_S_PASSES, seed, quick), f"{passes} passes" if passes else "one by one"
    batch = gather(held.episodes, windows, run.camera, world.spec.context_steps, AHEAD, "cpu")
    with configured(world, passes=passes):
        started = time.process_time()
        samples = futures(world, batch, batch.future_actions, seed=seed, horizons_s=(1.0,))[:, :, 0]
        many_s = (time.process_time() - started) / (len(windows) * SAMPLES * round(1.0 / STEP_S))
        state = start(world, batch, 1).rows([0])
        started = time.process_time()
        for step in range(10):
            state = world.step(state, batch.future_actions[:1, step], seeded(seed + step))
        one_s = (time.process_time() - started) / 10
    real = batch.real[:, round(1.0 / STEP_S) - 1]
    gain = psnr(samples.mean(1), real) - psnr(batch.context[:, -1], real)
    return {
        f"gain of the mean of samples|{name}|1.0": mean_by_episode([gain], owners(windows)),
        f"processor time a frame, one world|{name}": np.asarray([one_s]),
        f"processor time a frame, many worlds|{name}": np.asarray([many_s]),
    }


def futures(
    world: AutoregressiveWorld,
    batch: WindowBatch,
    actions: Float[Tensor, "b t a"],
    *,
    seed: int,
    count: int = SAMPLES,
    horizons_s: Sequence[float] = HORIZONS_S,
) -> Float[Tensor, "b s h 3 y x"]:
    """`count` futures of each window at the given horizons; the seed decides their noise, not the actions."""
    steps = [round(horizon_s / STEP_S) for horizon_s in horizons_s]
    return draw(world, start(world, batch, count), actions, seeded(seed), count=count, steps=steps)


def start(world: AutoregressiveWorld, batch: WindowBatch, count: int) -> State:
    """The state of each window `count` times."""
    return world.start(prompt(batch, 1), seeded(0)).repeat(count)


def ceilings(
    world: AutoregressiveWorld, batch: WindowBatch, real: Float[Tensor, "b 3 h w"], seed: int
) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"]]:
    """PSNR of real frames through the tokenizer, and of what a world would show that foresaw their codes without fault."""
    codes = world.tokenizer.codes(real[:, None])
    state = start(world, batch, 1)
    state = replace(state, codes=torch.cat([state.codes[:, 1:], codes], dim=1))
    return psnr(world.tokenizer.decode_codes(codes)[:, 0].clamp(0, 1), real), psnr(world.render(state)["rgb"], real)


def _windows(held: HeldOut, every_s: float, seed: int, quick: bool) -> list[Window]:
    context = recipe(seed, quick).model.context_steps
    return windows_of(held.episodes, context=context, ahead=AHEAD, step_s=STEP_S, every_s=every_s, seed=seed, quick=quick)


def rows(kept: Sequence[Mapping[str, list]]) -> list[dict]:
    """The table: one row for each measure, way of drawing and horizon."""
    found = []
    for key in kept[0]:
        what, *about = key.split("|")
        estimate = over_seeds_and_episodes(np.stack([np.asarray(one[key]) for one in kept]))
        metric = ", ".join([what, *about[:1], *(f"+{horizon_s} s" for horizon_s in about[1:])])
        subject = "copy_last" if "copy-last" in what else "model"
        found.append(row(NAME, subject, metric, estimate, seeds=len(kept), unit="s" if "time" in what else "dB", digits=4))
    return found


def main() -> None:
    """Train, judge, print the rows."""
    arguments = study_parser(NAME, __doc__)
    arguments.add_argument("--data", type=Path, default=DATA, help="the G1 dataset, LeRobot v2.1 or v3")
    run_seeds(NAME, begin(arguments), judge, rows)


if __name__ == "__main__":
    main()
