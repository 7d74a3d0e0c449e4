"""Go to: the wheeled robot drives to a named thing, through the door where it must, and stands before it."""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from armillary.core import WorldError
from armillary.worlds.twin.asset import Asset
from armillary.worlds.twin.geometry import Sphere
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.scene import Placed, Scene
from armillary.worlds.twin.scenes.rooms import rooms
from armillary.worlds.twin.tasks.floor_plan import Place, gap_m, nearest
from armillary.worlds.twin.tasks.rooms_plan import ROBOT_M, RoomsPlan, as_placed
from armillary.worlds.twin.tasks.task import Task
from armillary.worlds.twin.tasks.truth import Truth

NEAR_M = 0.35  # between the robot's edge and the nearest point of the thing
FACING_RAD = math.radians(30.0)
STILL_M_S, STILL_RAD_S = 0.03, 0.1
FALLEN_RAD, FALLEN_M = math.radians(45.0), 0.05  # from how a thing was placed: turned, or lower
FIRST_M = 0.8  # the robot's edge is farther away than this at first
SCALE_M = 3.0  # of the way that progress falls by a factor e over
AJAR_RAD = 1.5  # how far the door stands open at most: then its leaf stays where nothing else is placed
TIMES = 50  # rooms are drawn before none will do
PLACES = {"living": "living room", "study": "study"}


@dataclass(frozen=True, kw_only=True)
class Spot:
    """Where the robot is (m), where it looks (rad), the nearest point of the thing, and how far that is from the robot's edge (m)."""

    place: Place
    yaw: float
    nearest: Place
    far_m: float

    @property
    def aside_rad(self) -> float:
        """How far the robot must turn to face the thing, left > 0."""
        towards = self.nearest - self.place
        return wrapped(math.atan2(towards[1], towards[0]) - self.yaw)


@dataclass(frozen=True, kw_only=True)
class GoTo(Task):
    """The robot is to stand still before `thing`, facing it, with nothing knocked over."""

    thing: str

    @cached_property
    def plan(self) -> RoomsPlan:
        """The things on the floor."""
        return RoomsPlan(self.scene)

    def spot(self, truth: Truth) -> Spot:
        """Where the robot is, seen from the thing."""
        robot, target = truth.body("robot/chassis"), self.plan.of(self.thing, truth.thing(self.thing))
        place = robot[:2, 3]
        yaw = math.atan2(robot[1, 0], robot[0, 0])
        return Spot(place=place, yaw=yaw, nearest=nearest(target, place), far_m=gap_m(target, place) - ROBOT_M)

    def progress(self, truth: Truth) -> float:
        """From how far it is, through the door where a wall is between; a fifth of it is for facing the thing."""
        spot = self.spot(truth)
        left_m = max(spot.far_m - NEAR_M, 0.0)
        if self.plan.wall_between(spot.place, spot.nearest):
            door = np.array(self.scene.thing("inner door").pose.position[:2])
            left_m = float(np.linalg.norm(door - spot.place) + np.linalg.norm(spot.nearest - door))
        turn = max(abs(spot.aside_rad) - FACING_RAD, 0.0) / (math.pi - FACING_RAD)
        return math.exp(-left_m / SCALE_M) * (1.0 - 0.2 * turn)

    def done(self, truth: Truth) -> bool:
        """Near, facing it, still, no wall between, and everything stands that stood."""
        spot = self.spot(truth)
        there = spot.far_m <= NEAR_M and abs(spot.aside_rad) <= FACING_RAD
        still = truth.pace("robot") < STILL_M_S and truth.spin("robot") < STILL_RAD_S
        if not (there and still) or self.plan.wall_between(spot.place, spot.nearest):
            return False
        return not any(fallen(truth, thing) for thing in self.scene.things if thing.moves)


def draw_go_to(rng: np.random.Generator) -> GoTo:
    """Two rooms, the door between them shut, ajar or open, and a thing of either room that the robot can get to but is not at yet.

    WorldError if rooms drawn again and again have none.
    """
    for _ in range(TIMES):
        scene = rooms(rng)
        angle = float(rng.choice((0.0, 1.0)) * rng.uniform(-AJAR_RAD, AJAR_RAD))
        named = [thing.name for thing in scene.things if thing.name.partition(" ")[0] in PLACES and len(thing.name.split()) == 2]
        thing = str(rng.choice([name for name in named if not name.endswith(" rug")]))
        if all(one.name != "robot" for one in scene.things):
            continue
        scene = scene.with_thing(ajar(scene.thing("inner door"), angle))
        room, _, what = thing.partition(" ")
        task = GoTo(scene=scene, words=f"Go to the {what} in the {PLACES[room]}.", time_limit_s=30.0, thing=thing)
        if _can_be_done(task):
            return task
    raise WorldError(f"{TIMES} pairs of rooms have no way to the thing drawn; are they much smaller than they were?")


def wrapped(angle: float) -> float:
    """The same direction, -pi to pi."""
    return math.remainder(angle, 2.0 * math.pi)


def fallen(truth: Truth, thing: Placed) -> bool:
    """Whether a thing lies lower than it was placed, or on another side; what is round all over may roll."""
    now, was = truth.thing(thing.name), thing.pose.matrix()
    turned = not _rolls(thing.asset) and float(now[:3, 2] @ was[:3, 2]) < math.cos(FALLEN_RAD)
    return turned or float(was[2, 3] - now[2, 3]) > FALLEN_M


def ajar(door: Placed, angle: float) -> Placed:
    """A shut door (`jointed.door_of`) with its leaf standing open by an angle (rad), from where its hinge counts from now on."""
    hinge = door.asset.joint("hinge")
    there = hinge.frame.then(Pose.about((0.0, 0.0, 1.0), angle)).then(hinge.frame.inverse())
    bodies = tuple(body if body.name == "frame" else replace(body, pose=there.then(body.pose)) for body in door.asset.bodies)
    limits = tuple(replace(one, value=one.value - angle, low=one.low - angle, high=one.high - angle) for one in hinge.limits)
    latch = door.asset.joint("latch")
    turned = {"hinge": replace(hinge, limits=limits), "latch": replace(latch, frame=there.then(latch.frame))}
    joints = tuple(turned.get(joint.name, joint) for joint in door.asset.joints)
    return replace(door, asset=replace(door.asset, bodies=bodies, joints=joints))


def _rolls(asset: Asset) -> bool:
    return all(isinstance(shape.geometry, Sphere) for body in asset.bodies for shape in body.shapes if shape.role != "visual")


def _can_be_done(task: GoTo) -> bool:
    scene: Scene = task.scene
    matrices = as_placed(scene)
    robot = np.array(scene.thing("robot").pose.position[:2])
    far_m = gap_m(task.plan.of(task.thing, matrices(task.thing)), robot) - ROBOT_M
    return far_m > FIRST_M and task.plan.way(task.thing, robot, matrices, NEAR_M / 2) is not None
