"""Round things that hold something: drawn as turned shells, touched as a floor and a ring of boxes, so that they are really hollow.

A vessel stands on its floor alone: if the pieces of its wall touched the ground as well, that would take most of a simulation's time.
"""

import math
from itertools import pairwise

import numpy as np

from armillary.worlds.twin.asset import Asset
from armillary.worlds.twin.objects.materials import PALETTE, bright, material, wooden
from armillary.worlds.twin.objects.meshes import lathe, soften, sweep, torus
from armillary.worlds.twin.objects.parts import bar, box, drawn, one_body, points, rod, round_wall, soft_box
from armillary.worlds.twin.pose import Pose

RAISED_M = 0.001  # how far above its foot a vessel's wall begins at least: farther than anything sinks in where it rests (`contact.py`)


def can(rng: np.random.Generator) -> Asset:
    """A full drinks can with a coloured label."""
    radius, height = float(rng.uniform(0.030, 0.035)), float(rng.uniform(0.10, 0.125))
    neck, foot = 0.86 * radius, 0.006
    outline = points(
        (0, 0.004), (0.7 * neck, 0.003), (neck, 0), (radius, foot), (radius, height - 0.012), (neck, height - 0.002), (neck, height),
        (neck - 0.002, height), (neck - 0.003, height - 0.003), (0, height - 0.003),
    )  # fmt: skip
    low, high = 0.012, height - 0.020
    label = lathe(points((0, low), (radius + 0.0004, low), (radius + 0.0004, high), (0, high)))
    stripe = height * float(rng.uniform(0.35, 0.6))
    band = lathe(points((0, stripe), (radius + 0.0007, stripe), (radius + 0.0007, stripe + 0.018), (0, stripe + 0.018)))
    shapes = (
        rod("can", radius, height, (0, 0, height / 2), "liquid", role="collider"),
        drawn("can look", lathe(outline), "metal"),
        drawn("label", label, "label"),
        drawn("band", band, "band"),
        rod("tab", 0.007, 0.001, (0, -0.008, height - 0.002), "metal", role="visual"),
    )
    grey = (0.78, 0.79, 0.81)
    materials = (
        material("liquid", "liquid", grey),
        material("metal", "aluminium", grey),
        material("label", "plastic", bright(rng, leave_out=("white", "cream"))),
        material("band", "plastic", PALETTE["cream"]),
    )
    return one_body("can", shapes, materials)


def bottle(rng: np.random.Generator) -> Asset:
    """A full bottle with a shoulder, a neck, a screw cap and a label."""
    radius, height = float(rng.uniform(0.030, 0.037)), float(rng.uniform(0.19, 0.23))
    neck, body, cap = 0.38 * radius, 0.62 * height, 0.022
    outline = points(
        (0, 0.004), (0.8 * radius, 0), (radius, 0.004), (radius, 0.03), (radius, body), (0.9 * radius, body + 0.018), (neck, 0.82 * height),
        (neck, height - cap), (neck, height - 0.002), (0, height - 0.002),
    )  # fmt: skip
    shell = lathe(np.concatenate([outline[:1], soften(outline[1:-1]), outline[-1:]]))
    label = lathe(points((0, 0.3 * body), (radius + 0.0005, 0.3 * body), (radius + 0.0005, 0.85 * body), (0, 0.85 * body)))
    glass = bool(rng.random() < 0.5)
    colour = ((0.16, 0.42, 0.26), (0.42, 0.24, 0.10))[rng.integers(2)] if glass else bright(rng, leave_out=("cream", "charcoal"))
    shapes = (
        drawn("bottle look", shell, "bottle"),
        drawn("label", label, "label"),
        rod("cap", neck * 1.2, cap, (0, 0, height - cap / 2), "cap"),
        rod("body", radius, body, (0, 0, body / 2), "bottle", role="collider"),
        rod("shoulder", 0.72 * radius, 0.12 * height, (0, 0, body + 0.06 * height), "bottle", role="collider"),
        rod("neck", neck, 0.26 * height - cap, (0, 0, 0.74 * height + (0.26 * height - cap) / 2), "bottle", role="collider"),
    )
    materials = (
        material("bottle", "liquid", colour),
        material("label", "paper", PALETTE["cream"]),
        material("cap", "plastic", PALETTE["charcoal"] if glass else PALETTE["white"]),
    )
    return one_body("bottle", shapes, materials)


def mug(rng: np.random.Generator) -> Asset:
    """A mug with a handle that a finger fits through."""
    radius, height, wall = float(rng.uniform(0.036, 0.044)), float(rng.uniform(0.080, 0.100)), 0.004
    low, high, reach = 0.24 * height, 0.80 * height, 0.030
    bow = [(radius - wall / 2, 0.0, high), (radius + reach, 0, high + 0.004), (radius + reach, 0, low - 0.002), (radius - wall / 2, 0, low)]
    path = soften(points(*bow), times=3)
    posts = soften(points(*bow), times=1)[1:-1]
    shapes = (
        drawn("mug look", _shell(points((radius * 0.94, 0), (radius, 0.006), (radius, height)), wall), "glaze"),
        drawn("handle look", sweep(path, np.full(len(path), 0.0055)), "glaze"),
        rod("floor", radius, 2 * wall, (0, 0, wall), "glaze", role="collider"),
        *round_wall("wall", (radius, 2 * wall), (radius, height), wall, "glaze"),
        *(
            bar(f"handle {k}", 0.0055, tuple(map(float, a)), tuple(map(float, b)), "glaze", role="collider")
            for k, (a, b) in enumerate(pairwise(posts))
        ),
    )
    return one_body("mug", shapes, (material("glaze", "ceramic", bright(rng)),))


def cup(rng: np.random.Generator) -> Asset:
    """A tumbler without a handle, wider at the rim."""
    foot, rim = float(rng.uniform(0.026, 0.030)), float(rng.uniform(0.036, 0.042))
    height, wall = float(rng.uniform(0.085, 0.115)), 0.003
    over_floor = foot + (rim - foot) * 2 * wall / height
    shapes = (
        drawn("cup look", _shell(points((foot, 0), (rim, height)), wall), "plastic"),
        rod("floor", foot, 2 * wall, (0, 0, wall), "plastic", role="collider"),
        *round_wall("wall", (over_floor, 2 * wall), (rim, height), wall, "plastic"),
    )
    return one_body("cup", shapes, (material("plastic", "plastic", bright(rng)),))


def bowl(rng: np.random.Generator) -> Asset:
    """A bowl on a foot."""
    rim, height, wall = float(rng.uniform(0.065, 0.085)), float(rng.uniform(0.050, 0.065)), 0.005
    foot, belly = 0.45 * rim, 0.82 * rim
    outside = points((foot, 0), (0.6 * rim, 0.12 * height), (belly, 0.42 * height), (rim, height))
    shapes = (
        drawn("bowl look", _shell(np.concatenate([outside[:1], soften(outside[1:])]), wall), "glaze"),
        rod("floor", foot, 2 * wall, (0, 0, wall), "glaze", role="collider"),
        *round_wall("low wall", (foot, RAISED_M), (belly, 0.42 * height), wall, "glaze"),
        *round_wall("high wall", (belly, 0.42 * height), (rim, height), wall, "glaze"),
    )
    return one_body("bowl", shapes, (material("glaze", "ceramic", bright(rng, leave_out=("charcoal",))),))


def plate(rng: np.random.Generator) -> Asset:
    """A plate with a raised rim and a coloured line on it."""
    rim, height, wall = float(rng.uniform(0.085, 0.115)), float(rng.uniform(0.016, 0.022)), 0.004
    foot = 0.62 * rim
    line = torus(0.95 * rim, 0.0012)
    shapes = (
        drawn("plate look", _shell(points((foot, 0), (rim, height)), wall), "glaze"),
        drawn("line", line, "line", pose=Pose((0.0, 0.0, height * 0.87 + 0.002))),
        rod("floor", foot, wall, (0, 0, wall / 2), "glaze", role="collider"),
        *round_wall("wall", (foot, RAISED_M), (rim, height), wall, "glaze", segments=16),
    )
    materials = (material("glaze", "ceramic", PALETTE["white"]), material("line", "ceramic", bright(rng, leave_out=("white", "cream"))))
    return one_body("plate", shapes, materials)


def jar(rng: np.random.Generator) -> Asset:
    """A full jar of jam with a lid and a label."""
    radius, height = float(rng.uniform(0.034, 0.042)), float(rng.uniform(0.085, 0.115))
    lid = 0.016
    top = height - lid
    outline = points((0, 0), (0.92 * radius, 0), (radius, 0.006), (radius, 0.86 * top), (0.82 * radius, top), (0, top))
    label = lathe(points((0, 0.28 * top), (radius + 0.0005, 0.28 * top), (radius + 0.0005, 0.68 * top), (0, 0.68 * top)))
    shapes = (
        drawn("jar look", lathe(np.concatenate([outline[:1], soften(outline[1:-1]), outline[-1:]])), "jam"),
        drawn("label", label, "label"),
        rod("jar", radius, top, (0, 0, top / 2), "jam", role="collider"),
        rod("lid", 0.88 * radius, lid, (0, 0, height - lid / 2), "lid"),
    )
    jam = ((0.52, 0.08, 0.12), (0.80, 0.45, 0.10), (0.34, 0.12, 0.30), (0.78, 0.62, 0.20))[rng.integers(4)]
    materials = (material("jam", "liquid", jam), material("label", "paper", PALETTE["cream"]), material("lid", "aluminium", bright(rng)))
    return one_body("jar", shapes, materials)


def ring(rng: np.random.Generator) -> Asset:
    """A wooden ring that lies flat."""
    radius, thick = float(rng.uniform(0.035, 0.050)), float(rng.uniform(0.007, 0.010))
    count = 12
    around = [2 * math.pi * k / count for k in range(count + 1)]
    at = [(radius * math.cos(angle), radius * math.sin(angle), thick) for angle in around]
    pieces = (bar(f"ring {k}", thick, at[k], at[k + 1], "wood", role="collider") for k in range(count))
    shapes = (drawn("ring look", torus(radius, thick), "wood", pose=Pose((0.0, 0.0, thick))), *pieces)
    return one_body("ring", shapes, (material("wood", "wood", bright(rng)),))


def tray(rng: np.random.Generator) -> Asset:
    """A flat open tray with a rim."""
    x, y, height, wall = float(rng.uniform(0.22, 0.30)), float(rng.uniform(0.15, 0.20)), float(rng.uniform(0.025, 0.04)), 0.006
    sides = [
        (f"{name} rim", size, at, "wood")
        for name, size, at in (
            ("left", (wall, y, height), (-(x - wall) / 2, 0.0, height / 2)),
            ("right", (wall, y, height), ((x - wall) / 2, 0.0, height / 2)),
            ("front", (x - 2 * wall, wall, height), (0.0, -(y - wall) / 2, height / 2)),
            ("back", (x - 2 * wall, wall, height), (0.0, (y - wall) / 2, height / 2)),
        )
    ]
    shapes = (
        box("floor", (x - 2 * wall, y - 2 * wall, wall), (0, 0, wall / 2), "floor"),
        *(shape for side in sides for shape in soft_box(*side, cut=0.0015)),
    )
    materials = (material("wood", "wood", wooden(rng)), material("floor", "wood", bright(rng, leave_out=("charcoal",))))
    return one_body("tray", shapes, materials)


def _shell(outside: np.ndarray, wall: float):
    """A turned vessel of this outside, foot to rim, `wall` m thick, with a rounded lip."""
    rim_radius, rim = outside[-1]
    inside = outside[::-1] - np.array([wall, 0.0])
    inside[:, 1] = np.maximum(inside[:, 1], 2 * wall)
    inside[0, 1] = rim
    lip = points((rim_radius - wall / 2, rim + 0.4 * wall))
    return lathe(np.concatenate([points((0, 0)), outside, lip, inside, points((0, 2 * wall))]))
