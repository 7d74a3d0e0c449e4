"""Things with a part that moves: drawers that slide, lids and doors that swing."""

import math

import numpy as np

from armillary.worlds.twin.asset import WORLD, Asset, Body, Inertia, Joint
from armillary.worlds.twin.objects.materials import PALETTE, bright, material, wooden
from armillary.worlds.twin.objects.meshes import chamfered
from armillary.worlds.twin.objects.parts import bar, box, drawn, rod, soft_box
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.quantity import Quantity

TOWARDS_FRONT = Pose.about((1.0, 0.0, 0.0), math.pi / 2).turn  # takes z to -y
LEAF_M = 0.04  # thickness of a door's leaf
GAP = 0.003  # m between parts that move past each other


def estimated(value: float, low: float, high: float) -> Quantity:
    """A number between bounds that nobody measured."""
    return Quantity(value, "estimated", low, high)


def cabinet(rng: np.random.Generator) -> Asset:
    """A chest of drawers; it faces -y, and each drawer slides out that way from 0 to its limit."""
    count = int(rng.integers(2, 5))
    x, y, board, foot = float(rng.uniform(0.42, 0.60)), float(rng.uniform(0.38, 0.46)), 0.018, 0.05
    tall = float(rng.uniform(0.14, 0.19))
    z = foot + 2 * board + count * tall
    sides = (
        ("left side", (board, y, z - foot), (-(x - board) / 2, 0.0, (z + foot) / 2)),
        ("right side", (board, y, z - foot), ((x - board) / 2, 0.0, (z + foot) / 2)),
        ("top", (x + 0.02, y + 0.02, board), (0.0, -0.01, z + board / 2)),
        ("bottom", (x - 2 * board, y, board), (0.0, 0.0, foot + board / 2)),
        ("back", (x - 2 * board, board / 2, z - foot - board), (0.0, (y - board / 2) / 2, (z + foot + board) / 2)),
    )
    feet = (
        rod(f"foot {k}", 0.018, foot, (sx * (x / 2 - 0.04), sy * (y / 2 - 0.04), foot / 2), "handle")
        for k, (sx, sy) in enumerate(((-1, -1), (1, -1), (-1, 1), (1, 1)))
    )
    carcass = Body(
        name="carcass", shapes=(*(part for side in sides for part in soft_box(*side, "wood", cut=0.002)), *feet), label="cabinet"
    )
    space = (x - 2 * board, y - board / 2, tall)
    low = foot + board
    drawers = tuple(_drawer(f"drawer {k}", space, low + k * tall) for k in range(count))
    slides = tuple(
        Joint(
            name=f"slide {k}",
            kind="slide",
            parent="carcass",
            child=drawer.name,
            frame=Pose(drawer.pose.position, TOWARDS_FRONT),
            limits=(estimated(0.0, 0.0, 0.0), estimated(0.75 * y, 0.7 * y, 0.8 * y)),
            damping=estimated(6.0, 3.0, 12.0),
            friction=estimated(1.5, 0.5, 3.0),
        )
        for k, drawer in enumerate(drawers)
    )
    colour = wooden(rng)
    front = bright(rng, leave_out=("charcoal", "red")) if rng.random() < 0.6 else tuple(min(1.0, part * 1.12) for part in colour)
    materials = (material("wood", "wood", colour), material("front", "wood", front), material("handle", "steel", (0.25, 0.25, 0.27)))
    return Asset(name="cabinet", bodies=(carcass, *drawers), joints=slides, materials=materials, label="cabinet")


def _drawer(name: str, space: tuple[float, float, float], low: float) -> Body:
    """An open box that fits into `space` (its opening's width, depth, height) with a gap all round; its front covers the opening."""
    x, y, z = space
    wall, width, depth, height = 0.012, x - 2 * GAP, y - 2 * GAP, 0.72 * z
    front = soft_box("front", (x + 0.024, 0.018, z - GAP), (0, -(y + 0.018) / 2 - GAP, z / 2), "front", cut=0.003)
    reach = -(y + 0.036) / 2 - GAP - 0.022
    grip = min(0.06, x / 5)
    shapes = (
        *front,
        box("floor", (width, depth, wall), (0, 0, GAP + wall / 2), "wood"),
        box("left wall", (wall, depth, height), (-(width - wall) / 2, 0, GAP + wall + height / 2), "wood"),
        box("right wall", (wall, depth, height), ((width - wall) / 2, 0, GAP + wall + height / 2), "wood"),
        box("back wall", (width - 2 * wall, wall, height), (0, (depth - wall) / 2, GAP + wall + height / 2), "wood"),
        box("inner front", (width - 2 * wall, wall, height), (0, -(depth - wall) / 2, GAP + wall + height / 2), "wood"),
        bar("handle", 0.006, (-grip, reach, 0.6 * z), (grip, reach, 0.6 * z), "handle"),
        bar("handle left", 0.005, (-grip, reach, 0.6 * z), (-grip, reach + 0.024, 0.6 * z), "handle"),
        bar("handle right", 0.005, (grip, reach, 0.6 * z), (grip, reach + 0.024, 0.6 * z), "handle"),
    )
    return Body(name=name, shapes=shapes, pose=Pose((0.0, 0.0, low)), label="drawer")


def lidded_box(rng: np.random.Generator) -> Asset:
    """An open wooden box with a lid that hinges at the back: 0 is shut, and it opens to a little past upright."""
    x, y, z, wall = float(rng.uniform(0.16, 0.24)), float(rng.uniform(0.12, 0.16)), float(rng.uniform(0.07, 0.11)), 0.008
    lid = 0.012
    sides = (
        ("floor", (x, y, wall), (0.0, 0.0, wall / 2)),
        ("left wall", (wall, y, z - wall), (-(x - wall) / 2, 0.0, (z + wall) / 2)),
        ("right wall", (wall, y, z - wall), ((x - wall) / 2, 0.0, (z + wall) / 2)),
        ("front wall", (x - 2 * wall, wall, z - wall), (0.0, -(y - wall) / 2, (z + wall) / 2)),
        ("back wall", (x - 2 * wall, wall, z - wall), (0.0, (y - wall) / 2, (z + wall) / 2)),
    )
    case = Body(name="case", shapes=tuple(part for side in sides for part in soft_box(*side, "wood", cut=0.0015)), label="box with a lid")
    pins = (rod(f"hinge {k}", 0.004, 0.025, ((k - 0.5) * 0.6 * x, 0.002, 0.002), "metal", along=(1, 0, 0), role="visual") for k in range(2))
    top = Body(
        name="lid",
        shapes=(
            *soft_box("lid", (x, y, lid), (0, -y / 2, 0.001 + lid / 2), "lid", cut=0.0025),
            rod("knob", 0.009, 0.014, (0, -y + 0.025, lid + 0.008), "metal"),
            *pins,
        ),
        pose=Pose((0.0, y / 2, z)),
        label="lid",
    )
    hinge = Joint(
        name="hinge",
        kind="hinge",
        parent="case",
        child="lid",
        frame=Pose(top.pose.position, Pose.about((0.0, 1.0, 0.0), -math.pi / 2).turn),  # z to -x: a positive turn lifts the front
        limits=(estimated(0.0, 0.0, 0.0), estimated(1.9, 1.7, 2.0)),
        damping=estimated(0.01, 0.004, 0.02),
        friction=estimated(0.01, 0.003, 0.03),
    )
    colour = wooden(rng)
    materials = (
        material("wood", "wood", colour),
        material("lid", "wood", bright(rng, leave_out=("charcoal",))),
        material("metal", "steel", (0.72, 0.58, 0.32)),
    )
    return Asset(name="lidded_box", bodies=(case, top), joints=(hinge,), materials=materials, label="box with a lid")


def door(rng: np.random.Generator) -> Asset:
    """A door in its frame, built into a wall along x: the leaf swings towards -y and +y about its left edge, its handle turns down."""
    return door_of(float(rng.uniform(0.80, 0.90)), float(rng.uniform(1.98, 2.05)), bright(rng, leave_out=("charcoal", "yellow", "pink")))


def door_of(width: float, height: float, colour: tuple[float, float, float], *, thick: float = 0.12) -> Asset:
    """A door whose opening is `width` by `height` m in a wall `thick` m thick; around it the frame takes 0.05 m more."""
    grip = (width / 2 - 0.07, 0.0, 1.0)
    leaf = _leaf(width, height)
    joints = (
        Joint(name="wall", kind="fixed", parent=WORLD, child="frame"),
        Joint(
            name="hinge",
            kind="hinge",
            parent="frame",
            child="leaf",
            frame=Pose(leaf.pose.position),
            limits=(estimated(-1.9, -2.0, -1.7), estimated(1.9, 1.7, 2.0)),
            damping=estimated(1.0, 0.4, 2.0),
            friction=estimated(0.5, 0.2, 1.0),
        ),
        Joint(
            name="latch",
            kind="hinge",
            parent="leaf",
            child="handle",
            frame=Pose(grip, TOWARDS_FRONT),
            limits=(estimated(0.0, 0.0, 0.0), estimated(0.8, 0.6, 1.0)),
            damping=estimated(0.02, 0.01, 0.04),
            friction=estimated(0.4, 0.3, 0.6),
        ),
    )
    materials = (
        material("frame", "wood", PALETTE["white"]),
        material("leaf", "wood", colour),
        material("panel", "wood", tuple(min(1.0, part * 1.1 + 0.03) for part in colour)),
        material("handle", "steel", (0.74, 0.74, 0.76)),
    )
    bodies = (_frame(width, height, thick), leaf, _handle(grip))
    return Asset(name="door", bodies=bodies, joints=joints, materials=materials, label="door")


def _frame(width: float, height: float, thick: float) -> Body:
    post, deep = 0.05, thick + 0.02
    shapes = (
        *soft_box("left post", (post, deep, height + post), (-(width + post) / 2, 0, (height + post) / 2), "frame", cut=0.005),
        *soft_box("right post", (post, deep, height + post), ((width + post) / 2, 0, (height + post) / 2), "frame", cut=0.005),
        *soft_box("lintel", (width, deep, post), (0, 0, height + post / 2), "frame", cut=0.005),
    )
    return Body(name="frame", shapes=shapes, label="door frame")


def _leaf(width: float, height: float) -> Body:
    """Its origin is at the hinge, on the ground."""
    clear = 0.006
    board, tall = width - 2 * clear, height - 2 * clear
    middle = clear + board / 2
    panels = (
        drawn(
            f"panel {k} {side}",
            chamfered((board * 0.35, 0.006, tall * (high - low) / 2), 0.004),
            "panel",
            pose=Pose((middle, side * LEAF_M / 2, clear + tall * (low + high) / 2)),
        )
        for k, (low, high) in enumerate(((0.10, 0.44), (0.54, 0.93)))
        for side in (-1, 1)
    )
    shapes = (*soft_box("leaf", (board, LEAF_M, tall), (middle, 0, clear + tall / 2), "leaf", cut=0.004), *panels)
    return Body(name="leaf", shapes=shapes, pose=Pose((-width / 2, 0.0, 0.0)), label="door")


def _handle(at: tuple[float, float, float]) -> Body:
    """A lever on both sides of the leaf, pointing to the hinge. The spring in a lock carries it: its centre of mass counts as being on
    its axle."""
    shapes = []
    for side, name in ((-1, "front"), (1, "back")):
        out = side * (LEAF_M / 2 + 0.045)
        shapes += [
            rod(f"{name} rose", 0.024, 0.008, (0, side * (LEAF_M / 2 + 0.005), 0), "handle", along=(0, 1, 0)),
            bar(f"{name} neck", 0.009, (0, side * LEAF_M / 2, 0), (0, out, 0), "handle"),
            bar(f"{name} lever", 0.009, (0, out, 0), (-0.11, out, 0), "handle"),
        ]
    moments = tuple(estimated(moment, 0.5 * moment, 2.0 * moment) for moment in (8e-4, 2e-3, 2e-3))
    return Body(
        name="handle", shapes=tuple(shapes), pose=Pose(at), mass=estimated(0.6, 0.4, 0.9), inertia=Inertia(moments), label="door handle"
    )
