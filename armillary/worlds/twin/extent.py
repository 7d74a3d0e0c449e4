"""How far shapes and bodies reach: boxes along the axes of a frame, and how much two of them share."""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float64

from armillary.worlds.twin.asset import Asset, Body, Shape
from armillary.worlds.twin.geometry import Capsule, Cylinder, Mesh, Plane, Sphere
from armillary.worlds.twin.pose import Pose

Bounds = Float64[np.ndarray, "2 3"]  # the lowest and the highest corner, m


def shape_bounds(shape: Shape, frame: Pose = Pose()) -> Bounds | None:
    """The tight box around a shape, along the axes of `frame` (frame_from_body); None for a plane, which has no end."""
    geometry, placed = shape.geometry, frame.then(shape.pose)
    if isinstance(geometry, Plane):
        return None
    if isinstance(geometry, Mesh):
        points = placed.apply(geometry.vertices)
        return np.stack([points.min(axis=0), points.max(axis=0)])
    turning, centre = placed.rotation(), np.array(placed.position)
    along = np.abs(turning[:, 2])
    if isinstance(geometry, Sphere):
        half = np.full(3, float(geometry.radius))
    elif isinstance(geometry, Capsule):
        half = geometry.radius + geometry.half_length * along
    elif isinstance(geometry, Cylinder):
        half = geometry.radius * np.sqrt(np.maximum(1.0 - along**2, 0.0)) + geometry.half_length * along
    else:
        low, high = geometry.bounds()
        centre, half = placed.apply((low + high) / 2.0), np.abs(turning) @ ((high - low) / 2.0)
    return np.stack([centre - half, centre + half])


def around(boxes: Iterable[Bounds | None]) -> Bounds | None:
    """The box around boxes; None where there is none."""
    found = [box for box in boxes if box is not None]
    return np.stack([np.min([box[0] for box in found], axis=0), np.max([box[1] for box in found], axis=0)]) if found else None


def body_bounds(body: Body, frame: Pose = Pose(), *, without: str = "") -> Bounds | None:
    """The box around a body's shapes along the axes of `frame` (frame_from_body), leaving out those of the role `without`."""
    return around(shape_bounds(shape, frame) for shape in body.shapes if shape.role != without)


def asset_bounds(asset: Asset) -> Bounds | None:
    """The box around everything at joint position 0, in the asset's frame; planes do not count."""
    return around(body_bounds(body, body.pose) for body in asset.bodies)


def diagonal(bounds: Bounds) -> float:
    """From corner to corner, m."""
    return float(np.linalg.norm(bounds[1] - bounds[0]))


def distance(bounds: Bounds, point: Float64[np.ndarray, "3"]) -> float:
    """From a point to the nearest point of the box, m; 0 inside."""
    return float(np.linalg.norm(np.maximum(0.0, np.maximum(bounds[0] - point, point - bounds[1]))))


def overlap(first: Bounds, second: Bounds) -> float:
    """Shared volume over joint volume (intersection over union), 0 to 1."""
    shared = np.prod(np.maximum(0.0, np.minimum(first[1], second[1]) - np.maximum(first[0], second[0])))
    volumes = [np.prod(box[1] - box[0]) for box in (first, second)]
    return float(shared / (sum(volumes) - shared))
