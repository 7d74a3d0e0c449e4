"""Taking things from a table: which can be taken, whether one is held, and the moves that take it."""

import math
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from armillary.worlds.twin.geometry import Box
from armillary.worlds.twin.grasps import APPROACH_M, Grasp, sample_grasps
from armillary.worlds.twin.grasps_surface import Points, Touch
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.robots.arm import arm
from armillary.worlds.twin.scene import Scene
from armillary.worlds.twin.scenes.tabletop import FOOT, TABLE_M
from armillary.worlds.twin.tasks.hand import Hand, Joints
from armillary.worlds.twin.tasks.moves import Move
from armillary.worlds.twin.tasks.truth import Truth

TOP_M = TABLE_M[2]
NEAREST_M, FARTHEST_M = 0.30, 0.62  # of what the arm takes from the table, from its foot
SAFE_M = 0.22  # above the table: where the hand travels
LIFT_M = 0.13
AROUND_M = 0.35  # how near another thing is looked at
TILT_COST = 0.6  # of quality, for each radian that the hand is tilted from pointing down
TILTED_RAD = 0.1  # that a thing may be tilted by when it is lifted
TRIED = 60  # grasps that the arm's joints are looked for
TOUCHING_M = 0.002  # how near a finger's pad is to what it holds
PAD_STEPS = 7  # places on a pad, along and across


@dataclass(frozen=True, kw_only=True)
class Taking:
    """A grasp that the arm reaches: the hand's poses (world_from_tip) before it, at it and after the lift; the joints at it."""

    grasp: Grasp
    before: Pose
    at: Pose
    lifted: Pose
    joints: Joints


def loose_things(scene: Scene) -> tuple[str, ...]:
    """What lies about: the things of one piece that can be moved."""
    return tuple(thing.name for thing in scene.things if thing.moves and len(thing.asset.bodies) == 1)


def within_reach(place: Points) -> bool:
    """Whether places on the table (n x y z, m) are all where the arm takes things."""
    far = np.linalg.norm(place[:, :2] - np.array(FOOT[:2]), axis=1)
    return bool((far > NEAREST_M).all() and (far < FARTHEST_M).all())


def grasps_among(scene: Scene, poses: dict[str, Pose], name: str, rng: np.random.Generator) -> list[Grasp]:
    """Grasps of a thing which stands on the table among others; `poses` (world_from_thing) of all that may be in the way."""
    here = np.array(poses[name].position)
    beside = [np.zeros((0, 3))]
    for other, pose in poses.items():
        if other != name and np.linalg.norm(np.array(pose.position) - here) < AROUND_M:
            beside.append(pose.apply(Touch(scene.thing(other).asset).scatter(250, rng)) - np.array([0.0, 0.0, TOP_M]))
    lower = Pose((0.0, 0.0, -TOP_M))
    return sample_grasps(Touch(scene.thing(name).asset), rng, table_from_thing=lower.then(poses[name]), others=np.concatenate(beside))


def poses_now(scene: Scene, truth: Truth) -> dict[str, Pose]:
    """world_from_thing of everything on the table but the arm."""
    return {thing.name: Pose.of_matrix(truth.thing(thing.name)) for thing in scene.things if thing.name not in ("ground", "table", "arm")}


def takings(scene: Scene, truth: Truth, name: str) -> list[Grasp]:
    """Grasps of a thing as it lies now, those first that are square, near its weight and from above. Other ones at another time."""
    rng = np.random.default_rng(round(1000 * truth.seconds))
    poses = poses_now(scene, truth)
    world_from_thing = poses[name].rotation()

    def worth(grasp: Grasp) -> float:
        ahead = world_from_thing @ grasp.thing_from_tip.rotation()[:, 2]
        return grasp.quality - TILT_COST * float(np.arccos(np.clip(-ahead[2], -1.0, 1.0)))

    return sorted(grasps_among(scene, poses, name, rng), key=lambda grasp: -worth(grasp))


def taking(grasp: Grasp, world_from_thing: Pose, hand: Hand, near: Joints) -> Taking | None:
    """How the arm takes a thing by a grasp, either way round, and lifts it without tilting it; None where it does not get there."""
    for one in sorted((grasp, grasp.turned()), key=lambda one: -_straight(world_from_thing.then(one.thing_from_tip))):
        at = world_from_thing.then(one.thing_from_tip)
        before = at.then(Pose((0.0, 0.0, -APPROACH_M)))
        lifted = raised(at, LIFT_M)
        first = hand.solve(before, near)
        if first.off_m > 0.005 or first.off_rad > 0.1:
            continue
        there = hand.solve(at, first.joints)
        after = hand.solve(lifted, there.joints)
        if there.reaches and after.off_m < 0.01 and after.off_rad < TILTED_RAD:
            return Taking(grasp=one, before=before, at=at, lifted=lifted, joints=there.joints)
    return None


def _straight(tip: Pose) -> float:
    """How little the wrist is turned from where the arm is ready, -1 to 1: its fingers open across the direction to the foot."""
    x, y = tip.position[0] - FOOT[0], tip.position[1] - FOOT[1]
    return float(tip.rotation()[:2, 1] @ np.array([-y, x])) / math.hypot(x, y)


def raised(pose: Pose, height_m: float) -> Pose:
    """The same pose, higher."""
    x, y, z = pose.position
    return replace(pose, position=(x, y, z + height_m))


def clear_moves(told: Pose, above: Pose) -> tuple[Move, ...]:
    """Up from where the hand is, then to over `above`, both at a safe height, with open fingers."""
    safe = TOP_M + SAFE_M
    rise = (Move(tip=raised(told, safe - told.position[2]), wait_s=0.0),) if told.position[2] < safe else ()
    return (*rise, Move(tip=raised(above, max(safe - above.position[2], 0.0)), wait_s=0.0))


def taking_moves(taking: Taking, told: Pose) -> tuple[Move, ...]:
    """To the thing, close, lift."""
    opening = taking.grasp.opening_m
    return (
        *clear_moves(told, taking.before),
        Move(tip=taking.before, opening=opening, wait_s=0.1),
        Move(tip=taking.at, opening=opening, speed_m_s=0.15, wait_s=0.2),
        Move(tip=taking.at, opening=0.0, wait_s=0.5),
        Move(tip=raised(taking.at, 0.02), opening=0.0, speed_m_s=0.05, wait_s=0.0),
        Move(tip=taking.lifted, opening=0.0, speed_m_s=0.15, wait_s=0.3),
    )


def held(truth: Truth, touch: Touch, name: str) -> bool:
    """Whether both fingers' pads touch a thing."""
    thing_from_world = np.linalg.inv(truth.thing(name))
    for finger in ("left finger", "right finger"):
        thing_from_finger = thing_from_world @ truth.body(f"arm/{finger}")
        points = pad_points(finger) @ thing_from_finger[:3, :3].T + thing_from_finger[:3, 3]
        if touch.depth(points).min() > TOUCHING_M:
            return False
    return True


@cache
def pad_points(finger: str) -> Points:
    """Places on the side of a finger's pad that touches things, in the finger's frame, m."""
    pad = next(shape for shape in arm().body(finger).shapes if shape.name == f"{finger} pad")
    assert isinstance(pad.geometry, Box), "pads are boxes"
    x, y, z = pad.geometry.half_sizes
    inner = -y if pad.pose.position[1] > 0 else y
    across, along = np.meshgrid(np.linspace(-x, x, PAD_STEPS), np.linspace(-z, z, PAD_STEPS))
    return pad.pose.apply(np.stack([across.ravel(), np.full(across.size, inner), along.ravel()], axis=1))
