"""V-JEPA 2 pre-trained on real videos without labels: what a linear probe reads from its frozen tokens about a real humanoid.

    python -m recipes.video_probes [--shared PATH] [--seeds N] [--seed K ...] [--out DIR] [--quick] [--json]

Each seed pre-trains two small encoders on every real video under --shared (see `recipes.real_videos`); of the G1's episodes the last fifth
is held out. The first is asked for what comes next (`model.future_masks`), the second, as V-JEPA 2, for blocks that are hidden for all
time. Both see every window moved by a few pixels, since the camera was moved between episodes. Then a ridge probe reads windows of
eight pictures, 0.2 s apart, that end now. It is fitted on the G1's training episodes, and the last tenth of them chooses its penalty.
It is asked for

* the joint state now, 26 numbers, each in units of its deviation in the training episodes: R2 about their mean;
* how the right arm's seven joints moved in the last 0.4 s, in the same units: R2 about the mean motion;
* in which direction: the share of right signs, over all joints and moments where one moved more than half its usual deviation.

The same windows are read from the trained encoders' tokens, averaged in 4 x 4 parts of the picture and kept apart in time (6,144
numbers), from those of the first encoder before it learned anything, and from principal components of the pixels of the windows that
the probe is fitted on: as many numbers, or all there are where windows are fewer, and the first 512 of them.
Intervals are bootstrapped over held-out episodes and seeds together; differences are of the same seeds and episodes.
"""

import logging
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from armillary.core import Episode, Estimate, to_model
from armillary.data.shape import DataConfig
from armillary.data.splits import split_episodes
from armillary.evaluate.linear_probe import fit_linear_probe
from armillary.evaluate.principal_components import PrincipalComponents
from armillary.studies.fit import build_world, family_module, read_settings
from armillary.studies.runs import LoadedRun
from armillary.studies.source import open_source
from benchmarks.rows import row
from recipes.g1_worlds import DATA
from recipes.intervals import r2_difference, r2_over_seeds_and_episodes
from recipes.real_videos import FPS, SIDE, real_videos
from recipes.seeds import begin, run_seeds, study_parser
from recipes.training import processor_seconds, trained

NAME, FAMILY = "video_probes", "vjepa2"
WINDOW = 8
STEPS = 1500
MODEL = {"num_frames": WINDOW, "batch_size": 8, "learning_rate": 1.5e-3, "momentum": 0.99, "shift_pixels": 4}
TRAINED, BLOCKS, UNTRAINED, CONSTANT = "V-JEPA 2", "V-JEPA 2, masks of blocks", "random encoder", "mean of training"
MASKS = {
    TRAINED: {"mask_blocks": (), "mask_areas": (), "future_masks": 1},
    BLOCKS: {"mask_blocks": (8,), "mask_areas": (0.15,)},
}
FOLDERS = {TRAINED: FAMILY, BLOCKS: f"{FAMILY}-blocks"}
EVERY_S = 0.2  # a window ends
MOVED_S = 0.4
RIGHT_ARM = slice(7, 14)  # kRightShoulderPitch to kRightWristYaw in the dataset's state
CELLS = 4  # rows and columns
FIRST = 512  # principal components
NOTES = ("The steps of training were chosen after looks at the held-out episodes, the shift on others (docs/LOG.md, 2026-11-22).",)
AT_ONCE = 64
PIXELS, FEWER = "PCA of pixels", f"PCA, first {FIRST}"
METRICS = {"state": "R2 of the joint state", "motion": "R2 of the arm's motion", "direction": "right directions of motion"}

logger = logging.getLogger(NAME)


@dataclass(frozen=True)
class Windows:
    """Some episodes' windows one after the other, and what is to be read from them in units of the training episodes."""

    pictures: Sequence[Float[np.ndarray, "t h w 3"]]
    index: Sequence[Int[np.ndarray, "n t"]]
    state: Float[Tensor, "m 26"]
    motion: Float[Tensor, "m 7"]

    def read(self, features: Callable[[Float[Tensor, "n t 3 h w"]], Tensor]) -> Float[Tensor, "m d"]:
        """What `features` makes of each window, a few of them at once."""
        found = []
        for pictures, index in zip(self.pictures, self.index, strict=True):
            found += [features(to_model(pictures[part])) for part in np.array_split(index, -(-len(index) // AT_ONCE))]
        return torch.cat(found)

    @property
    def episode(self) -> list[int]:
        """How many windows each episode has."""
        return [len(index) for index in self.index]


def settings(seed: int = 0, quick: bool = False, subject: str = TRAINED):
    """The settings of one pre-training run. Every episode of its dataset is learned from: the held-out ones are not in it."""
    config = family_module(FAMILY).PRESETS["default"]
    train = replace(config.train, seed=seed, steps=4 if quick else STEPS, warmup_steps=50, precision="bf16", workers=0)
    data = replace(config.data, height=SIDE, width=SIDE, stride=1, test_fraction=0.0, validation_fraction=0.0)
    return replace(config, train=train, data=data, model=replace(config.model, **MODEL, **MASKS[subject]))


def windows(episodes: Sequence[Episode], camera: str) -> Windows:
    """Windows that end every EVERY_S."""
    rate = 1.0 / episodes[0].seconds_per_step
    step, moved = round(rate / FPS), round(MOVED_S * rate)
    index, state, motion = [], [], []
    for episode in episodes:
        now = np.arange((WINDOW - 1) * step, len(episode), round(EVERY_S * rate))
        index.append(now[:, None] - step * np.arange(WINDOW)[::-1])
        state.append(episode.state[now])
        motion.append((episode.state[now] - episode.state[now - moved])[:, RIGHT_ARM])
    told = (torch.from_numpy(np.concatenate(one)) for one in (state, motion))
    return Windows([episode.frames[camera] for episode in episodes], index, *told)


def in_units(fitted: Windows, parts: Sequence[Windows]) -> list[Windows]:
    """Every number over its deviation in `fitted`, floored at a thousandth of the largest."""
    units = [one.std(0).clamp_min(1e-3 * float(one.std(0).max())) for one in (fitted.state, fitted.motion)]
    return [replace(part, state=part.state / units[0], motion=part.motion / units[1]) for part in parts]


def pooled(tokens: Float[Tensor, "b times rows columns d"]) -> Float[Tensor, "b n"]:
    """Tokens of each time averaged in CELLS x CELLS parts of the picture."""
    rows, columns = tokens.shape[2:4]
    cells = tokens.unflatten(3, (CELLS, columns // CELLS)).unflatten(2, (CELLS, rows // CELLS))
    return cells.mean((3, 5)).flatten(1)


def tokens(world) -> Callable[[Tensor], Tensor]:
    """What an encoder makes of windows, pooled."""

    @torch.no_grad()
    def features(frames: Float[Tensor, "n t 3 h w"]) -> Float[Tensor, "n d"]:
        with torch.autocast("cpu", torch.bfloat16):
            return pooled(world.encode(frames).float())

    return features


def pixels(frames: Float[Tensor, "n t 3 h w"]) -> Float[Tensor, "n d"]:
    """Every pixel of windows."""
    return frames.flatten(1)


def judge(seed: int, options: Namespace, out: Path) -> Mapping[str, object]:
    """[errors, what they are compared with], by metric, subject and held-out episode; the seconds that each training took."""
    source = open_source(options.shared / DATA.name, DataConfig(height=SIDE, width=SIDE))
    split = split_episodes(source.episodes, DataConfig(validation_fraction=0.0))
    training, test = (split.choose(part, source.episodes) for part in ("train", "test"))
    if options.quick:
        training, test = training[:3], test[:2]
    videos = real_videos(training, source.camera, None if options.quick else options.shared, out / "videos", shortest=WINDOW)
    replay = ["python", "-m", f"recipes.{NAME}", "--shared", str(options.shared), "--seed", str(seed)]
    runs = {}
    for subject, folder in FOLDERS.items():
        config = settings(seed, options.quick, subject)
        runs[subject] = trained(FAMILY, config, data=videos, folder=out / f"{folder}-{seed}", replay=replay)
    logger.info("seed %d: probing", seed)
    many = max(len(training) // 10, 1)
    parts = [windows(some, source.camera) for some in (training[:-many], training[-many:], test)]
    seconds = {subject: processor_seconds(run) for subject, run in runs.items()}
    return {"errors": errors(runs, in_units(parts[0], parts)), "seconds": seconds}


def errors(runs: Mapping[str, LoadedRun], parts: Sequence[Windows]) -> dict[str, dict[str, list]]:
    """By metric and subject: each held-out episode's errors, and squared distances from the mean, or how many directions were asked for."""
    config, shape, _ = read_settings(runs[TRAINED].recorded)
    worlds = {subject: run.world for subject, run in runs.items()} | {UNTRAINED: build_world(FAMILY, config, shape).eval()}
    fitted, aside, test = parts
    found = {metric: {} for metric in METRICS}
    numbers = {subject: [part.read(tokens(world)) for part in parts] for subject, world in worlds.items()}
    components = PrincipalComponents(fitted.read(pixels), numbers[TRAINED][0].shape[1])
    numbers[PIXELS] = [components.project(part.read(pixels)) for part in parts]
    numbers[FEWER] = [one[:, :FIRST] for one in numbers[PIXELS]]
    for subject, (first, second, third) in numbers.items():
        for metric in ("state", "motion"):
            one, other, truth = (getattr(part, metric) for part in (fitted, aside, test))
            probe = fit_linear_probe(first, one, (second, other))
            told = probe.read(third)
            found[metric][subject] = squared_errors(told, truth, probe.target_mean, test)
            found[metric][CONSTANT] = squared_errors(probe.target_mean.expand_as(told), truth, probe.target_mean, test)
            if metric == "motion":
                found["direction"][subject] = wrong_signs(told, truth, test)
                found["direction"][CONSTANT] = wrong_signs(one.sign().mean(0).expand_as(told), truth, test)
    return found


def squared_errors(told: Float[Tensor, "n k"], truth: Float[Tensor, "n k"], mean: Float[Tensor, " k"], test: Windows) -> list[list[float]]:
    """Squared errors and squared distances from the training mean, summed in each episode."""
    return [_sums((truth - one).double().square(), test) for one in (told, mean)]


def wrong_signs(told: Float[Tensor, "n k"], truth: Float[Tensor, "n k"], test: Windows) -> list[list[float]]:
    """In each episode, how many signs of motions above half the usual deviation were told wrong, and how many such motions there were."""
    moved = truth.abs() > 0.5
    return [_sums((moved & ((told > 0) != (truth > 0))).double(), test), _sums(moved.double(), test)]


def _sums(values: Float[Tensor, "n k"], test: Windows) -> list[float]:
    return [float(part.sum()) for part in values.split(test.episode)]


def rows(found: Sequence[Mapping]) -> list[dict]:
    """The table: every subject, then what the first trained encoder is better by."""
    table, seeds = [], len(found)
    for metric, told in METRICS.items():
        values = {subject: np.array([one["errors"][metric][subject] for one in found]) for subject in found[0]["errors"][metric]}
        table += [row(NAME, subject, told, r2_over_seeds_and_episodes(one), seeds=seeds) for subject, one in values.items()]
        for rival in (UNTRAINED, PIXELS, FEWER, BLOCKS):
            better = r2_difference(values[TRAINED], values[rival])
            table.append(row(NAME, f"gain over {rival}", told, better, seeds=seeds))
    for subject in FOLDERS:
        seconds = np.array([one["seconds"][subject] for one in found])
        spent = Estimate(value=float(seconds.mean()), low=float(seconds.min()), high=float(seconds.max()), n=seeds)
        table.append(row(NAME, subject, "processor time of training", spent, seeds=seeds, unit="s", digits=0))
    return table


def main() -> None:
    """Pre-train, probe, print the rows."""
    arguments = study_parser(NAME, __doc__)
    arguments.add_argument("--shared", type=Path, default=DATA.parent, help="the folder of real recordings")
    run_seeds(NAME, begin(arguments), judge, rows, kept="errors", notes=NOTES)


if __name__ == "__main__":
    main()
