"""The physics suite: eight scenes in which physics alone decides, learned from simulated clips and foretold from one and from nine frames.

    python -m recipes.physics_suite [--family NAME] [--settings GROUP.NAME=VALUE ...] [--floors] [--seeds N] [--seed K ...] [--out DIR]
        [--quick] [--json]

Each seed records its own training clips of the eight scenes (other objects, sizes, heights and angles each time), trains the family on
them, and judges what it dreams in scenes of starts never seen in training, beside the last frame copied, optical flow carried on, and
the simulator itself, whose frames go through the same tracker. Rows: PSNR, SSIM, IoU of tracked objects with exact masks, errors of energy,
momentum, contact time and object count by scene, and in how many scenes the world is clearly above both floors. With --floors nothing
is trained: only floors and simulator are judged. Finished parts are kept under --out and not done again.
"""

import hashlib
import logging
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from armillary.core import Episode, Estimate, to_disk
from armillary.core.settings import override
from armillary.data.record import write_dataset
from armillary.evaluate.physics_clips import SECONDS_PER_STEP, record_clip
from armillary.evaluate.physics_suite import CONDITION_FRAMES, FLOORS, MEASURES, PhysicsResult, judge_physics, passive
from armillary.studies.fit import family_module
from armillary.worlds.small.record import CAMERA
from armillary.worlds.twin.scenes.catalogue import PHYSICS
from benchmarks.rows import row
from recipes.seeds import begin, run_seeds, study_parser
from recipes.training import trained

NAME, FAMILY = "physics_suite", "diffusion"
SIZE = 64  # pixels
RECORDED, JUDGED = 200, 20  # clips of each scene
SEEDS_APART = 10_000  # between the first scenes that two seeds train on
FIRST_JUDGED = 10**6  # judged scenes are drawn from the seeds from here on
UNITS = {"psnr": "dB", "contact_error_s": "s"}
WON = "scenes with IoU above both floors"

logger = logging.getLogger(NAME)


def settings(options: Namespace, seed: int):
    """The settings of one training run."""
    words = {"data.height": str(SIZE), "data.width": str(SIZE), "data.stride": "1", "train.seed": str(seed), "train.workers": "0"}
    words |= dict(word.split("=", 1) for word in options.settings)
    return override(family_module(options.family).PRESETS["default"], words | ({"train.steps": "4"} if options.quick else {}))


def recorded(first: int, count: int) -> Iterator[Episode]:
    """`count` clips of each scene, the scenes in turn. Nobody acts: there is one action, always 0."""
    for number in range(count):
        for scene in PHYSICS:
            frames = to_disk(torch.from_numpy(record_clip(scene, first + number, size=SIZE).frames))
            yield Episode(
                frames={CAMERA: frames},
                actions=np.zeros((len(frames), 1), dtype=np.float32),
                seconds_per_step=SECONDS_PER_STEP,
                task=scene.replace("_", " "),
                content_hash=hashlib.sha256(frames.tobytes()).hexdigest(),
            )


def judge(seed: int, options: Namespace, out: Path) -> Mapping:
    """Every measure of every judged clip, by "scene|condition frames|subject|measure"."""
    dreamers = {}
    if not options.floors:
        data = out / f"data-{seed}"
        if not (data / "meta" / "info.json").exists():
            logger.info("seed %d: recording", seed)
            clips = recorded(SEEDS_APART * seed, 1 if options.quick else RECORDED)
            write_dataset(data, clips, robot_type="armillary-physics")
        logger.info("seed %d: training", seed)
        replay = ["python", "-m", f"recipes.{NAME}", "--family", options.family, "--seed", str(seed)]
        run = trained(options.family, settings(options, seed), data=data, folder=out / f"{options.family}-{seed}", replay=replay)
        dreamers[options.family] = passive(run.world)
    found = {}
    for scene in list(PHYSICS)[: 2 if options.quick else None]:
        logger.info("seed %d: judging %s", seed, scene)
        clips = [record_clip(scene, FIRST_JUDGED + number, size=SIZE) for number in range(1 if options.quick else JUDGED)]
        found |= {"|".join(map(str, key)): value.tolist() for key, value in judge_physics(dreamers, clips, seed=seed).values.items()}
    return found


def rows(measured: Sequence[Mapping]) -> list[dict]:
    """Means over seeds clip by clip, so that intervals are over clips; the same clips are judged for every seed."""
    values = {}
    for key in measured[0]:
        scene, frames, subject, measure = key.split("|")
        values[scene, int(frames), subject, measure] = np.mean([one[key] for one in measured], axis=0)
    result, seeds = PhysicsResult(values=values), len(measured)
    found = [
        row(
            NAME,
            one["subject"],
            f"{one['metric']}, {one['scene'].replace('_', ' ')}, {one['condition_frames']} frames",
            Estimate(one["value"], one["low"], one["high"], one["n"]),
            seeds=seeds,
            unit=UNITS.get(one["metric"], ""),
        )
        for one in result.rows()
        if one["metric"] in MEASURES or one["subject"] != "simulator"
    ]
    for frames in CONDITION_FRAMES:
        for subject in dict.fromkeys(subject for _, _, subject, _ in values if subject not in FLOORS):
            count = float(len(result.won(frames, subject)))
            found.append(row(NAME, subject, f"{WON}, {frames} frames", Estimate(count, count, count, len(PHYSICS)), seeds=seeds))
    return found


def main() -> None:
    """Record, train, judge, print the rows."""
    arguments = study_parser(NAME, __doc__)
    arguments.add_argument("--family", default=FAMILY, help=f"the family to train and judge (default {FAMILY})")
    arguments.add_argument("--settings", nargs="*", default=[], metavar="GROUP.NAME=VALUE", help="settings of the family")
    arguments.add_argument("--floors", action="store_true", help="judge only the floors and the simulator")
    options = begin(arguments)
    words = (
        "--floors"
        if options.floors
        else " ".join(["--family", options.family, *(["--settings", *options.settings] if options.settings else [])])
    )
    run_seeds(NAME, options, judge, rows, kept="floors" if options.floors else options.family, words=words)


if __name__ == "__main__":
    main()
