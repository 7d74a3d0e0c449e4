"""Same data, same budget: diffusion, an autoregressive world and V-M-C on a real humanoid's recordings, in one table.

    python -m recipes.same_budget [--shared PATH] [--seeds N] [--seed K ...] [--out DIR] [--quick] [--json]

Same data and split as `g1_open_loop`. Each world is trained for as many steps as it makes in about eight minutes of one core (the times are
in the table); `direct_unet`, which foretells frames without being a world, as long as in `g1_open_loop`. On the held-out episodes:

* PSNR of the mean of SAMPLES futures, and of single ones, as gains over copy-last; what another episode's actions cost the mean; how
  sharp single futures are (energy of their Laplacian, the real frames of the same moments having 1);
* Frechet distance of dreamt clips of 1.6 s from the real ones, in the features of one V-JEPA encoder that learned from real videos, the
  G1's training episodes among them (`video_probes`); two halves of the real clips beside it, at half the number of clips;
* drift: dreams of 20 s, ten times the training length. No recording is as long, so two held-out episodes are joined: after the cut the
  arms go where they are told to, among other things than were seen;
* processor time of one world's step and picture.

Intervals are bootstrapped over seeds and episodes together, those of Frechet distances and times over seeds alone.
"""

import logging
import time
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from armillary.core import Episode, World, seeded
from armillary.core.settings import override
from armillary.evaluate.baselines import Predict, copy_last
from armillary.evaluate.direct_unet import DirectUnetConfig, fit_direct_unet
from armillary.evaluate.drift import LONGER, evaluate_drift
from armillary.evaluate.frechet import frechet_distance
from armillary.evaluate.open_loop import Window, WindowBatch, dream, evaluating, gather
from armillary.evaluate.result import mean_by_episode
from armillary.evaluate.video import laplacian_energy, psnr
from armillary.evaluate.video_features import clip_features
from armillary.studies.fit import family_module
from armillary.studies.runs import HeldOut, LoadedRun, held_out
from benchmarks.rows import row
from recipes import video_probes
from recipes.futures import draw, owners, prompt, windows_of
from recipes.g1_worlds import DATA
from recipes.intervals import over_seeds_and_episodes
from recipes.real_videos import FPS, real_videos
from recipes.seeds import begin, run_seeds, study_parser
from recipes.training import processor_seconds, trained

NAME = "same_budget"
SETTINGS = {
    "diffusion": {"train.steps": "560", "train.precision": "bf16", "train.ema-decay": "0.99"},
    "autoregressive": {"train.steps": "2000", "train.precision": "bf16", "train.ema-decay": "0.99", "model.top-p": "0.8"},
    "vmc": {"train.steps": "460"},
}
UNET, COPY, REAL = "direct_unet", "copy_last", "real frames"
UNET_STEPS = 600  # as in g1_open_loop
STEP_S = 0.1
CONTEXT, TRAINED_STEPS = 5, 20
HORIZONS_S = (1.0,)
AHEAD = TRAINED_STEPS
SAMPLES = 4
EVERY_S, EVERY_S_CLIPS = 3.0, 1.0  # how far apart windows start
WINDOWS_AT_ONCE = 16
CLIP = range(2, 2 * video_probes.WINDOW + 1, round(1.0 / (FPS * STEP_S)))  # the steps whose pictures make a clip
METRICS = {  # what is measured, and its unit
    "gain of the mean of samples over copy-last": "dB",
    "gain of a single sample over copy-last": "dB",
    "mean of samples over other actions": "dB",
    "sharpness of a single sample": "",
}

logger = logging.getLogger(NAME)


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One that foretells: a world, or a predictor without chance; and what its training took of one core."""

    foretells: World | Predict
    seconds: float = 0.0

    @property
    def world(self) -> World | None:
        """The world, where it is one."""
        return self.foretells if hasattr(self.foretells, "step") else None

    @torch.no_grad()
    def pictures(
        self, batch: WindowBatch, actions: Float[Tensor, "b t a"], steps: Sequence[int], *, count: int, seed: int
    ) -> Float[Tensor, "b s n 3 y x"]:
        """The pictures after `n` numbers of steps in `count` futures of each window (one, where there is no chance)."""
        if self.world is None:
            told = self.foretells(batch.context, batch.context_actions, actions, seeded(seed))
            return told[:, None, torch.tensor(steps) - 1]
        rng = seeded(seed)
        with evaluating(self.world):
            return draw(self.world, self.world.start(prompt(batch, count), rng), actions, rng, count=count, steps=steps).clamp(0.0, 1.0)


def settings():
    """What `armillary cost same_budget` tells the cost of: the diffusion run of one seed."""
    return recipe("diffusion", 0, quick=False)


def recipe(family: str, seed: int, quick: bool):
    """The settings of one training run: the last weights are judged, so no validation episodes."""
    words = {"train.seed": str(seed), "train.workers": "0", "data.validation-fraction": "0", **SETTINGS[family]}
    return override(family_module(family).PRESETS["default"], words | ({"train.steps": "12"} if quick else {}))


def judge(seed: int, options: Namespace, out: Path) -> Mapping[str, list]:
    """Everything measured of one seed, an episode's mean at a time, by "what|subject|horizon"."""
    data, quick = options.shared / DATA.name, options.quick
    replay = ["python", "-m", f"recipes.{NAME}", "--shared", str(options.shared), "--seed", str(seed)]
    runs: dict[str, LoadedRun] = {}
    for family in SETTINGS:
        logger.info("seed %d: %s", seed, family)
        runs[family] = trained(family, recipe(family, seed, quick), data=data, folder=out / f"{family}-{seed}", replay=replay)
    run = runs["diffusion"]
    held, encoder = held_out(run, data), judging_encoder(run, options, out)
    subjects = {name: Subject(foretells=one.world, seconds=processor_seconds(one)) for name, one in runs.items()}
    subjects |= {UNET: unet(held, run.camera, seed, quick), COPY: Subject(foretells=copy_last)}
    found: dict[str, np.ndarray] = {}
    with torch.no_grad():
        for name, subject in subjects.items():
            logger.info("seed %d: judging %s", seed, name)
            found |= {f"{what}|{name}|{s}": values for (what, s), values in judge_futures(subject, held, run.camera, seed, quick).items()}
            found[f"processor time of training|{name}"] = np.asarray([subject.seconds])
            if subject.world is not None:
                found[f"processor time of a step and its picture|{name}"] = np.asarray(
                    [step_seconds(subject.world, held, run.camera, seed)]
                )
        logger.info("seed %d: clips", seed)
        found |= judge_clips(subjects, encoder, held, run.camera, seed, quick)
    for name, one in runs.items():
        logger.info("seed %d: drift of %s", seed, name)
        found |= judge_drift(name, one, held, seed, quick)
    return {key: np.asarray(value).tolist() for key, value in found.items()}


def judging_encoder(run: LoadedRun, options: Namespace, out: Path):
    """The V-JEPA encoder whose features tell dreams from recordings: one for all seeds, which has seen no held-out episode."""
    training = held_out(run, options.shared / DATA.name).training
    shared = None if options.quick else options.shared
    videos = real_videos(training, run.camera, shared, out / "videos", shortest=video_probes.WINDOW)
    replay = ["python", "-m", f"recipes.{NAME}"]
    folder = out / "encoder"
    return trained(video_probes.FAMILY, video_probes.settings(0, options.quick), data=videos, folder=folder, replay=replay).world.networks


def unet(held: HeldOut, camera: str, seed: int, quick: bool) -> Subject:
    """The network without a world in it, trained now."""
    logger.info("seed %d: %s", seed, UNET)
    started = time.process_time()
    network = fit_direct_unet(
        held.training, camera=camera, num_future=AHEAD, config=DirectUnetConfig(steps=12 if quick else UNET_STEPS), seed=seed
    )
    return Subject(foretells=network, seconds=time.process_time() - started)


def judge_futures(subject: Subject, held: HeldOut, camera: str, seed: int, quick: bool) -> dict[tuple[str, float], np.ndarray]:
    """The METRICS at each horizon, an episode's mean at a time."""
    windows, found = moments(held.episodes, EVERY_S, seed, quick), {}
    for first in range(0, len(windows), WINDOWS_AT_ONCE):
        batch = gather(held.episodes, windows[first : first + WINDOWS_AT_ONCE], camera, CONTEXT, AHEAD, "cpu")
        steps = [round(horizon_s / STEP_S) for horizon_s in HORIZONS_S]
        told, others = (
            subject.pictures(batch, actions, steps, count=SAMPLES, seed=seed + first)
            for actions in (batch.future_actions, batch.other_actions)
        )
        for at, horizon_s in enumerate(HORIZONS_S):
            real, samples = batch.real[:, steps[at] - 1], told[:, :, at]
            mean, copied = psnr(samples.mean(1), real), psnr(batch.context[:, -1], real)
            singles = psnr(samples, real[:, None].expand_as(samples)).mean(1)
            other = psnr(others[:, :, at].mean(1), real)
            sharp = laplacian_energy(samples).mean(1) / laplacian_energy(real)
            for what, values in zip(METRICS, (mean - copied, singles - copied, mean - other, sharp), strict=True):
                found.setdefault((what, horizon_s), []).append(values)
    return {key: mean_by_episode(parts, owners(windows)) for key, parts in found.items()}


def judge_clips(
    subjects: Mapping[str, Subject], encoder, held: HeldOut, camera: str, seed: int, quick: bool
) -> dict[str, Float[np.ndarray, " 1"]]:
    """Frechet distances of each subject's clips from the real ones, and of one half of the real ones from the other."""
    windows = moments(held.episodes, EVERY_S_CLIPS, seed, quick=False)
    windows = windows[:4] if quick else windows
    features: dict[str, list[np.ndarray]] = {}
    for first in range(0, len(windows), WINDOWS_AT_ONCE):
        batch = gather(held.episodes, windows[first : first + WINDOWS_AT_ONCE], camera, CONTEXT, CLIP[-1], "cpu")
        clips = {REAL: batch.real[:, torch.tensor(CLIP) - 1]}
        for name, subject in subjects.items():
            clips[name] = subject.pictures(batch, batch.future_actions, CLIP, count=1, seed=seed + first)[:, 0]
        for name, frames in clips.items():
            features.setdefault(name, []).append(clip_features(encoder, frames))
    vectors = {name: np.concatenate(parts) for name, parts in features.items()}
    distances = {name: frechet_distance(vectors[REAL], vectors[name], seed=seed) for name in subjects}
    what = f"Frechet distance in V-JEPA features, {len(windows)} clips"
    found = {f"{what}|{name}": np.asarray([one.value]) for name, one in distances.items()}
    return found | {f"{what}|{REAL}, halves": np.asarray([distances[COPY].floor])}


def judge_drift(name: str, run: LoadedRun, held: HeldOut, seed: int, quick: bool) -> dict[str, np.ndarray]:
    """What is left after ten times the training length: each measure of the last second, its mean of every joined pair of episodes."""
    longer = 2 if quick else LONGER
    pairs = [joined(one, other) for one, other in zip(held.episodes[::2], held.episodes[1::2], strict=True)]
    result = evaluate_drift(
        run.world, pairs[: 2 if quick else None], camera=run.camera, trained_steps=TRAINED_STEPS, longer=longer, seed=seed
    )
    last = {
        (measure, subject): np.asarray(curve)[:, -10:].mean(1) for measure, by in result.curves.items() for subject, curve in by.items()
    }
    subjects = {"model": name} | ({COPY: COPY} if name == "vmc" else {})
    found, at = {}, result.horizons_s[-1]
    for given, subject in subjects.items():
        found |= {
            f"sharpness, {at:.0f} s into a dream|{subject}": last["sharpness", given] / last["sharpness", "real"],
            f"motion, {at:.0f} s into a dream|{subject}": last["motion", given] / last["motion", "real"],
            f"colour shift, {at:.0f} s into a dream|{subject}": last["colour_shift", given],
            f"PSNR, {at:.0f} s into a dream|{subject}": last["psnr", given],
        }
    return found


def joined(one: Episode, other: Episode) -> Episode:
    """Two recordings, the second after the first."""
    return Episode(
        frames={camera: np.concatenate([frames, other.frames[camera]]) for camera, frames in one.frames.items()},
        actions=np.concatenate([one.actions, other.actions]),
        seconds_per_step=one.seconds_per_step,
        index=one.index,
    )


def step_seconds(world: World, held: HeldOut, camera: str, seed: int) -> float:
    """Processor time of a step of one world and its picture: the mean of two seconds of dreaming, the first step left out."""
    window = moments(held.episodes, 100.0, seed, quick=False)[:1]
    batch = gather(held.episodes, window, camera, CONTEXT, AHEAD, "cpu")
    spent: list[float] = []
    told = dream(world)
    with evaluating(world):
        for steps in (1, AHEAD):
            started = time.process_time()
            told(batch.context, batch.context_actions, batch.future_actions[:, :steps], seeded(seed))
            spent.append(time.process_time() - started)
    return (spent[1] - spent[0]) / (AHEAD - 1)


def moments(episodes: Sequence[Episode], every_s: float, seed: int, quick: bool) -> list[Window]:
    """Where dreams begin: the same for every subject."""
    return windows_of(episodes, context=CONTEXT, ahead=AHEAD, step_s=STEP_S, every_s=every_s, seed=seed, quick=quick)


def rows(kept: Sequence[Mapping[str, list]]) -> list[dict]:
    """The table: one row for each measure, subject and horizon."""
    found = []
    for key in kept[0]:
        what, subject, *horizon = key.split("|")
        estimate = over_seeds_and_episodes(np.stack([np.asarray(one[key]) for one in kept]))
        unit = METRICS.get(what, "s" if "time" in what else "dB" if what.startswith("PSNR") else "")
        metric = ", ".join([what, *(f"+{horizon_s} s" for horizon_s in horizon)])
        found.append(row(NAME, subject, metric, estimate, seeds=len(kept), unit=unit, digits=4))
    return found


def main() -> None:
    """Train, judge, print the rows."""
    arguments = study_parser(NAME, __doc__)
    arguments.add_argument("--shared", type=Path, default=DATA.parent, help="the folder of real recordings")
    run_seeds(NAME, begin(arguments), judge, rows)


if __name__ == "__main__":
    main()
