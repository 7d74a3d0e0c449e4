"""Solid things: boxes, balls, bricks, dice, books, stands, fruit."""

import math
from itertools import pairwise

import numpy as np

from armillary.worlds.twin.asset import Asset, Shape
from armillary.worlds.twin.objects.materials import PALETTE, bright, material, wooden
from armillary.worlds.twin.objects.meshes import chamfered, lathe, soften, sweep
from armillary.worlds.twin.objects.parts import bar, box, drawn, globe, one_body, points, rod, soft_box
from armillary.worlds.twin.pose import Pose

PIP_TURNS = (  # die_from_face: which way the faces with 1 to 6 pips look; opposite ones add up to seven
    Pose(),
    Pose.about((0.0, 1.0, 0.0), math.pi / 2),
    Pose.about((1.0, 0.0, 0.0), math.pi / 2),
    Pose.about((1.0, 0.0, 0.0), -math.pi / 2),
    Pose.about((0.0, 1.0, 0.0), -math.pi / 2),
    Pose.about((1.0, 0.0, 0.0), math.pi),
)
PIPS = (((0, 0),), ((-1, -1), (1, 1)), ((-1, -1), (0, 0), (1, 1)), ((-1, -1), (-1, 1), (1, -1), (1, 1)))
PIPS = (*PIPS, (*PIPS[3], (0, 0)), (*PIPS[3], (-1, 0), (1, 0)))


def carton(rng: np.random.Generator) -> Asset:
    """A closed cardboard box with a strip of tape."""
    x, y, z = (float(rng.uniform(low, high)) for low, high in ((0.06, 0.11), (0.05, 0.09), (0.05, 0.10)))
    tape = min(x, y) * 0.28
    shapes = (
        *soft_box("carton", (x, y, z), (0, 0, z / 2), "cardboard", cut=0.0015),
        box("tape", (x + 0.0006, tape, 0.0006), (0, 0, z), "tape", role="visual"),
        box("tape left", (0.0006, tape, z * 0.3), (-x / 2, 0, z * 0.85), "tape", role="visual"),
        box("tape right", (0.0006, tape, z * 0.3), (x / 2, 0, z * 0.85), "tape", role="visual"),
    )
    brown = tuple(part * float(rng.uniform(0.9, 1.05)) for part in (0.72, 0.54, 0.35))
    return one_body("box", shapes, (material("cardboard", "cardboard", brown), material("tape", "plastic", (0.88, 0.79, 0.60))))


def ball(rng: np.random.Generator) -> Asset:
    """A rubber ball with a band of another colour around it."""
    radius = float(rng.uniform(0.025, 0.042))
    angle = np.linspace(-0.22, 0.22, 5)
    outside = np.stack([1.006 * radius * np.cos(angle), 1.006 * radius * np.sin(angle)], axis=1)
    band = lathe(np.concatenate([[[0.0, outside[0, 1]]], outside, [[0.0, outside[-1, 1]]]]))
    tilt = Pose((0.0, 0.0, radius)).then(Pose.about((1.0, 0.6, 0.0), float(rng.uniform(-0.9, -0.2))))
    colour = bright(rng, leave_out=("white", "cream"))
    shapes = (globe("ball", radius, (0, 0, radius), "rubber"), drawn("band", band, "band", pose=tilt))
    return one_body("ball", shapes, (material("rubber", "rubber", colour), material("band", "rubber", PALETTE["cream"])))


def brick(rng: np.random.Generator) -> Asset:
    """A clay brick of about the usual proportions, at half its usual size so that a hand can take it."""
    scale = float(rng.uniform(0.48, 0.56))
    size = tuple(scale * edge * float(rng.uniform(0.96, 1.04)) for edge in (0.215, 0.1025, 0.065))
    red = tuple(part * float(rng.uniform(0.9, 1.1)) for part in (0.68, 0.30, 0.21))
    return one_body("brick", soft_box("brick", size, (0, 0, size[2] / 2), "clay", cut=0.0025), (material("clay", "brick", red),))


def die(rng: np.random.Generator) -> Asset:
    """A big die with pips."""
    edge = float(rng.uniform(0.03, 0.05))
    middle = Pose((0.0, 0.0, edge / 2))
    pips = []
    for number, (turn, spots) in enumerate(zip(PIP_TURNS, PIPS, strict=True), start=1):
        for count, (u, v) in enumerate(spots):
            pose = middle.then(turn).then(Pose((u * edge * 0.25, v * edge * 0.25, edge / 2)))
            spot = rod(f"pip {number} {count}", edge * 0.09, 0.0008, (0, 0, 0), "pips", role="visual")
            pips.append(Shape(name=spot.name, geometry=spot.geometry, pose=pose, role="visual", material="pips"))
    dark = bool(rng.random() < 0.6)
    colour = bright(rng, leave_out=("white", "cream", "yellow")) if dark else PALETTE["cream"]
    materials = (material("plastic", "plastic", colour), material("pips", "plastic", PALETTE["white" if dark else "charcoal"]))
    return one_body("die", (*soft_box("die", (edge,) * 3, (0, 0, edge / 2), "plastic", cut=edge * 0.07), *pips), materials)


def book(rng: np.random.Generator) -> Asset:
    """A book that lies: a cover around a block of pages, and a title band."""
    x, y, z = (float(rng.uniform(low, high)) for low, high in ((0.11, 0.15), (0.16, 0.21), (0.018, 0.036)))
    cover = 0.003
    title = float(rng.uniform(0.55, 0.75)) * x
    shapes = (
        box("book", (x, y, z), (0, 0, z / 2), "paper", role="collider"),
        box("pages", (x - 0.006, y - 0.008, z - 2 * cover), (0.0025, 0, z / 2), "paper", role="visual"),
        drawn("front", chamfered((x / 2, y / 2, cover / 2), 0.001), "cover", pose=Pose((0.0, 0.0, z - cover / 2))),
        drawn("back", chamfered((x / 2, y / 2, cover / 2), 0.001), "cover", pose=Pose((0.0, 0.0, cover / 2))),
        drawn("spine", chamfered((0.003, y / 2, z / 2), 0.0014), "cover", pose=Pose((-x / 2 + 0.002, 0.0, z / 2))),
        box("title", (title, y * 0.16, 0.0008), (0.004, y * 0.2, z), "title", role="visual"),
        box("author", (title * 0.6, y * 0.04, 0.0008), (0.004, -y * 0.3, z), "title", role="visual"),
    )
    colour = bright(rng, leave_out=("white", "cream", "yellow"))
    paper = material("paper", "paper", (0.95, 0.92, 0.84))
    return one_body("book", shapes, (paper, material("cover", "cardboard", colour), material("title", "paper", PALETTE["cream"])))


def stand(rng: np.random.Generator) -> Asset:
    """A low round block to put things on."""
    radius, height = float(rng.uniform(0.045, 0.07)), float(rng.uniform(0.02, 0.06))
    edge = 0.003
    outline = points((0, 0), (radius - edge, 0), (radius, edge), (radius, height - edge), (radius - edge, height), (0, height))
    shapes = (drawn("stand look", lathe(outline), "wood"), rod("stand", radius, height, (0, 0, height / 2), "wood", role="collider"))
    return one_body("stand", shapes, (material("wood", "wood", wooden(rng)),))


def apple(rng: np.random.Generator) -> Asset:
    """An apple that sits on the ring around its flower end."""
    r = float(rng.uniform(0.034, 0.042))
    low = points((0, 0.14), (0.16, 0.06), (0.34, 0), (0.62, 0.14), (0.86, 0.5), (1.0, 1.0))
    high = points((0.92, 1.42), (0.66, 1.7), (0.34, 1.74), (0.12, 1.6), (0, 1.5))
    colour = ((0.76, 0.13, 0.14), (0.50, 0.68, 0.20), (0.90, 0.62, 0.22))[rng.integers(3)]
    lean = float(rng.uniform(-0.1, 0.1)) * r
    shapes = (
        drawn("apple look", lathe(soften(np.concatenate([low, high]) * r)), "fruit"),
        rod("foot", 0.4 * r, 0.4 * r, (0, 0, 0.2 * r), "fruit", role="collider"),
        globe("apple", 0.93 * r, (0, 0, 0.95 * r), "fruit", role="collider"),
        bar("stalk", 0.0016, (0, 0, 1.5 * r), (lean, 0, 2.0 * r), "stalk", role="visual"),
    )
    return one_body("apple", shapes, (material("fruit", "fruit", colour), material("stalk", "wood", (0.32, 0.22, 0.12))))


def banana(rng: np.random.Generator) -> Asset:
    """A banana that lies on its side: a bent rod, thin at the ends."""
    bend, length, thick = float(rng.uniform(0.10, 0.14)), float(rng.uniform(0.16, 0.20)), float(rng.uniform(0.016, 0.020))
    along = np.linspace(-length / 2, length / 2, 25)
    share = np.abs(along) / (length / 2)
    radii = thick * np.clip(1.0 - 0.28 * share**2 - 0.5 * np.clip(share - 0.82, 0, None) / 0.18, 0.25, None)
    path = np.stack([bend * np.sin(along / bend), bend * (np.cos(along / bend) - 0.85), np.full(len(along), thick)], axis=1)
    middle = path[:: len(path) // 6]
    pieces = [
        bar(f"banana {k}", float(0.97 * thick), tuple(map(float, a)), tuple(map(float, b)), "fruit", role="collider")
        for k, (a, b) in enumerate(pairwise(middle[1:-1]))
    ]
    tips = [drawn(f"tip {k}", sweep(path[part], radii[part] * 1.03), "tip") for k, part in enumerate((slice(0, 3), slice(-2, None)))]
    green = float(rng.uniform(0.0, 0.12))
    materials = (material("fruit", "fruit", (0.95 - green, 0.80, 0.22)), material("tip", "fruit", (0.42, 0.32, 0.15)))
    return one_body("banana", (drawn("banana look", sweep(path, radii), "fruit"), *pieces, *tips), materials)
