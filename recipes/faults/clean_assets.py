"""Five assets that nothing is wrong with, made in code: a mug, a door, a cabinet with a drawer, an arm with motors, a cart with wheels."""

from math import pi

import numpy as np

from armillary.worlds.twin.asset import Asset, Body, Drive, Inertia, Joint, Material, Shape
from armillary.worlds.twin.geometry import Box, Cylinder, Mesh, Sphere
from armillary.worlds.twin.material_table import guess_material
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.quantity import Quantity

TO_Y = Pose.about((1.0, 0.0, 0.0), -pi / 2)  # an axis along y


def turned(profile: list[tuple[float, float]], sides: int = 32) -> Mesh:
    """The closed surface of a profile (radius, height), from a point on the axis below to one above, turned about z."""
    angles = np.arange(sides) * 2 * pi / sides
    rings = [np.stack([r * np.cos(angles), r * np.sin(angles), np.full(sides, z)], axis=1) for r, z in profile[1:-1]]
    ends = np.array([[0.0, 0.0, profile[0][1]], [0.0, 0.0, profile[-1][1]]])
    top, after = len(rings) * sides, np.roll(np.arange(sides), -1)
    here = np.arange(sides)
    faces = [np.stack([np.full(sides, top), after, here], axis=1)]
    for ring in range(len(rings) - 1):
        low, high = ring * sides, (ring + 1) * sides
        faces += [np.stack([low + here, low + after, high + after], axis=1), np.stack([low + here, high + after, high + here], axis=1)]
    last = top - sides
    faces.append(np.stack([last + here, last + after, np.full(sides, top + 1)], axis=1))
    return Mesh(vertices=np.concatenate([*rings, ends]), faces=np.concatenate(faces).astype(np.int64))


def material(name: str) -> Material:
    """From the table."""
    known = guess_material(name)
    return Material(name=name, density=known.density, friction=known.friction, restitution=known.restitution)


def hinge(
    name: str, child: str, parent: str, frame: Pose, low: float, high: float, drive: Drive | None = None, kind: str = "hinge"
) -> Joint:
    """A joint with limits from a datasheet."""
    limits = (Quantity(low, "datasheet"), Quantity(high, "datasheet"))
    return Joint(name=name, kind=kind, child=child, parent=parent, frame=frame, limits=limits, damping=Quantity(0.1), drive=drive)


def motor(strength: float) -> Drive:
    """A position servo."""
    return Drive(stiffness=Quantity(10 * strength), damping=Quantity(strength), max_force=Quantity(strength, "datasheet"))


def mug() -> Asset:
    """Turned, hollow, weighed."""
    wall = [(0.0, 0.0), (0.038, 0.0), (0.04, 0.004), (0.04, 0.095), (0.036, 0.095), (0.036, 0.006), (0.0, 0.006)]
    shapes = (Shape(name="wall", geometry=turned(wall), material="ceramic"),)
    body = Body(name="mug", shapes=shapes, mass=Quantity(0.31, "measured"), label="mug")
    return Asset(name="mug", bodies=(body,), materials=(material("ceramic"),), label="mug")


def door() -> Asset:
    """A frame fixed to the world, a panel on hinges, a handle that turns."""
    posts = [Shape(name=f"post_{x:g}", geometry=Box((0.03, 0.05, 1.05)), pose=Pose((x, 0.0, 1.05)), material="pine") for x in (-0.48, 0.48)]
    knob = turned([(0.0, -0.03), (0.028, -0.02), (0.03, 0.0), (0.028, 0.02), (0.0, 0.03)])
    bodies = (
        Body(name="frame", shapes=tuple(posts), label="door frame"),
        Body(
            name="panel",
            shapes=(Shape(name="panel", geometry=Box((0.44, 0.02, 1.0)), material="oak"),),
            pose=Pose((0.0, 0.0, 1.02)),
            label="door",
        ),
        Body(
            name="knob",
            shapes=(Shape(name="knob", geometry=knob, material="brass"),),
            pose=Pose((0.38, -0.06, 1.0), TO_Y.turn),
            label="knob",
        ),
    )
    joints = (
        Joint(name="wall", kind="fixed", child="frame"),
        hinge("swing", "panel", "frame", Pose((-0.44, 0.0, 1.0)), 0.0, 1.9),
        hinge("latch", "knob", "panel", Pose((0.38, -0.03, 1.0), TO_Y.turn), -0.8, 0.8),
    )
    return Asset(name="door", bodies=bodies, joints=joints, materials=tuple(map(material, ("pine", "oak", "brass"))), label="door")


def cabinet() -> Asset:
    """Drawn in one mesh-like set of boards; a drawer that slides, with a pull."""
    sides = [
        ((0.0, 0.2, 0.3), (0.3, 0.01, 0.3)),
        ((0.0, -0.2, 0.3), (0.3, 0.01, 0.3)),
        ((0.0, 0.0, 0.01), (0.3, 0.19, 0.01)),
        ((0.0, 0.0, 0.59), (0.3, 0.19, 0.01)),
    ]
    boards = tuple(Shape(name=f"board_{i}", geometry=Box(half), pose=Pose(at), material="mdf") for i, (at, half) in enumerate(sides))
    front = Shape(name="front", geometry=Box((0.01, 0.18, 0.08)), pose=Pose((0.29, 0.0, 0.0)), material="mdf")
    tray = Shape(name="tray", geometry=Box((0.27, 0.17, 0.01)), pose=Pose((0.0, 0.0, -0.07)), material="mdf")
    pull = turned([(0.0, 0.0), (0.008, 0.0), (0.008, 0.02), (0.016, 0.025), (0.0, 0.03)])
    bodies = (
        Body(name="carcass", shapes=boards, label="cabinet"),
        Body(name="drawer", shapes=(front, tray), pose=Pose((0.0, 0.0, 0.45)), mass=Quantity(2.4, "measured"), label="drawer"),
        Body(
            name="pull",
            shapes=(Shape(name="pull", geometry=pull, material="steel"),),
            pose=Pose((0.3, 0.0, 0.45), Pose.about((0.0, 1.0, 0.0), pi / 2).turn),
            label="handle",
        ),
    )
    slide = Pose((0.3, 0.0, 0.45), Pose.about((0.0, 1.0, 0.0), pi / 2).turn)
    joints = (hinge("runner", "drawer", "carcass", slide, 0.0, 0.4, kind="slide"), hinge("pull", "pull", "drawer", slide, -0.5, 0.5))
    return Asset(name="cabinet", bodies=bodies, joints=joints, materials=(material("mdf"), material("steel")), label="cabinet")


def arm() -> Asset:
    """A turned base, three driven links of the bulk of their datasheet's masses, one with an inertia tensor."""
    base = turned([(0.0, 0.0), (0.09, 0.0), (0.09, 0.03), (0.06, 0.1), (0.0, 0.1)])
    rod = Inertia((Quantity(0.028, "datasheet"), Quantity(0.028, "datasheet"), Quantity(0.0028, "datasheet")), Pose((0.0, 0.0, 0.17)))
    tip = Shape(name="tip", geometry=Sphere(0.03), pose=Pose((0.0, 0.0, 0.13)), material="rubber")
    links = {"upper": (0.11, 0.05, 0.35, 2.6, rod), "fore": (0.46, 0.04, 0.3, 1.9, None), "hand": (0.76, 0.035, 0.1, 0.6, None)}
    bodies = [Body(name="base", shapes=(Shape(name="base", geometry=base, material="aluminium"),), label="base")]
    joints = [Joint(name="mount", kind="fixed", child="base")]
    for name, (z, radius, length, mass, inertia) in links.items():
        tube = Shape(name=name, geometry=Cylinder(radius, length / 2.0), pose=Pose((0.0, 0.0, length / 2.0)), material="aluminium")
        shapes = (tube, tip) if name == "hand" else (tube,)
        bodies.append(
            Body(name=name, shapes=shapes, pose=Pose((0.0, 0.0, z)), mass=Quantity(mass, "datasheet"), inertia=inertia, label=f"{name} arm")
        )
        joints.append(hinge(f"{name}_joint", name, bodies[-2].name, Pose((0.0, 0.0, z), TO_Y.turn), -2.8, 2.8, motor(80.0)))
    return Asset(
        name="arm", bodies=tuple(bodies), joints=tuple(joints), materials=(material("aluminium"), material("rubber")), label="robot arm"
    )


def cart() -> Asset:
    """A chassis on four wheels that turn for ever, a lamp that tilts; its collider and what is drawn are two shapes."""
    lamp = turned([(0.0, 0.0), (0.05, 0.0), (0.045, 0.03), (0.02, 0.05), (0.0, 0.055)])
    deck = (
        Shape(name="deck", geometry=Box((0.3, 0.18, 0.03)), material="abs", role="visual"),
        Shape(name="deck_collider", geometry=Box((0.31, 0.19, 0.03)), material="abs", role="collider"),
    )
    bodies = [
        Body(name="chassis", shapes=deck, pose=Pose((0.0, 0.0, 0.14)), mass=Quantity(4.2, "measured"), label="chassis"),
        Body(name="lamp", shapes=(Shape(name="lamp", geometry=lamp, material="glass"),), pose=Pose((0.2, 0.0, 0.18)), label="lamp"),
    ]
    joints = [hinge("tilt", "lamp", "chassis", Pose((0.2, 0.0, 0.18), TO_Y.turn), -0.6, 0.6, motor(2.0))]
    for name, x, y in (("left_front", 0.2, 0.23), ("right_front", 0.2, -0.23), ("left_back", -0.2, 0.23), ("right_back", -0.2, -0.23)):
        wheel, at = Shape(name=name, geometry=Cylinder(0.08, 0.02), material="rubber"), Pose((x, y, 0.08), TO_Y.turn)
        bodies.append(Body(name=f"{name}_wheel", shapes=(wheel,), pose=at, label="wheel"))
        speed = Drive(stiffness=Quantity(0.0), damping=Quantity(5.0), max_force=Quantity(12.0, "datasheet"))
        joints.append(Joint(name=f"{name}_axle", kind="hinge", child=f"{name}_wheel", parent="chassis", frame=at, drive=speed))
    materials = tuple(map(material, ("abs", "glass", "rubber")))
    return Asset(name="cart", bodies=tuple(bodies), joints=tuple(joints), materials=materials, label="cart")


CLEAN = (mug, door, cabinet, arm, cart)
