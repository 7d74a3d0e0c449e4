"""The simplest solid around points: what collides where a mesh cannot."""

import numpy as np
from jaxtyping import Float64

from armillary.core import DataError
from armillary.worlds.twin.geometry import Box, Cylinder, Geometry, Sphere
from armillary.worlds.twin.pose import Pose

ROUND = 0.02  # how far the points of something round may be from round, as a share of its radius
THIN_M = 1e-3  # what is flat collides as a plate this thick
_TO_AXIS = (Pose.about((0.0, 1.0, 0.0), np.pi / 2), Pose.about((1.0, 0.0, 0.0), -np.pi / 2), Pose())  # z to x, y, z


def fit_solid(points: Float64[np.ndarray, "n 3"]) -> tuple[Geometry, Pose]:
    """A ball or an upright or lying cylinder where all points lie in one as large as their box, else that box; and where it is.

    Raises DataError where all points are one.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    half, centre = (high - low) / 2.0, (low + high) / 2.0
    if not half.max() > 0:
        raise DataError(f"nothing can be fitted around {len(points)} points that are all at {tuple(float(x) for x in centre)}")
    place, offsets = tuple(float(x) for x in centre), points - centre
    if np.ptp(half) <= ROUND * half.max() and _within(offsets, half.max()):
        return Sphere(float(half.max())), Pose(place)
    for axis in (2, 0, 1):
        across = [one for one in range(3) if one != axis]
        if half[axis] > 0 and np.ptp(half[across]) <= ROUND * half[across].max() and _within(offsets[:, across], half[across].max()):
            return Cylinder(float(half[across].max()), float(half[axis])), Pose(place, _TO_AXIS[axis].turn)
    return Box(tuple(float(x) for x in np.maximum(half, THIN_M / 2.0))), Pose(place)


def _within(offsets: Float64[np.ndarray, "n d"], radius: float) -> bool:
    return bool((np.linalg.norm(offsets, axis=1) <= radius * (1.0 + ROUND)).all())
