"""Frames that follow from axes: a joint's, and those about which a body turns by itself."""

import math

import numpy as np
from jaxtyping import Float64

from armillary.worlds.twin.asset import Inertia
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.quantity import Quantity


def z_along(axis: tuple[float, float, float]) -> Pose:
    """The shortest turn that takes z to an axis of any length but 0 (ConfigError).

    >>> z_along((0.0, 0.0, 2.0)) == Pose()
    True
    """
    x, y, z = axis
    across = math.hypot(x, y)
    if across == 0.0 and z != 0.0:
        return Pose() if z > 0 else Pose.about((1.0, 0.0, 0.0), math.pi)
    return Pose.about((-y, x, 0.0), math.atan2(across, z))


def principal(matrix: Float64[np.ndarray, "3 3"], frame: Pose, source: str) -> Inertia:
    """The inertia whose symmetric matrix (kg m2), about the origin of `frame` (body_from_matrix) and in its axes, this is."""
    moments, axes = np.diag(matrix), np.eye(3)
    if np.count_nonzero(matrix - np.diag(moments)):
        moments, axes = np.linalg.eigh(matrix)
        axes = axes * np.linalg.det(axes)  # three mirrored axes are turned over
    turned = np.eye(4)
    turned[:3, :3] = axes
    a, b, c = (Quantity(float(moment), source) for moment in moments)
    return Inertia((a, b, c), frame.then(Pose.of_matrix(turned)))
