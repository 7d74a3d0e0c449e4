"""What can be pushed, and where the hand meets it: outlines of things as the hand sees them from behind."""

import numpy as np
from jaxtyping import Float64

from armillary.worlds.twin.asset import Asset
from armillary.worlds.twin.mass import mass_matrix
from armillary.worlds.twin.tessellate import tessellated

FOOT_M = 0.002  # how high what a thing stands on reaches
LEAST_FOOT_M = 0.018  # from below the centre of mass to the nearest edge of what it stands on
STEEPEST = 2.0  # centre of mass above the ground over that distance: it tips from 27 degrees on
TALL_M = (0.028, 0.15)  # the fingers meet it above the table, and the arm passes over it
MOST_WIDE_M = 0.10  # the hand gets around it

Points = Float64[np.ndarray, "n 3"]


def surface(asset: Asset) -> Points:
    """Corners of all that collides at joint position 0, in the asset's frame."""
    return np.concatenate(
        [
            body.pose.then(shape.pose).apply(tessellated(shape.geometry).vertices)
            for body in asset.bodies
            for shape in body.shapes
            if shape.role != "visual"
        ]
    )


def slides(asset: Asset) -> bool:
    """Whether a thing that stands on a table goes along when it is pushed low, rather than roll or fall over: it stands on a foot that is
    wide enough for how high its centre of mass is. What is too flat for the fingers, too tall or too wide does not count either."""
    points, centre = surface(asset), _centre_of_mass(asset)
    low = points[points[:, 2] < points[:, 2].min() + FOOT_M, :2] - centre[:2]
    angles = np.linspace(0.0, 2.0 * np.pi, 72, endpoint=False)
    foot = float((low @ np.stack([np.cos(angles), np.sin(angles)])).max(axis=0).min())
    fits = TALL_M[0] <= points[:, 2].max() <= TALL_M[1] and wide(points) <= MOST_WIDE_M
    return bool(fits and foot >= LEAST_FOOT_M and centre[2] <= STEEPEST * foot)


def wide(points: Points) -> float:
    """How far a thing reaches from its middle, seen from above, m."""
    return float(np.linalg.norm(points[:, :2], axis=1).max())


def nearest(along: Float64[np.ndarray, " n"], across: Float64[np.ndarray, " n"], half_width: float) -> float:
    """The least `along` within `half_width` of across = 0 on the convex hull of points; infinite where it has none there.

    >>> nearest(np.array([0.0, 1.0, 1.0]), np.array([1.0, -1.0, 3.0]), 0.0)
    0.5
    """
    lower: list[int] = []
    for number in np.lexsort((along, across)).tolist():
        while len(lower) > 1 and _turn(along, across, *lower[-2:], number) <= 0:
            lower.pop()
        lower.append(number)
    sideways, ahead = across[lower], along[lower]
    if sideways[0] > half_width or sideways[-1] < -half_width:
        return float("inf")
    ends = np.clip([-half_width, half_width], sideways[0], sideways[-1])
    return float(min([*np.interp(ends, sideways, ahead), *ahead[np.abs(sideways) <= half_width]]))


def _turn(along: np.ndarray, across: np.ndarray, a: int, b: int, c: int) -> float:
    """Positive where the way from a over b to c bends towards higher `along`."""
    return float((across[b] - across[a]) * (along[c] - along[a]) - (along[b] - along[a]) * (across[c] - across[a]))


def _centre_of_mass(asset: Asset) -> Float64[np.ndarray, "3"]:
    """In the asset's frame."""
    weighed = [(body.pose, mass_matrix(asset, body)) for body in asset.bodies]
    return np.average([pose.apply(centre) for pose, (_, centre, _) in weighed], axis=0, weights=[mass for _, (mass, _, _) in weighed])
