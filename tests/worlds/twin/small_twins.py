"""Scenes that fit in a head, for tests of physics and rendering."""

import math

from armillary.worlds.twin.asset import Asset, Body, Drive, Joint, Material, Shape
from armillary.worlds.twin.geometry import Box, Capsule, Cylinder, Geometry, Plane, Sphere
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.quantity import Quantity
from armillary.worlds.twin.scene import Camera, Placed, Scene

FRONT = Camera.looking("front", at=(0.0, 0.0, 0.2), eye=(0.9, -1.1, 0.8))


def known(value: float) -> Quantity:
    return Quantity(value, "measured")


def thing(
    name: str,
    geometry: Geometry,
    *,
    pose: Pose = Pose(),
    moves: bool = True,
    mass: float | None = 1.0,
    friction: float | None = None,
    restitution: float | None = None,
    role: str = "both",
) -> Placed:
    """One body of one shape."""
    material = Material(
        name="stuff",
        colour=(0.8, 0.3, 0.2, 1.0),
        friction=None if friction is None else known(friction),
        restitution=None if restitution is None else known(restitution),
    )
    body = Body(
        name="body",
        mass=None if mass is None else known(mass),
        shapes=(Shape(name="shape", geometry=geometry, material="stuff", role=role),),
        label="toy",
    )
    return Placed(name=name, pose=pose, moves=moves, asset=Asset(name=name, bodies=(body,), materials=(material,)))


def ground(pose: Pose = Pose()) -> Placed:
    """A plane of which nobody says how it rubs."""
    body = Body(name="body", shapes=(Shape(name="plane", geometry=Plane()),))
    return Placed(name="ground", pose=pose, asset=Asset(name="ground", bodies=(body,), label="floor"))


def arm() -> Placed:
    """Two links on a fixed base, the joints turning about y: "arm/shoulder" is stiff and limited, "arm/elbow" is a force."""
    material = Material(name="stuff", density=known(500.0), colour=(0.2, 0.3, 0.8, 1.0))
    base = Shape(name="base", geometry=Cylinder(0.08, 0.05), pose=Pose((0.0, 0.0, 0.05)), material="stuff")
    link = Shape(name="link", geometry=Capsule(0.03, 0.12), pose=Pose((0.0, 0.0, 0.15)), material="stuff")
    bodies = (
        Body(name="base", shapes=(base,)),
        Body(name="upper", shapes=(link,), pose=Pose((0.0, 0.0, 0.1))),
        Body(name="lower", shapes=(link,), pose=Pose((0.0, 0.0, 0.4))),
    )
    about_y = Pose.about((1.0, 0.0, 0.0), -math.pi / 2)
    joints = (
        Joint(
            name="shoulder",
            kind="hinge",
            parent="base",
            child="upper",
            frame=Pose((0.0, 0.0, 0.1), about_y.turn),
            limits=(known(-1.5), known(1.5)),
            drive=Drive(stiffness=known(100.0), damping=known(10.0)),
        ),
        Joint(
            name="elbow",
            kind="hinge",
            parent="upper",
            child="lower",
            frame=Pose((0.0, 0.0, 0.4), about_y.turn),
            drive=Drive(stiffness=known(0.0), damping=known(0.0), max_force=known(2.0)),
        ),
    )
    return Placed(name="arm", asset=Asset(name="arm", bodies=bodies, joints=joints, materials=(material,), label="robot"))


def table() -> Scene:
    """The arm, a cube and a ball on the ground, and a camera."""
    things = (
        ground(),
        arm(),
        thing("cube", Box((0.05, 0.05, 0.05)), pose=Pose((0.3, -0.2, 0.06)), friction=0.5),
        thing("ball", Sphere(0.06), pose=Pose((-0.3, -0.2, 0.2)), restitution=0.5),
    )
    return Scene(name="table", things=things, cameras=(FRONT,))
