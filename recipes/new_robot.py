"""A diffusion world of one robot learns another from ten short episodes: by low-rank updates, as a whole, or from scratch.

    python -m recipes.new_robot [--shared PATH] [--seeds N] [--seed K ...] [--out DIR] [--quick] [--json]

The base learns the G1 at five steps a second. The new robot is a WidowX arm (BridgeData): 18 episodes of ten pictures, the first 10
to learn from, the last 8 held out, in the order of the file. Subjects, all with the base's sizes: `lora` and `full` begin with the base's
weights, `scratch` does not, all for as many steps; `scratch_long` has the processor time of base and update together. Rows: PSNR of the
mean of SAMPLES futures and of single ones over copy-last on the held-out episodes, the same over `scratch`, parameters that learn, and
minutes. Intervals are bootstrapped over seeds and episodes together. The rates of learning were chosen on the first 10 episodes.
"""

import logging
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from armillary.core import DataError, seeded
from armillary.core.settings import override
from armillary.data.record import write_dataset
from armillary.data.staging import staged_folder
from armillary.evaluate.open_loop import evaluating, gather
from armillary.evaluate.result import mean_by_episode
from armillary.evaluate.video import psnr
from armillary.studies.fit import settings_from
from armillary.studies.runs import LoadedRun, held_out
from armillary.worlds.diffusion.train import PRESETS, Config
from benchmarks.rows import row
from recipes.bridge import FOLDER, FPS, bridge_episodes
from recipes.futures import draw, owners, prompt, windows_of
from recipes.intervals import over_seeds_and_episodes
from recipes.seeds import begin, run_seeds, study_parser
from recipes.training import processor_seconds, trained

NAME, FAMILY = "new_robot", "diffusion"
SHARED = Path(__file__).parents[2] / "shared" / "data"
G1 = "g1_inspire_lerobot21_160x120"
LEARNED, HELD_OUT = 10, 8
BASE_STEPS, STEPS, RANK = 800, 400, 16
# A step of 0.2 s on both robots, and windows that fit into ten pictures.
SETTINGS = {
    "data.stride": "6",
    "model.chunk-steps": "5",
    "model.width": "128",
    "model.depth": "3",
    "train.workers": "0",
    "train.precision": "bf16",
    "train.ema-decay": "0.99",
    "data.validation-fraction": "0",
}
RATES = {"lora": 10.0, "full": 1.0, "scratch": 1.0, "scratch_long": 1.0}  # of learning, as parts of the family's own
CONTEXT, AHEAD, STEP_S = 2, (2, 5), 1.0 / FPS
SAMPLES = 8
WINDOWS_AT_ONCE = 16

logger = logging.getLogger(NAME)


def settings() -> Config:
    """What `armillary cost new_robot` tells the cost of: the training run of one seed's base."""
    return base_settings(0, quick=False)


def base_settings(seed: int, quick: bool) -> Config:
    """The settings of the world of the first robot; the last weights are used, so no validation episodes."""
    return override(PRESETS["default"], SETTINGS | {"train.seed": str(seed), "train.steps": "4" if quick else str(BASE_STEPS)})


def new_settings(subject: str, base: LoadedRun, seed: int, quick: bool) -> Config:
    """The settings of one way to learn the new robot: the base's model."""
    steps = BASE_STEPS + STEPS if subject == "scratch_long" else STEPS
    words = {"data.stride": "1", "data.test-fraction": str((HELD_OUT + 0.5) / (LEARNED + HELD_OUT))}
    words |= {"train.warmup-steps": "20", "train.steps": "4" if quick else str(steps), "train.learning-rate-scale": str(RATES[subject])}
    return override(settings_from(FAMILY, base_settings(seed, quick), str(base.path)), words)


def bridge_data(shared: Path, folder: Path) -> Path:
    """The new robot's episodes as a dataset in `folder`, written now unless it was before."""
    if not folder.exists():
        episodes = [episode for path in sorted((shared / FOLDER).glob("*.tfrecord-*")) for episode in bridge_episodes(path)]
        if len(episodes) != LEARNED + HELD_OUT:
            raise DataError(f"{shared / FOLDER} has {len(episodes)} episodes, {LEARNED + HELD_OUT} are expected; give --shared")
        with staged_folder(folder) as staging:
            write_dataset(staging / "dataset", episodes, robot_type="widowx")
    return folder / "dataset"


def judge(seed: int, options: Namespace, out: Path) -> Mapping[str, list]:
    """Everything measured of one seed, an episode's mean at a time, by "what|subject|horizon"."""
    replay = ["python", "-m", f"recipes.{NAME}", "--shared", str(options.shared), "--seed", str(seed)]
    data, found = bridge_data(options.shared, out / "bridge"), {}
    logger.info("seed %d: the base", seed)
    base = trained(FAMILY, base_settings(seed, options.quick), data=options.shared / G1, folder=out / f"base-{seed}", replay=replay)
    found["processor time of training|base"] = [processor_seconds(base) / 60.0]
    for subject in RATES:
        logger.info("seed %d: %s", seed, subject)
        begins = {} if "scratch" in subject else {"init": base.path, "lora_rank": RANK if subject == "lora" else 0}
        config = new_settings(subject, base, seed, options.quick)
        run = trained(FAMILY, config, data=data, folder=out / f"{subject}-{seed}", replay=replay, **begins)
        found |= judge_run(subject, run, data, seed, options.quick)
        found[f"processor time of training|{subject}"] = [processor_seconds(run) / 60.0]
        whole = sum(parameter.numel() for parameter in run.world.parameters())
        found[f"parameters that learn|{subject}"] = [run.recorded.get("init", {}).get("learned_parameters", whole)]
    for key in [key for key in found if key.startswith("gain")]:
        what, subject, horizon_s = key.split("|")
        if subject != "scratch":
            over = np.asarray(found[key]) - np.asarray(found[f"{what}|scratch|{horizon_s}"])
            found[f"{what} over scratch|{subject}|{horizon_s}"] = over
    return {key: np.asarray(value).tolist() for key, value in found.items()}


def judge_run(subject: str, run: LoadedRun, data: Path, seed: int, quick: bool) -> dict[str, np.ndarray]:
    """The mean of samples and single ones on held-out episodes, and what copy-last has there."""
    held = held_out(run, data)
    sizes = {"context": CONTEXT, "ahead": AHEAD[-1]}
    windows = windows_of(held.episodes, **sizes, step_s=STEP_S, every_s=STEP_S, seed=seed, quick=quick)
    found: dict[str, list] = {}
    for first in range(0, len(windows), WINDOWS_AT_ONCE):
        batch = gather(held.episodes, windows[first : first + WINDOWS_AT_ONCE], run.camera, CONTEXT, AHEAD[-1], "cpu")
        rng = seeded(seed + first)
        with torch.no_grad(), evaluating(run.world):
            state = run.world.start(prompt(batch, SAMPLES), rng)
            samples = draw(run.world, state, batch.future_actions, rng, count=SAMPLES, steps=AHEAD)
        for at, step in enumerate(AHEAD):
            real, horizon_s = batch.real[:, step - 1], round(step * STEP_S, 1)
            copied = psnr(batch.context[:, -1], real)
            measured = {
                f"PSNR|copy_last|{horizon_s}": copied,
                f"gain of the mean of samples|{subject}|{horizon_s}": psnr(samples[:, :, at].mean(1), real) - copied,
                f"gain of a single sample|{subject}|{horizon_s}": psnr(samples[:, :, at], real[:, None]).mean(1) - copied,
            }
            for key, values in measured.items():
                found.setdefault(key, []).append(values)
    return {key: mean_by_episode(parts, owners(windows)) for key, parts in found.items()}


def rows(kept: Sequence[Mapping[str, list]]) -> list[dict]:
    """The table: one row for each measure, subject and horizon."""
    found = []
    for key in kept[0]:
        what, subject, *horizon_s = key.split("|")
        estimate = over_seeds_and_episodes(np.stack([np.asarray(one[key], float) for one in kept]))
        metric = f"{what}, +{horizon_s[0]} s" if horizon_s else what
        unit = "dB" if horizon_s else "min" if "time" in what else ""
        found.append(row(NAME, subject, metric, estimate, seeds=len(kept), unit=unit))
    return found


def main() -> None:
    """Train, judge, print the rows."""
    arguments = study_parser(NAME, __doc__)
    arguments.add_argument("--shared", type=Path, default=SHARED, help="the folder with the recordings of both robots")
    run_seeds(NAME, begin(arguments), judge, rows)


if __name__ == "__main__":
    main()
