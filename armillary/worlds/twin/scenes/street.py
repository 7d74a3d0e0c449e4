"""What lines a road: the road itself with its marks, kerbs and pavements along a path, houses, trees, lamps and cones."""

import math

import numpy as np
from jaxtyping import Float64

from armillary.worlds.twin.asset import Asset, Shape
from armillary.worlds.twin.objects.materials import Colour, material
from armillary.worlds.twin.objects.meshes import band, lathe
from armillary.worlds.twin.objects.parts import bar, box, drawn, globe, one_body, points, rod, soft_box
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.scenes.stage import welded

LANE_M, KERB_M, PAVEMENT_M = 3.3, 0.18, 2.0  # widths
KERB_HEIGHT_M = 0.12
STEP_M = 2.0  # between points of a path
DASH_M, GAP_M = 3.0, 3.0


class Path:
    """The middle of a road: an arc of a circle from (0, 0) along +x, `bend` (1/m, left > 0) tight; 0 is straight."""

    def __init__(self, length: float, bend: float):
        self.length, self.bend = length, bend

    def at(self, along: float, aside: float = 0.0) -> tuple[float, float, float]:
        """(x, y, heading): `along` m from the start, `aside` m to the left."""
        heading = self.bend * along
        if abs(self.bend) < 1e-9:
            x, y = along, 0.0
        else:
            x, y = math.sin(heading) / self.bend, (1.0 - math.cos(heading)) / self.bend
        return x - aside * math.sin(heading), y + aside * math.cos(heading), heading

    def points(self, start: float, end: float) -> Float64[np.ndarray, "n 2"]:
        """Of its middle, STEP_M apart or a little nearer."""
        along = np.linspace(start, end, max(2, math.ceil((end - start) / STEP_M) + 1))
        return np.array([self.at(float(one))[:2] for one in along])


def road_of(path: Path) -> Asset:
    """Two lanes with a broken line between them and a line at each side, kerbs and pavements; what is above the ground collides."""
    whole = path.points(0.0, path.length)
    strips = [drawn("asphalt", band(whole, -LANE_M, LANE_M, 0.0, 0.012), "asphalt")]
    for side, name in ((-1, "right"), (1, "left")):
        near, far = side * LANE_M, side * (LANE_M + KERB_M + PAVEMENT_M)
        line, kerb = side * (LANE_M - 0.3), side * (LANE_M + KERB_M)
        for part, (a, b), height, of in (
            ("line", (line - 0.06, line + 0.06), 0.016, "mark"),
            ("kerb", (near, kerb), KERB_HEIGHT_M, "kerb"),
            ("pavement", (kerb, far), KERB_HEIGHT_M - 0.005, "pavement"),
        ):
            strips.append(drawn(f"{name} {part}", band(whole, min(a, b), max(a, b), 0.0, height), of))
        strips += _steps(path, side, name)
    dashes = np.arange(1.0, path.length - DASH_M, DASH_M + GAP_M)
    strips += [
        drawn(f"dash {k}", band(path.points(s, s + DASH_M), -0.07, 0.07, 0.0, 0.016), "mark") for k, s in enumerate(map(float, dashes))
    ]
    materials = (
        material("asphalt", "asphalt", (0.30, 0.31, 0.33)),
        material("mark", "plastic", (0.95, 0.95, 0.93)),
        material("kerb", "stone", (0.72, 0.72, 0.71)),
        material("pavement", "concrete", (0.62, 0.60, 0.57)),
    )
    return welded("road", tuple(strips), materials, "road")


def _steps(path: Path, side: int, name: str) -> list[Shape]:
    """The kerb and pavement of a side as boxes, one every STEP_M."""
    count = math.ceil(path.length / STEP_M)
    width, aside = KERB_M + PAVEMENT_M, side * (LANE_M + (KERB_M + PAVEMENT_M) / 2)
    found = []
    for k in range(count):
        x, y, heading = path.at((k + 0.5) * path.length / count, aside)
        length = path.length / count * (1.0 - aside * path.bend) + 0.02
        turned = Pose.about((0.0, 0.0, 1.0), heading)
        found.append(
            box(f"{name} step {k}", (length, width, KERB_HEIGHT_M), (x, y, KERB_HEIGHT_M / 2), "kerb", turned=turned, role="collider")
        )
    return found


def house(rng: np.random.Generator, colour: Colour) -> Asset:
    """A block with rows of windows and a door; it faces -y."""
    x, y, floors = float(rng.uniform(6.0, 9.0)), float(rng.uniform(5.0, 7.0)), int(rng.integers(2, 5))
    z = 2.8 * floors + 0.4
    columns = int(x // 1.9)
    windows = [
        box(
            f"window {floor} {column}",
            (1.0, 0.08, 1.3),
            ((column - (columns - 1) / 2) * x / columns, -y / 2, 1.5 + 2.8 * floor),
            "pane",
            role="visual",
        )
        for floor in range(floors)
        for column in range(columns)
        if floor or column != columns // 2
    ]
    door = ((columns // 2) - (columns - 1) / 2) * x / columns
    shapes = (
        box("house", (x, y, z), (0, 0, z / 2), "wall"),
        box("eaves", (x + 0.3, y + 0.3, 0.25), (0, 0, z + 0.125), "roof"),
        box("plinth", (x + 0.06, y + 0.06, 0.5), (0, 0, 0.25), "roof", role="visual"),
        box("door", (1.1, 0.10, 2.1), (door, -y / 2, 1.05), "roof", role="visual"),
        *windows,
    )
    dark = tuple(part * 0.55 for part in colour)
    materials = (material("wall", "brick", colour), material("roof", "concrete", dark), material("pane", "glass", (0.30, 0.40, 0.50)))
    return welded("house", shapes, materials, "building")


def tree(rng: np.random.Generator) -> Asset:
    """A trunk with a crown of a few balls."""
    height, crown = float(rng.uniform(2.0, 2.8)), float(rng.uniform(0.9, 1.3))
    balls = [
        globe(f"leaves {k}", crown * scale, (*map(float, rng.normal(0.0, 0.35, 2) * crown), height + crown * lift), "leaves")
        for k, (scale, lift) in enumerate(((1.0, 0.5), (0.8, 0.9), (0.75, 0.2), (0.7, 1.2)))
    ]
    green = tuple(float(part * rng.uniform(0.85, 1.1)) for part in (0.28, 0.50, 0.24))
    materials = (material("bark", "wood", (0.38, 0.28, 0.20)), material("leaves", "foam", green))
    return welded("tree", (rod("trunk", 0.14, height + 0.4, (0, 0, (height + 0.4) / 2), "bark"), *balls), materials, "tree")


def street_lamp() -> Asset:
    """A post with an arm towards -y."""
    shapes = (
        rod("post", 0.07, 5.0, (0, 0, 2.5), "post"),
        bar("arm", 0.05, (0, 0, 5.0), (0, -1.4, 5.3), "post"),
        *soft_box("head", (0.24, 0.6, 0.10), (0, -1.5, 5.26), "glow", cut=0.03),
    )
    return welded(
        "street lamp",
        shapes,
        (material("post", "steel", (0.30, 0.32, 0.34)), material("glow", "plastic", (0.98, 0.95, 0.80))),
        "street lamp",
    )


def cone() -> Asset:
    """A traffic cone with white rings."""
    outline = points((0, 0.03), (0.15, 0.03), (0.035, 0.68), (0.02, 0.70), (0, 0.70))
    rings = [
        drawn(
            f"ring {k}", lathe(points((0, low), (_cone_radius(low), low), (_cone_radius(low + 0.09), low + 0.09), (0, low + 0.09))), "white"
        )
        for k, low in enumerate((0.28, 0.46))
    ]
    shapes = (
        drawn("cone look", lathe(outline), "orange"),
        box("base", (0.38, 0.38, 0.035), (0, 0, 0.0175), "orange"),
        rod("low", 0.12, 0.20, (0, 0, 0.135), "orange", role="collider"),
        rod("middle", 0.085, 0.20, (0, 0, 0.335), "orange", role="collider"),
        rod("high", 0.05, 0.26, (0, 0, 0.565), "orange", role="collider"),
        *rings,
    )
    return one_body("cone", shapes, (material("orange", "foam", (0.95, 0.42, 0.10)), material("white", "plastic", (0.97, 0.97, 0.95))))


def _cone_radius(height: float) -> float:
    return 0.15 + (height - 0.03) / 0.65 * (0.035 - 0.15) + 0.003
