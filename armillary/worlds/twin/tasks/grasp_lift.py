"""Simulated lift: grasps tried by a hand that flies, and labelled by whether the thing still hangs in it. A source of training data."""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float32

from armillary.core import Prompt, seeded
from armillary.worlds.twin.asset import WORLD, Asset, Body, Drive, Joint
from armillary.worlds.twin.grasps import APPROACH_M, Grasp
from armillary.worlds.twin.grasps_surface import Touch
from armillary.worlds.twin.objects.parts import pointing
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.quantity import Quantity
from armillary.worlds.twin.robots.arm import TIP, arm
from armillary.worlds.twin.scene import Camera, Placed, Scene
from armillary.worlds.twin.scenes.stage import fixed, ground, loose
from armillary.worlds.twin.tasks.grasp_choice import held
from armillary.worlds.twin.tasks.truth import Truth
from armillary.worlds.twin.world import TwinState, TwinWorld

AXES = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
SLIDES = ("x", "y", "z")
APPROACH_S, CLOSE_S, LIFT_S, SHAKE_S, REST_S = 0.6, 0.5, 0.8, 1.0, 0.4
LIFT_M = 0.12
SHAKE_M, SHAKE_HZ = 0.01, 2.0
STAND_M = 0.0005  # above the ground at the start
COLUMNS = (*(f"thing_from_tip.{part}" for part in ("x", "y", "z", "qw", "qx", "qy", "qz")), "width_m", "opening_m", "quality", "held")


@dataclass(frozen=True, kw_only=True)
class Lift:
    """A grasp that was tried. `held`: the thing was lifted, shaken, and is still between the fingers; `slipped_m`: how far it moved in
    the hand from when it was closed."""

    grasp: Grasp
    held: bool
    slipped_m: float


def lifts(asset: Asset, grasps: list[Grasp], *, ground_from_thing: Pose = Pose()) -> list[Lift]:
    """Try each grasp on a thing that stands on the ground at `ground_from_thing`: close, lift by LIFT_M, shake to and fro, hold still."""
    touch = Touch(asset)
    return [_lift(asset, touch, grasp, ground_from_thing) for grasp in grasps]


def lift_table(tried: list[Lift]) -> Float32[np.ndarray, "n 11"]:
    """Grasps and their labels as rows of COLUMNS: the hand's pose in the thing's frame (m, quaternion w first), and `held` 0 or 1."""
    rows = []
    for grasp, label in ((lift.grasp, float(lift.held)) for lift in tried):
        place = grasp.thing_from_tip
        rows.append((*place.position, *place.turn, grasp.width_m, grasp.opening_m, grasp.quality, label))
    return np.array(rows, dtype=np.float32).reshape(-1, len(COLUMNS))


def _lift(asset: Asset, touch: Touch, grasp: Grasp, ground_from_thing: Pose) -> Lift:
    x, y, z = ground_from_thing.position
    stands = replace(ground_from_thing, position=(x, y, z + STAND_M))
    tip = stands.then(grasp.thing_from_tip)
    start = tip.then(Pose((0.0, 0.0, -APPROACH_M)))
    scene = Scene(
        name="lift",
        things=(ground(), loose("thing", asset, stands), flying_hand(start)),
        cameras=(Camera.looking("front", at=(0.0, 0.0, 0.1), eye=(0.5, -0.5, 0.4)),),
    )
    world = TwinWorld(scene)
    state = world.start(
        Prompt(batch_size=1, layout={f"arm/{finger}": grasp.opening_m for finger in ("left finger", "right finger")}), seeded(0)
    )
    ahead = np.array(tip.position) - np.array(start.position)
    path, closed = _path(ahead, grasp.opening_m, world.spec.seconds_per_step)
    taken = None
    for step, wanted in enumerate(path):
        action = torch.tensor([[wanted[drive.split("/")[1]] for drive in world.drives]], dtype=torch.float32)
        state = world.step(state, action, seeded(0))
        if step == closed:
            taken = _in_hand(world, state)
    truth = Truth(world, state)
    risen = float((Pose.of_matrix(truth.thing("thing")).apply(touch.middle) - stands.apply(touch.middle))[2])
    slipped_m = float(np.linalg.norm(_in_hand(world, state).apply(touch.middle) - taken.apply(touch.middle)))
    return Lift(grasp=grasp, held=risen > LIFT_M / 2 and held(truth, touch, "thing"), slipped_m=slipped_m)


def _path(ahead: np.ndarray, opening_m: float, seconds_per_step: float) -> tuple[list[dict[str, float]], int]:
    """What the slides and fingers are told at each step, and the last step of closing."""
    counts = [round(part / seconds_per_step) for part in (APPROACH_S, CLOSE_S, LIFT_S, SHAKE_S, REST_S)]
    ends = np.cumsum(counts)
    found = []
    for step in range(1, int(ends[-1]) + 1):
        come = min(step / counts[0], 1.0)
        up = min(max((step - ends[1]) / counts[2], 0.0), 1.0) * LIFT_M
        shaken_s = min(max(step - ends[2], 0), counts[3]) * seconds_per_step
        x, y, z = come * ahead + np.array([SHAKE_M * math.sin(2.0 * math.pi * SHAKE_HZ * shaken_s), 0.0, up])
        opening = opening_m if step <= counts[0] + 1 else 0.0
        found.append({"x": x, "y": y, "z": z, "left finger": opening, "right finger": opening})
    return found, int(ends[1]) - 1


def _in_hand(world: TwinWorld, state: TwinState) -> Pose:
    truth = Truth(world, state)
    return Pose.of_matrix(truth.body("arm/hand")).inverse().then(Pose.of_matrix(truth.thing("thing")))


def flying_hand(world_from_tip: Pose) -> Placed:
    """The arm's hand without the arm, called "arm": slides "x", "y" and "z" move it along the world's axes from where it is put (m)."""
    robot = arm()
    hand = robot.body("hand")
    world_from_asset = world_from_tip.then(hand.pose.then(Pose(TIP)).inverse())
    frames = [Body(name=f"{slide} carriage", pose=hand.pose) for slide in SLIDES[:2]]
    chain = [WORLD, *(frame.name for frame in frames), hand.name]
    slides = [
        Joint(
            name=slide,
            kind="slide",
            parent=chain[number],
            child=chain[number + 1],
            frame=replace(world_from_asset.inverse().then(pointing(AXES[number])), position=hand.pose.position),
            limits=(Quantity(-1.0, "estimated"), Quantity(1.0, "estimated")),
            drive=Drive(stiffness=Quantity(20000.0, "estimated"), damping=Quantity(600.0, "estimated")),
        )
        for number, slide in enumerate(SLIDES)
    ]
    fingers = ("left finger", "right finger")
    asset = Asset(
        name="flying hand",
        bodies=(*frames, hand, *(robot.body(finger) for finger in fingers)),
        joints=(*slides, *(robot.joint(finger) for finger in fingers)),
        materials=robot.materials,
        label="gripper",
    )
    return fixed("arm", asset, world_from_asset)
