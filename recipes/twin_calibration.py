"""Calibration of twins whose truth is known: how near are the estimates, and how often do the intervals hold the truth?

    python -m recipes.twin_calibration [--seeds 3] [--trials 20] [--quick] [--json] [--out DIR]

Two experiments a trial, each with a truth drawn from the priors' ranges (log-uniformly), and another guess to start from:
* slid: a block on a table is pushed with a known force, let go while friction brakes it, and pushed back. Asked: its mass and its friction.
* lifted: an object hangs on a spring-like drive of known stiffness, whose target jumps. Asked: its mass and the slide's damping.
Positions are seen at 50 Hz with a noise of 1 mm. What made the truth runs at half the twin's substep, so that the twin is a little wrong.
The trivial baseline is the middle of the prior's range (its geometric mean).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from armillary.core import Prompt
from armillary.core.storage import write_json
from armillary.evaluate.closed_loop_result import wilson
from armillary.worlds.twin.asset import Asset, Body, Drive, Joint, Material, Shape
from armillary.worlds.twin.calibration import calibrate
from armillary.worlds.twin.calibration_recording import Recording
from armillary.worlds.twin.calibration_unknown import Unknown
from armillary.worlds.twin.geometry import Box, Plane
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.quantity import Quantity
from armillary.worlds.twin.scene import Camera, Placed, Scene
from armillary.worlds.twin.world import TwinWorld
from benchmarks.rows import parser, publish, row, timed

NAME = "twin_calibration"
NOISE_M = 0.001
SECONDS_PER_STEP = 0.02
NEAR = 0.1  # the bar: an estimate is good within this share of the truth
MASS_KG, FRICTION, DAMPING = (0.5, 2.0), (0.1, 0.6), (0.5, 5.0)
CAMERA = Camera.looking("front", at=(0.5, 0.0, 0.0), eye=(0.5, -2.0, 1.0))
ALONG_X = Pose.about((0.0, 1.0, 0.0), np.pi / 2)


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A scene whose unknowns have wide ranges, and what is commanded and watched in it."""

    scene: Scene
    unknowns: tuple[Unknown, ...]
    actions: np.ndarray  # t a
    body: str


def known(value: float) -> Quantity:
    """A number that the experiment takes as it is."""
    return Quantity(value, "measured", value, value)


def guess(bounds: tuple[float, float], draw: np.random.Generator) -> Quantity:
    """Somewhere in a range, on a logarithmic scale: a first guess, or a truth."""
    return Quantity(float(np.exp(draw.uniform(*np.log(bounds)))), "estimated", *bounds)


def slid(draw: np.random.Generator) -> Experiment:
    """A force along x acts on the block: 16 N, then none while it slides, then 16 N back. Rails keep it from turning, for boxes that turn
    while they slide go elsewhere for the least of reasons; they let it hop."""
    force = Drive(stiffness=known(0.0), damping=known(0.0), max_force=known(20.0))
    asset = Asset(
        name="block",
        materials=(Material(name="wood", friction=guess(FRICTION, draw)),),
        bodies=(
            Body(name="rail"),
            Body(name="body", mass=guess(MASS_KG, draw), shapes=(Shape(name="box", geometry=Box((0.06, 0.06, 0.02)), material="wood"),)),
        ),
        joints=(
            Joint(name="along", kind="slide", child="rail", frame=ALONG_X, drive=force),
            Joint(name="up", kind="slide", child="body", parent="rail"),
        ),
    )
    table = Asset(name="table", bodies=(Body(name="top", shapes=(Shape(name="top", geometry=Plane()),)),))
    things = (Placed(name="table", asset=table), Placed(name="block", asset=asset, pose=Pose((0.0, 0.0, 0.02))))
    step = np.arange(75)
    return Experiment(
        scene=Scene(name="slid", things=things, cameras=(CAMERA,)),
        actions=np.where(step < 10, 16.0, np.where((step >= 40) & (step < 50), -16.0, 0.0))[:, None],
        body="block/body",
        unknowns=(Unknown("mass", "block/body"), Unknown("friction", "block/wood")),
    )


def lifted(draw: np.random.Generator) -> Experiment:
    """A hook's drive of 200 N/m holds the object up: it sags by its weight and swings when the target jumps by 0.1 m."""
    drive = Drive(stiffness=known(200.0), damping=known(0.0))
    asset = Asset(
        name="load",
        bodies=(Body(name="body", mass=guess(MASS_KG, draw), shapes=(Shape(name="box", geometry=Box((0.05, 0.05, 0.05))),)),),
        joints=(Joint(name="hook", kind="slide", child="body", damping=guess(DAMPING, draw), drive=drive),),
    )
    scene = Scene(name="lifted", things=(Placed(name="load", asset=asset, pose=Pose((0.0, 0.0, 1.0))),), cameras=(CAMERA,))
    target = np.where(np.arange(75) // 25 % 2 == 0, 0.0, 0.1)[:, None]
    return Experiment(
        scene=scene, actions=target, body="load/body", unknowns=(Unknown("mass", "load/body"), Unknown("damping", "load/hook"))
    )


EXPERIMENTS: dict[str, Callable[[np.random.Generator], Experiment]] = {"slid": slid, "lifted": lifted}


def record(experiment: Experiment, draw: np.random.Generator) -> Recording:
    """What a tracker with noise would have seen of it."""
    world = TwinWorld(replace(experiment.scene, seconds_per_substep=0.001), seconds_per_step=SECONDS_PER_STEP)
    row_of = [f"{label.thing}/{label.body}" for label in world.labels].index(experiment.body)
    rng = torch.Generator()
    states = [world.start(Prompt(), rng)]
    for action in torch.from_numpy(experiment.actions).float()[:-1]:
        states.append(world.step(states[-1], action[None], rng))
    positions = np.concatenate([world.poses(state)[:, [row_of], :3, 3].numpy() for state in states])
    seen = positions + NOISE_M * draw.standard_normal(positions.shape)
    return Recording(actions=experiment.actions, bodies=(experiment.body,), positions=seen, noise_m=NOISE_M)


def trial(name: str, seed: int, number: int) -> list[dict]:
    """One truth, one recording, one calibration from another guess: what became of each unknown."""
    draw = np.random.default_rng([seed, number, list(EXPERIMENTS).index(name)])
    truth, twin = EXPERIMENTS[name](draw), EXPERIMENTS[name](draw)
    recording = record(truth, draw)
    result = calibrate(twin.scene, twin.unknowns, [recording], draw, seconds_per_step=SECONDS_PER_STEP, data=f"{name}, seed {seed}")
    found = []
    for one in result.found:
        true, prior = one.unknown.in_scene(truth.scene).value, one.unknown.in_scene(twin.scene)
        found.append(
            {
                "what": f"{name}_{one.unknown.kind}",
                "seed": seed,
                "trial": number,
                "truth": true,
                "value": one.value,
                "low": one.low,
                "high": one.high,
                "word": one.word,
                "misfit": result.misfit,
                "simulations": result.simulations,
                "near": one.identifiable and abs(one.value / true - 1.0) <= NEAR,
                "held": one.identifiable and one.low <= true <= one.high,
                "middle_near": abs((prior.low * prior.high) ** 0.5 / true - 1.0) <= NEAR,
            }
        )
    return found


def rows(found: list[dict], seeds: int) -> list[dict]:
    """Shares of trials, by unknown; intervals are Wilson's over all trials of all seeds."""
    table = []
    for what in dict.fromkeys(one["what"] for one in found):
        trials = [one for one in found if one["what"] == what]
        for subject, metric, key in (
            ("calibrated", "within_10_percent", "near"),
            ("calibrated", "interval_holds_truth", "held"),
            ("the prior's middle", "within_10_percent", "middle_near"),
        ):
            share = wilson(sum(one[key] for one in trials), len(trials))
            table.append(row(NAME, subject, f"{what}_{metric}", share, seeds=seeds, unit="share of trials"))
    return table


def main() -> None:
    """Print the rows."""
    options = parser("recipes.twin_calibration", __doc__, seeds=3)
    options.add_argument("--trials", type=int, default=20, help="of each experiment and seed")
    options.add_argument("--out", type=Path, help="keep every trial as JSON in this folder")
    options = options.parse_args()
    seeds, trials = (1, 1) if options.quick else (options.seeds, options.trials)
    with timed() as wall:
        found = [one for name in EXPERIMENTS for seed in range(seeds) for number in range(trials) for one in trial(name, seed, number)]
    if options.out:
        write_json(options.out / f"{NAME}.json", found)
    off, misfits = [abs(one["value"] / one["truth"] - 1.0) for one in found], [one["misfit"] for one in found]
    notes = [
        f"{trials} trials a seed and experiment; estimates are {100 * max(off):.2f} % off at worst, {100 * np.median(off):.2f} % median",
        f"left over of the recordings: {min(misfits):.2f} to {max(misfits):.2f} times the noise of {1000 * NOISE_M:.0f} mm",
        f"{np.mean([one['simulations'] for one in found]):.0f} simulations a calibration; the truth runs at half the twin's substep",
    ]
    publish(NAME, rows(found, seeds), options, command="python -m recipes.twin_calibration", wall_s=wall["s"], notes=notes)


if __name__ == "__main__":
    main()
