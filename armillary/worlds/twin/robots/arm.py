"""A robot arm of seven joints with a gripper of two fingers, about as big and strong as the usual research arm."""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from armillary.worlds.twin.asset import WORLD, Asset, Body, Drive, Joint, Material, Shape
from armillary.worlds.twin.objects.materials import material
from armillary.worlds.twin.objects.meshes import lathe
from armillary.worlds.twin.objects.parts import Point, bar, drawn, pointing, points, rod, soft_box
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.quantity import Quantity

TURN, BEND = (0.0, 0.0, 1.0), (0.0, 1.0, 0.0)  # a joint's axis in its link: along it or across
OPENING_M = 0.04  # how far each finger moves
TIP = (0.0, 0.0, 0.115)  # hand_from_tip: where the fingertips meet
CLEARANCE_M = 0.004  # between the shapes of neighbouring links


class Link(NamedTuple):
    """A joint and the link after it: where it sits in the link before, its axis, how far it is turned when the arm is ready and how far it
    may be (rad, from upright), the link's mass (kg), the length of the link's rod (m), its radius (m), and the motor's torque (N m)."""

    offset: Point
    axis: Point
    ready: float
    limit: float
    mass: float
    length: float
    radius: float
    torque: float


LINKS = (
    Link((0.0, 0.0, 0.14), TURN, 0.0, 2.9, 3.6, 0.19, 0.060, 90.0),
    Link((0.0, 0.0, 0.19), BEND, 0.1, 1.8, 2.8, 0.14, 0.058, 90.0),
    Link((0.0, 0.0, 0.14), TURN, 0.0, 2.9, 2.6, 0.18, 0.054, 90.0),
    Link((0.0, 0.0, 0.18), BEND, 1.85, 2.3, 2.2, 0.16, 0.052, 90.0),
    Link((0.0, 0.0, 0.16), TURN, 0.0, 2.9, 1.9, 0.20, 0.046, 25.0),
    Link((0.0, 0.0, 0.20), BEND, math.pi - 1.95, 2.0, 1.5, 0.09, 0.044, 25.0),
    Link((0.0, 0.0, 0.09), TURN, 0.0, 2.9, 0.6, 0.03, 0.040, 25.0),
)


@lru_cache
def arm(colour: tuple[float, float, float] = (0.93, 0.93, 0.92)) -> Asset:
    """The arm, its foot fixed to the world at the asset's origin, reaching towards +x.

    Joint positions are 0 where it is ready: bent, the open hand 0.5 m before the foot and pointing down. "joint 1" to "joint 7" (rad) and
    "left finger" and "right finger" (m, 0 shut to OPENING_M open) are driven to positions. Body "hand" carries the fingers; the point
    between their tips is TIP in its frame.
    """
    bodies = [Body(name="foot", shapes=tuple(_foot()), label="robot arm")]
    joints = [Joint(name="mount", kind="fixed", parent=WORLD, child="foot")]
    here, parent = Pose(), "foot"
    for number, link in enumerate(LINKS, start=1):
        at = here.then(Pose(link.offset))
        here = at.then(Pose.about(link.axis, link.ready))
        name = "hand" if number == len(LINKS) else f"link {number}"
        shapes = (*_link(number, link), *(_palm() if name == "hand" else ()))
        mass = link.mass + (0.7 if name == "hand" else 0.0)
        bodies.append(Body(name=name, shapes=shapes, pose=here, mass=Quantity(mass, "estimated"), label="robot arm"))
        joints.append(_joint(number, link, here, parent, name))
        parent = name
    for side, name in ((1.0, "left finger"), (-1.0, "right finger")):
        finger, joint = _finger(name, side, here)
        bodies.append(finger)
        joints.append(joint)
    return Asset(name="arm", bodies=tuple(bodies), joints=tuple(joints), materials=_materials(colour), label="robot arm")


def _joint(number: int, link: Link, here: Pose, parent: str, child: str) -> Joint:
    strong = link.torque > 50.0
    return Joint(
        name=f"joint {number}",
        kind="hinge",
        parent=parent,
        child=child,
        frame=here.then(pointing(link.axis)),
        limits=(Quantity(-link.limit - link.ready, "estimated"), Quantity(link.limit - link.ready, "estimated")),
        damping=Quantity(1.0 if strong else 0.5, "estimated", 0.2, 3.0),
        friction=Quantity(0.5 if strong else 0.2, "estimated", 0.05, 1.5),
        armature=Quantity(0.1 if strong else 0.05, "estimated"),
        drive=Drive(
            stiffness=Quantity(2500.0 if strong else 900.0, "estimated"),
            damping=Quantity(200.0 if strong else 50.0, "estimated"),
            max_force=Quantity(link.torque, "estimated"),
        ),
    )


def _foot() -> list[Shape]:
    outline = points((0, 0), (0.105, 0), (0.105, 0.02), (0.088, 0.045), (0.078, 0.07), (0.075, 0.14), (0, 0.14))
    return [
        drawn("foot look", lathe(outline), "shell"),
        rod("plate", 0.105, 0.025, (0, 0, 0.0125), "shell", role="collider"),
        rod("foot", 0.075, 0.14 - CLEARANCE_M, (0, 0, 0.07 - CLEARANCE_M / 2), "shell", role="collider"),
    ]


def _link(number: int, link: Link) -> tuple[Shape, ...]:
    """A rod up to the next joint; across a bending joint a dark drum."""
    radius, end = link.radius, link.length
    body = bar(f"rod {number}", radius * 0.92, (0, 0, 0.0), (0, 0, max(end - radius * 0.6, 0.005)), "shell", role="collider")
    rounded = points((0, -0.02), (0.9, -0.02), (1, 0.0), (1, 0.9), (0.94, 1.0), (0, 1.0)) * np.array([radius * 0.94, end])
    shapes = (drawn(f"rod {number} look", lathe(rounded), "shell"), body)
    if link.axis == BEND:
        drum = rod(f"drum {number}", radius, 2.3 * radius, (0, 0, 0), "joint", along=BEND)
        caps = (
            rod(f"cap {number} {k}", radius * 0.78, 0.006, (0, side * 1.16 * radius, 0), "accent", along=BEND, role="visual")
            for k, side in ((0, -1), (1, 1))
        )
        return (*shapes, drum, *caps)
    return (*shapes, rod(f"ring {number}", radius * 1.02, 0.016, (0, 0, 0.004), "joint", role="visual"))


def _palm() -> tuple[Shape, ...]:
    return (
        *soft_box("palm", (0.055, 0.19, 0.045), (0, 0, 0.045), "joint", cut=0.008),
        *soft_box("rail", (0.035, 0.17, 0.01), (0, 0, 0.068), "shell", cut=0.002),
    )


def _finger(name: str, side: float, hand: Pose) -> tuple[Body, Joint]:
    """A finger on one side of the hand, drawn shut; its joint opens it."""
    shapes = (
        *soft_box(f"{name} slider", (0.022, 0.022, 0.018), (0, side * 0.012, 0.009), "metal", cut=0.003),
        *soft_box(f"{name} blade", (0.018, 0.010, 0.040), (0, side * 0.008, 0.030), "metal", cut=0.002),
        *soft_box(f"{name} pad", (0.020, 0.006, 0.022), (0, side * 0.0035, 0.040), "pad", cut=0.001),
    )
    pose = hand.then(Pose((0.0, 0.0, 0.074)))
    joint = Joint(
        name=name,
        kind="slide",
        parent="hand",
        child=name,
        frame=pose.then(pointing((0.0, side, 0.0))),
        limits=(Quantity(0.0, "estimated"), Quantity(OPENING_M, "estimated")),
        damping=Quantity(100.0, "estimated"),  # its gears: it closes at 0.4 m/s, not faster
        armature=Quantity(0.1, "estimated"),
        drive=Drive(
            stiffness=Quantity(8000.0, "estimated"),  # a wall of 4 mm is still pressed on with 16 N
            damping=Quantity(20.0, "estimated"),
            target=OPENING_M,
            max_force=Quantity(40.0, "estimated"),
        ),
    )
    return Body(name=name, shapes=shapes, pose=pose, label="gripper finger"), joint


def _materials(colour: tuple[float, float, float]) -> tuple[Material, ...]:
    return (
        material("shell", "plastic", colour),
        material("joint", "aluminium", (0.27, 0.29, 0.32)),
        material("metal", "aluminium", (0.80, 0.81, 0.82)),
        material("accent", "plastic", (0.16, 0.52, 0.72)),
        material("pad", "rubber", (0.20, 0.20, 0.21)),
    )
