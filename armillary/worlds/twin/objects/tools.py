"""Things with a handle that lie on their side: cutlery, a hammer, a screwdriver."""

import math

import numpy as np

from armillary.worlds.twin.asset import Asset
from armillary.worlds.twin.objects.materials import bright, material, wooden
from armillary.worlds.twin.objects.meshes import lathe, soften, stretched, sweep
from armillary.worlds.twin.objects.parts import bar, box, drawn, one_body, pointing, points, rod, soft_box
from armillary.worlds.twin.pose import Pose

SILVER = (0.80, 0.81, 0.83)
ALONG = (1.0, 0.0, 0.0)


def spoon(rng: np.random.Generator) -> Asset:
    """A steel spoon with a hollow bowl."""
    length, bowl = float(rng.uniform(0.15, 0.19)), float(rng.uniform(0.016, 0.020))
    neck = length / 2 - 2.4 * bowl
    outside = points((0, 0), (0.45 * bowl, 0.0008), (0.8 * bowl, 0.0035), (bowl, 0.008))
    inside = outside[::-1] + points((-0.001, 0.0), (-0.0012, 0.0004), (-0.0006, 0.0012), (0.0, 0.0014))
    dish = lathe(np.concatenate([soften(outside), soften(inside)]))
    shapes = (
        drawn("bowl look", stretched(dish, (1.45, 1.0, 1.0)), "steel", pose=Pose((neck + 1.4 * bowl, 0.0, 0.0))),
        *_grip(length, neck, 0.0085),
        rod("bowl", 0.8 * bowl, 0.004, (neck + 1.4 * bowl, 0, 0.002), "steel", role="collider"),
        box("tip", (1.0 * bowl, 0.9 * bowl, 0.004), (neck + 2.2 * bowl, 0, 0.003), "steel", role="collider"),
    )
    return one_body("spoon", shapes, (material("steel", "steel", SILVER),))


def fork(rng: np.random.Generator) -> Asset:
    """A steel fork with four prongs."""
    length, width = float(rng.uniform(0.16, 0.20)), float(rng.uniform(0.022, 0.026))
    neck = length / 2 - 0.066
    root, tine = neck + 0.018, 0.048
    prongs = []
    for k in range(4):
        y = (k - 1.5) * width / 3.6
        line = soften(points((root, y, 0.006), (root + 0.5 * tine, y, 0.0035), (root + tine, y, 0.0045)))
        prongs.append(drawn(f"prong {k}", sweep(line, np.linspace(0.0017, 0.0009, len(line)), segments=10), "steel"))
    shapes = (
        *_grip(length, neck, 0.0085),
        *prongs,
        *soft_box("root", (0.024, width, 0.003), (neck + 0.010, 0, 0.0055), "steel", cut=0.0012),
        box("prongs", (tine, width, 0.003), (root + tine / 2, 0, 0.0045), "steel", role="collider"),
        box("rest", (0.010, width * 0.8, 0.003), (root + 0.55 * tine, 0, 0.0015), "steel", role="collider"),
    )
    return one_body("fork", shapes, (material("steel", "steel", SILVER),))


def hammer(rng: np.random.Generator) -> Asset:
    """A hammer on its side: a steel head with a face and a peen on a wooden handle."""
    length, head = float(rng.uniform(0.24, 0.29)), float(rng.uniform(0.085, 0.105))
    thick = float(rng.uniform(0.022, 0.027))
    x, z = length / 2 - thick / 2, thick / 2
    peen = sweep(points((x, 0.16 * head, z), (x, 0.3 * head, z), (x, 0.5 * head, z)), np.array([0.48, 0.42, 0.18]) * thick)
    along = np.linspace(-length / 2, x, 9)
    swell = thick * np.array([0.36, 0.46, 0.47, 0.45, 0.40, 0.36, 0.34, 0.33, 0.33])
    shapes = (
        drawn("handle look", sweep(np.stack([along, 0 * along, np.full(9, z)], axis=1), swell, segments=20), "wood"),
        rod("handle", 0.45 * thick, length - thick, (-thick / 2, 0, z), "wood", along=ALONG, role="collider"),
        *soft_box("head", (thick, 0.36 * head, thick), (x, 0, z), "steel", cut=0.003),
        rod("neck", 0.38 * thick, 0.2 * head, (x, -0.26 * head, z), "steel", along=(0, 1, 0)),
        rod("face", 0.5 * thick, 0.16 * head, (x, -0.42 * head, z), "steel", along=(0, 1, 0)),
        drawn("peen look", peen, "steel"),
        box("peen", (0.6 * thick, 0.32 * head, 0.5 * thick), (x, 0.34 * head, z), "steel", role="collider"),
    )
    return one_body("hammer", shapes, (material("wood", "wood", wooden(rng)), material("steel", "steel", (0.42, 0.44, 0.47))))


def screwdriver(rng: np.random.Generator) -> Asset:
    """A screwdriver: a fluted plastic handle and a steel blade."""
    length, thick = float(rng.uniform(0.18, 0.23)), float(rng.uniform(0.013, 0.016))
    grip, shaft = 0.46 * length, 0.003
    start, end = -length / 2, length / 2
    outline = points((0, 0), (0.75, 0), (1, 0.08), (1, 0.45), (0.86, 0.62), (0.95, 0.8), (0.62, 1), (0, 1)) * np.array([thick, grip])
    handle = lathe(np.concatenate([outline[:1], soften(outline[1:-1]), outline[-1:]]))
    lay = pointing(ALONG, (start, 0, thick))
    out = thick - 0.0012  # from the handle's axis
    around = [(out * math.sin(angle), thick + out * math.cos(angle)) for angle in (math.pi / 8 + k * math.pi / 4 for k in range(8))]
    flutes = (
        bar(f"flute {k}", 0.0022, (start + 0.12 * grip, y, z), (start + 0.42 * grip, y, z), "flute", role="visual")
        for k, (y, z) in enumerate(around)
    )
    shapes = (
        drawn("handle look", handle, "plastic", pose=lay),
        *flutes,
        rod("handle", thick, grip, (start + grip / 2, 0, thick), "plastic", along=ALONG, role="collider"),
        rod("shaft", shaft, length - grip, (end - (length - grip) / 2, 0, thick), "steel", along=ALONG),
        box("blade", (0.008, 0.007, 0.0018), (end - 0.004, 0, thick), "steel"),
    )
    materials = (
        material("plastic", "plastic", bright(rng, leave_out=("white", "charcoal"))),
        material("flute", "rubber", (0.16, 0.17, 0.18)),
        material("steel", "steel", SILVER),
    )
    return one_body("screwdriver", shapes, materials)


def _grip(length: float, neck: float, width: float):
    """A flat handle from one end to `neck`, broad at the end and raised in the middle."""
    start, count = -length / 2, 13
    along = np.linspace(start, neck + 0.004, count)
    share = np.linspace(0.0, 1.0, count)
    height = 0.0022 + 0.004 * np.clip(share - 0.25, 0, None)
    line = np.stack([along, 0 * along, height / 0.3], axis=1)  # pressed flat below, which brings it down again
    radii = width * (0.38 + 0.62 * np.clip(1 - share / 0.7, 0, 1) ** 1.2) * np.clip(0.6 + 4 * share, 0, 1)
    flat = stretched(sweep(line, radii), (1.0, 1.0, 0.3))
    pieces = (
        box("end", (0.3 * (neck - start), 1.6 * width, 0.004), (start + 0.15 * (neck - start), 0, 0.002), "steel", role="collider"),
        bar("handle", 0.0025, (start + 0.25 * (neck - start), 0, 0.0028), (neck, 0, 0.0048), "steel", role="collider"),
    )
    return (drawn("handle look", flat, "steel"), *pieces)
