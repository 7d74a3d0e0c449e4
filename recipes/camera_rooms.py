"""Does a dream's camera go where it is asked to? Motions asked of a video diffusion world in twin rooms, and those read from what it drew.

    python -m recipes.camera_rooms [--seeds N] [--seed K ...] [--out DIR] [--quick] [--json]

Recorded here: tours of a camera through EPISODES rooms of a twin, each furnished anew, of which the last fifth is held out. Two worlds
learn the others, with the same data, sizes and number of steps: `conditioned` is told the camera's motions as rays, `unconditioned` is
not. Each draws 0.8 s from one held-out picture. The judge (`evaluate/camera_motion.py`) knows that picture's true depth and reads from each
later one how the camera moved since; where it finds no motion its worst value counts. Beside: the true pictures (ceiling), a camera that
stays (floor, whose rotation and place errors are the sizes of what was asked), and the conditioned world asked for another tour's motions.
The bar: errors of `conditioned` below half of those of `unconditioned`. Intervals are bootstrapped over seeds and episodes together.
"""

import logging
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from armillary.core import Prompt, seeded
from armillary.core.settings import override
from armillary.data.labels import read_labels
from armillary.data.staging import staged_folder
from armillary.evaluate.camera_motion import motion_error, recover_motion
from armillary.evaluate.open_loop import Window, WindowBatch, evaluating, gather
from armillary.evaluate.result import mean_by_episode
from armillary.evaluate.video import psnr
from armillary.nn.pluecker import poses_along
from armillary.studies.runs import HeldOut, LoadedRun, held_out
from armillary.studies.simulate import simulate
from armillary.worlds.twin.manifest import Manifest
from armillary.worlds.twin.randomise import Randomiser
from armillary.worlds.twin.tour import CAMERA
from armillary.worlds.video_diffusion.train import PRESETS, Config
from benchmarks.rows import row
from recipes.futures import owners, windows_of
from recipes.intervals import over_seeds_and_episodes, ratio_over_seeds_and_episodes
from recipes.seeds import begin, run_seeds, study_parser
from recipes.training import processor_seconds, trained

NAME, FAMILY = "camera_rooms", "video-diffusion"
EPISODES, PICTURES, SIDE, STEP_S = 200, 25, 64, 0.2
AHEAD = 4  # steps, all of one chunk
HORIZONS = (2, 4)
STEPS = 2400
EVERY_S = 1.0  # how far apart windows start
WINDOWS_AT_ONCE = 32
SETTINGS = {
    "data.height": str(SIDE),
    "data.width": str(SIDE),
    "data.stride": "1",
    "data.camera-motion": "yes",
    "data.validation-fraction": "0",
    "model.patch": "8",
    "model.context-steps": "1",
    "model.chunk-steps": str(AHEAD),
    "model.text": "none",
    "model.image-share": "0",
    "model.batch-size": "8",
    "train.precision": "bf16",
    "train.workers": "0",
    "train.ema-decay": "0.99",
}
# What each is told, and what it learns to draw: the pictures after the first, with or without the motions between them.
WORLDS = {"conditioned": ("yes", "forward-dynamics"), "unconditioned": ("no", "image-to-world")}
MODES = ("text-to-world", "image-to-world", "video-to-world", "forward-dynamics", "inverse-dynamics", "policy")
MEASURES = {"rotation error": "deg", "direction error": "deg", "place error": "m"}

logger = logging.getLogger(NAME)


def settings() -> Config:
    """What `armillary cost camera_rooms` tells the cost of: one training run."""
    return recipe("conditioned", 0, quick=False)


def recipe(subject: str, seed: int, quick: bool) -> Config:
    """The settings of one training run; the last weights are judged, so no validation episodes."""
    condition, mode = WORLDS[subject]
    words = SETTINGS | {f"model.modes.{one}": "1" if one == mode else "0" for one in MODES}
    words |= {"model.camera-condition": condition, "train.seed": str(seed), "train.steps": "4" if quick else str(STEPS)}
    return override(PRESETS["small"], words)


def tours(folder: Path, quick: bool) -> Path:
    """The recordings, made now unless they were before."""
    manifest = Manifest(
        scene="rooms",
        policy="tour",
        episodes=5 if quick else EPISODES,
        steps=PICTURES,
        seconds_per_step=STEP_S,
        size=SIDE,
        modalities=("rgb", "depth"),
        quality="draft",
        randomise=Randomiser(texture=0.6, fov_deg=0.0),
    )
    if not folder.exists():
        with staged_folder(folder) as staging:
            simulate(manifest, staging / "dataset", workers=1 if quick else 2)
    return folder / "dataset"


def judge(seed: int, options: Namespace, out: Path) -> Mapping[str, list]:
    """Everything measured of one seed, an episode's mean at a time, by "what|subject|seconds"."""
    data, found = tours(out / "tours", options.quick), {}
    replay = ["python", "-m", f"recipes.{NAME}", "--seed", str(seed)]
    for subject in WORLDS:
        logger.info("seed %d: training %s", seed, subject)
        run = trained(FAMILY, recipe(subject, seed, options.quick), data=data, folder=out / f"{subject}-{seed}", replay=replay)
        held = held_out(run, data)
        windows = windows_of(held.episodes, context=1, ahead=AHEAD, step_s=STEP_S, every_s=EVERY_S, seed=seed, quick=options.quick)
        logger.info("seed %d: judging %s on %d windows", seed, subject, len(windows))
        parts: dict[str, list] = {}
        for first in range(0, len(windows), WINDOWS_AT_ONCE):
            chosen = windows[first : first + WINDOWS_AT_ONCE]
            for key, values in judge_windows(subject, run, held, chosen, seed + first).items():
                parts.setdefault(key, []).append(values)
        found |= {key: mean_by_episode(values, owners(windows)) for key, values in parts.items()}
        found[f"processor time of training|{subject}"] = np.array([processor_seconds(run) / 60.0])
    return {key: np.asarray(value).tolist() for key, value in found.items()}


def judge_windows(subject: str, run: LoadedRun, held: HeldOut, windows: Sequence[Window], seed: int) -> dict[str, Tensor]:
    """Errors of a world's pictures in each window; with the conditioned world's, those of the true pictures and of a camera that stays."""
    batch = gather(held.episodes, windows, run.camera, 1, AHEAD, "cpu")
    depth_m, intrinsics = first_depths(held, windows)
    drawn = {subject: (dreamt(run, batch, batch.future_actions if subject == "conditioned" else None, seed), batch.future_actions)}
    if subject == "conditioned":
        drawn["conditioned, asked for another tour"] = dreamt(run, batch, batch.other_actions, seed), batch.other_actions
        drawn["true pictures"] = batch.real, batch.future_actions
        drawn["a camera that stays"] = batch.context.expand_as(batch.real), batch.future_actions
    found = {}
    for name, (pictures, motions) in drawn.items():
        recovered = recover_motion(batch.context[:, 0], depth_m, pictures, intrinsics)
        asked = np.linalg.inv(poses_along(motions).double().numpy())[:, 1:]
        for step in HORIZONS:
            errors = [motion_error(one[step - 1], other[step - 1]) for one, other in zip(recovered, asked, strict=True)]
            at = f"{name}|{step * STEP_S:.1f}"
            found[f"rotation error|{at}"] = torch.tensor([one.rotation_deg for one in errors])
            found[f"direction error|{at}"] = torch.tensor([one.direction_deg for one in errors])
            found[f"place error|{at}"] = torch.tensor([one.place_m for one in errors])
            found[f"motion recovered|{at}"] = torch.tensor([float(one.found) for one in errors])
            if motions is batch.future_actions and name != "true pictures":
                found[f"PSNR|{at}"] = psnr(pictures[:, step - 1], batch.real[:, step - 1])
    return found


def dreamt(run: LoadedRun, batch: WindowBatch, motions: Float[Tensor, "b t 6"] | None, seed: int) -> Float[Tensor, "b t 3 h w"]:
    """What a world draws after each window's one picture; the seed decides the noise, whatever is asked."""
    prompt = Prompt(batch_size=len(batch.context), frames=batch.context)
    with evaluating(run.world):
        return run.world.imagine(prompt, seeded(seed), actions=motions, steps=AHEAD)


def first_depths(held: HeldOut, windows: Sequence[Window]) -> tuple[Float[Tensor, "b h w"], Float64[np.ndarray, "3 3"]]:
    """The true depth of each window's first picture, and the camera's matrix, which all share."""
    found = {}
    for number in sorted({window.episode for window in windows}):
        labels = read_labels(held.source.dataset, held.episodes[number].index, cameras=(CAMERA,), modalities=("depth",))
        found[number] = labels.cameras[CAMERA]
    depths = np.stack([found[window.episode].depth_m[window.start] for window in windows])
    return torch.from_numpy(depths), found[windows[0].episode].intrinsics()


def rows(kept: Sequence[Mapping[str, list]]) -> list[dict]:
    """The table: one row for each measure, subject and horizon, then what the conditioned world's errors are to the other's."""
    values = {key: np.stack([np.asarray(one[key], float) for one in kept]) for key in kept[0]}
    found = []
    for key, per_seed in values.items():
        what, subject, *seconds = key.split("|")
        unit = "dB" if what == "PSNR" else "min" if "time" in what else MEASURES.get(what, "")
        metric = f"{what}, +{seconds[0]} s" if seconds else what
        found.append(row(NAME, subject, metric, over_seeds_and_episodes(per_seed), seeds=len(kept), unit=unit))
    for what in MEASURES:
        for step in HORIZONS:
            ends = f"{step * STEP_S:.1f}"
            ratio = ratio_over_seeds_and_episodes(values[f"{what}|conditioned|{ends}"], values[f"{what}|unconditioned|{ends}"])
            found.append(row(NAME, "conditioned / unconditioned", f"{what}, +{ends} s", ratio, seeds=len(kept)))
    return found


def main() -> None:
    """Record, train, judge, print the rows."""
    run_seeds(NAME, begin(study_parser(NAME, __doc__)), judge, rows)


if __name__ == "__main__":
    main()
