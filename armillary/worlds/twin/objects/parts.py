"""Short ways to write the shapes that objects are built of: full sizes in metres, placed by their middles."""

import math

import numpy as np
from jaxtyping import Float64

from armillary.worlds.twin.asset import Asset, Body, Material, Shape
from armillary.worlds.twin.geometry import Box, Capsule, Cylinder, Mesh, Sphere
from armillary.worlds.twin.objects.meshes import chamfered
from armillary.worlds.twin.pose import Pose

Point = tuple[float | int, float | int, float | int]
UP = (0.0, 0.0, 1.0)


def _at(x: float | int, y: float | int, z: float | int) -> tuple[float, float, float]:
    return float(x), float(y), float(z)


def pointing(direction: Point, position: Point = (0.0, 0.0, 0.0)) -> Pose:
    """A pose at `position` whose z runs along `direction` (any length but 0)."""
    x, y, z = (part / math.hypot(*direction) for part in direction)
    if math.hypot(x, y) < 1e-12:
        return Pose.about((1.0, 0.0, 0.0), 0.0 if z > 0 else math.pi, _at(*position))
    return Pose.about((-y, x, 0.0), math.acos(max(-1.0, min(1.0, z))), _at(*position))


def box(name: str, size: Point, at: Point, material: str, *, turned: Pose = Pose(), role: str = "both") -> Shape:
    """A box of full `size`, its middle at `at`, turned there."""
    half = tuple(float(edge) / 2 for edge in size)
    return Shape(name=name, geometry=Box(half), pose=Pose(_at(*at)).then(turned), role=role, material=material)


def soft_box(name: str, size: Point, at: Point, material: str, *, cut: float | None = None, turned: Pose = Pose()) -> tuple[Shape, Shape]:
    """A box that collides as such and is drawn with its edges cut by `cut` m (a twentieth of its thinnest size where not said)."""
    cut = min(size) / 20 if cut is None else cut
    pose = Pose(_at(*at)).then(turned)
    mesh = chamfered(tuple(float(edge) / 2 for edge in size), float(cut))
    return (
        Shape(name=f"{name} look", geometry=mesh, pose=pose, role="visual", material=material),
        box(name, size, at, material, turned=turned, role="collider"),
    )


def rod(name: str, radius: float, height: float, at: Point, material: str, *, along: Point = UP, role: str = "both") -> Shape:
    """A cylinder of full `height`, its middle at `at`, its axis along `along`."""
    return Shape(name=name, geometry=Cylinder(radius, height / 2), pose=pointing(along, at), role=role, material=material)


def bar(name: str, radius: float, start: Point, end: Point, material: str, *, role: str = "both") -> Shape:
    """A capsule whose two half balls sit at `start` and `end`."""
    gap = tuple(b - a for a, b in zip(start, end, strict=True))
    middle = tuple((a + b) / 2 for a, b in zip(start, end, strict=True))
    return Shape(name=name, geometry=Capsule(radius, math.hypot(*gap) / 2), pose=pointing(gap, middle), role=role, material=material)


def globe(name: str, radius: float, at: Point, material: str, *, role: str = "both") -> Shape:
    """A ball."""
    return Shape(name=name, geometry=Sphere(radius), pose=Pose(_at(*at)), role=role, material=material)


def drawn(name: str, mesh: Mesh, material: str, *, pose: Pose = Pose()) -> Shape:
    """A mesh that is seen and not touched."""
    return Shape(name=name, geometry=mesh, pose=pose, role="visual", material=material)


def round_wall(
    name: str, low: tuple[float, float], high: tuple[float, float], thickness: float, material: str, *, segments: int = 12
) -> tuple[Shape, ...]:
    """A wall around z as a ring of boxes, from (outer radius, height) `low` to `high`, that collides and is not drawn."""
    (r0, z0), (r1, z1) = low, high
    slope = math.atan2(r1 - r0, z1 - z0)
    length = math.hypot(r1 - r0, z1 - z0)
    middle = (r0 + r1) / 2 - thickness / 2 * math.cos(slope)
    height = (z0 + z1) / 2 + thickness / 2 * math.sin(slope)
    width = 2.0 * middle * math.tan(math.pi / segments)
    found = []
    for k in range(segments):
        angle = 2.0 * math.pi * k / segments
        turned = Pose.about(UP, angle).then(Pose.about((0.0, 1.0, 0.0), slope))
        at = (middle * math.cos(angle), middle * math.sin(angle), height)
        found.append(box(f"{name} {k}", (thickness, width, length), at, material, turned=turned, role="collider"))
    return tuple(found)


def one_body(name: str, shapes: tuple[Shape, ...], materials: tuple[Material, ...]) -> Asset:
    """An asset of a single body, called and labelled like the asset. Its origin is the middle of its foot."""
    return Asset(name=name, bodies=(Body(name=name, shapes=shapes, label=name),), materials=materials, label=name)


def points(*rows: tuple[float | int, ...]) -> Float64[np.ndarray, "n k"]:
    """Rows of numbers as an array."""
    return np.array(rows, dtype=np.float64)
