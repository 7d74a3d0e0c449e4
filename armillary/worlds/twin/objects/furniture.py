"""Furniture that stands still: tables, chairs, shelves, a sofa, a lamp."""

import numpy as np

from armillary.worlds.twin.asset import Asset
from armillary.worlds.twin.objects.materials import bright, material, wooden
from armillary.worlds.twin.objects.meshes import lathe, turned_loop
from armillary.worlds.twin.objects.parts import box, drawn, one_body, points, rod, round_wall, soft_box
from armillary.worlds.twin.pose import Pose


def table(rng: np.random.Generator) -> Asset:
    """A wooden table on four legs."""
    return table_of((float(rng.uniform(1.0, 1.4)), float(rng.uniform(0.65, 0.85)), float(rng.uniform(0.70, 0.76))), wooden(rng))


def table_of(size: tuple[float, float, float], colour: tuple[float, float, float]) -> Asset:
    """A table of this length, width and height (m)."""
    x, y, z = size
    top, leg = 0.035, 0.055
    legs = (
        shape
        for name, side, end in (("left front", -1, -1), ("right front", 1, -1), ("left back", -1, 1), ("right back", 1, 1))
        for shape in soft_box(
            f"{name} leg", (leg, leg, z - top), (side * (x / 2 - 0.06), end * (y / 2 - 0.06), (z - top) / 2), "legs", cut=0.004
        )
    )
    rails = (
        box("front rail", (x - 0.2, 0.02, 0.07), (0, -(y / 2 - 0.06), z - top - 0.035), "legs"),
        box("back rail", (x - 0.2, 0.02, 0.07), (0, y / 2 - 0.06, z - top - 0.035), "legs"),
    )
    shapes = (*soft_box("top", (x, y, top), (0, 0, z - top / 2), "wood", cut=0.005), *legs, *rails)
    dark = tuple(part * 0.75 for part in colour)
    return one_body("table", shapes, (material("wood", "wood", colour), material("legs", "wood", dark)))


def chair(rng: np.random.Generator) -> Asset:
    """A wooden chair with a cushion; it faces -y."""
    x, y, seat, back = 0.42, 0.42, float(rng.uniform(0.42, 0.46)), float(rng.uniform(0.82, 0.92))
    post = 0.036
    posts = (
        box(f"{name} post", (post, post, height), (side * (x - post) / 2, end * (y - post) / 2, height / 2), "wood")
        for name, side, end, height in (
            ("left front", -1, -1, seat - 0.03),
            ("right front", 1, -1, seat - 0.03),
            ("left back", -1, 1, back),
            ("right back", 1, 1, back),
        )
    )
    slats = (
        box(f"slat {k}", (x - 2 * post, 0.016, 0.05), (0, (y - post) / 2, seat + (k + 1) * (back - seat) / 3.4), "wood") for k in range(3)
    )
    shapes = (
        *soft_box("seat", (x, y - post, 0.03), (0, -post / 2, seat - 0.015), "wood", cut=0.005),
        *soft_box("cushion", (x * 0.86, y * 0.78, 0.035), (0, -post / 2, seat + 0.0175), "cushion", cut=0.012),
        *posts,
        *slats,
    )
    return one_body("chair", shapes, (material("wood", "wood", wooden(rng)), material("cushion", "foam", bright(rng))))


def sofa(rng: np.random.Generator) -> Asset:
    """A sofa for two or three; it faces -y."""
    x, y, arm = float(rng.uniform(1.5, 1.9)), 0.85, 0.16
    width = (x - 2 * arm) / 2
    cushions = (
        shape
        for k in range(2)
        for part in (
            (f"seat {k}", (width - 0.01, y - 0.24, 0.16), ((k - 0.5) * width, -0.10, 0.36), "cushion"),
            (f"back {k}", (width - 0.02, 0.16, 0.40), ((k - 0.5) * width, y / 2 - 0.26, 0.62), "cushion"),
        )
        for shape in soft_box(*part, cut=0.035)
    )
    feet = (
        rod(f"foot {k}", 0.025, 0.08, (sx * (x / 2 - 0.1), sy * (y / 2 - 0.1), 0.04), "wood")
        for k, (sx, sy) in enumerate(((-1, -1), (1, -1), (-1, 1), (1, 1)))
    )
    shapes = (
        *soft_box("base", (x - 2 * arm, y - 0.06, 0.20), (0, 0, 0.18), "frame", cut=0.02),
        *soft_box("back", (x - 2 * arm, 0.18, 0.74), (0, y / 2 - 0.09, 0.45), "frame", cut=0.04),
        *soft_box("left arm", (arm, y, 0.50), (-(x - arm) / 2, 0, 0.33), "frame", cut=0.04),
        *soft_box("right arm", (arm, y, 0.50), ((x - arm) / 2, 0, 0.33), "frame", cut=0.04),
        *cushions,
        *feet,
    )
    colour = bright(rng, leave_out=("white", "yellow", "charcoal"))
    dark = tuple(part * 0.82 for part in colour)
    materials = (material("cushion", "foam", colour), material("frame", "foam", dark), material("wood", "wood", (0.30, 0.20, 0.12)))
    return one_body("sofa", shapes, materials)


def shelf(rng: np.random.Generator) -> Asset:
    """An open bookcase; it faces -y."""
    x, y, z, board = float(rng.uniform(0.6, 0.9)), float(rng.uniform(0.26, 0.32)), float(rng.uniform(0.9, 1.5)), 0.02
    levels = 3 if z < 1.2 else 4
    gap = (z - board - 0.05) / levels
    boards = (
        shape
        for k in range(levels + 1)
        for shape in soft_box(f"board {k}", (x - 2 * board, y - 0.01, board), (0, -0.005, 0.05 + board / 2 + k * gap), "wood", cut=0.002)
    )
    shapes = (
        *soft_box("left side", (board, y, z + board / 2), (-(x - board) / 2, 0, (z + board / 2) / 2), "wood", cut=0.002),
        *soft_box("right side", (board, y, z + board / 2), ((x - board) / 2, 0, (z + board / 2) / 2), "wood", cut=0.002),
        box("back", (x - 2 * board, 0.008, z - 0.05), (0, y / 2 - 0.004, 0.05 + (z - 0.05) / 2), "back"),
        box("plinth", (x - 2 * board, 0.015, 0.05), (0, -y / 2 + 0.03, 0.025), "wood"),
        *boards,
    )
    colour = wooden(rng)
    pale = tuple(min(1.0, part * 1.12) for part in colour)
    return one_body("shelf", shapes, (material("wood", "wood", colour), material("back", "wood", pale)))


def lamp(rng: np.random.Generator) -> Asset:
    """A table lamp: a heavy foot, a stem and a shade that is open below."""
    height, foot, shade = float(rng.uniform(0.36, 0.46)), float(rng.uniform(0.06, 0.075)), float(rng.uniform(0.095, 0.12))
    top, tall, wall = 0.55 * shade, 0.42 * height, 0.0015
    low = height - tall
    sides = points((shade, low), (top, height), (top - wall, height), (shade - wall, low))
    shapes = (
        drawn("foot look", lathe(points((0, 0), (foot, 0), (foot, 0.012), (0.8 * foot, 0.022), (0.15 * foot, 0.03), (0, 0.03))), "metal"),
        rod("foot", foot, 0.022, (0, 0, 0.011), "metal", role="collider"),
        rod("stem", 0.007, height - 0.06, (0, 0, 0.02 + (height - 0.06) / 2), "metal"),
        drawn("shade look", turned_loop(sides), "shade"),
        *round_wall("shade", (shade, low), (top, height), 0.003, "shade"),
        *(
            box(
                f"spoke {k}",
                (2 * top - 0.004, 0.004, 0.003),
                (0, 0, height - 0.042),
                "metal",
                turned=Pose.about((0.0, 0.0, 1.0), k * np.pi / 2),
            )
            for k in range(2)
        ),
        drawn("bulb", lathe(points((0, 0.03), (0.02, 0.04), (0.028, 0.06), (0.012, 0.09), (0, 0.09))), "bulb", pose=Pose((0.0, 0.0, low))),
    )
    materials = (
        material("metal", "steel", (0.30, 0.28, 0.26) if rng.random() < 0.5 else (0.72, 0.58, 0.32)),
        material("shade", "cloth", bright(rng, leave_out=("charcoal", "navy"))),
        material("bulb", "glass", (1.0, 0.96, 0.82)),
    )
    return one_body("lamp", shapes, materials)
