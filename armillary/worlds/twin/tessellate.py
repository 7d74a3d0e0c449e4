"""Every geometry as triangles, for files that know nothing else."""

import numpy as np
from jaxtyping import Float64

from armillary.worlds.twin.geometry import Box, Capsule, Cylinder, Geometry, Mesh, Plane, Sphere

AROUND = 48  # corners around a round shape; a multiple of 4, so that bounds along x and y are exact
QUARTER = 12  # steps from the equator to a pole

_BOX_SIDES = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))


def tessellated(geometry: Geometry) -> Mesh:
    """The geometry as a mesh with the same bounds, closed where the geometry has a volume.

    Round shapes are inscribed, so that their volume comes out up to 1 % too small.
    """
    if isinstance(geometry, Mesh):
        return geometry
    if isinstance(geometry, Box):
        corners = np.array([[x, y, z] for x in (-1.0, 1.0) for y in (-1.0, 1.0) for z in (-1.0, 1.0)])
        return Mesh(corners * np.array(geometry.half_sizes), _halved(_BOX_SIDES))
    if isinstance(geometry, Sphere):
        return ellipsoid((geometry.radius,) * 3)
    if isinstance(geometry, Cylinder):
        r, h = geometry.radius, geometry.half_length
        return _revolved(np.array([[0.0, -h], [r, -h], [r, h], [0.0, h]], dtype=np.float64))
    if isinstance(geometry, Capsule):
        arc, lift = _arc() * geometry.radius, np.array([0.0, geometry.half_length])
        return _revolved(np.concatenate([arc[: QUARTER + 1] - lift, arc[QUARTER:] + lift]))
    assert isinstance(geometry, Plane), f"no triangles are known for {type(geometry).__name__}"
    x, y = geometry.half_sizes
    return Mesh(np.array([[-x, -y, 0.0], [x, -y, 0.0], [x, y, 0.0], [-x, y, 0.0]], dtype=np.float64), _halved(((0, 1, 2, 3),)))


def ellipsoid(half_sizes: tuple[float, float, float]) -> Mesh:
    """An inscribed ellipsoid with these half axes along x, y and z."""
    ball = _revolved(_arc())
    return Mesh(ball.vertices * np.array(half_sizes), ball.faces)


def _arc() -> Float64[np.ndarray, "k 2"]:
    """(radius, height) along half a circle of radius 1, from the lower pole to the upper one."""
    angles = np.linspace(-np.pi / 2, np.pi / 2, 2 * QUARTER + 1)
    arc = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    arc[[0, -1], 0], arc[QUARTER, 1] = 0.0, 0.0
    return arc


def _revolved(profile: Float64[np.ndarray, "k 2"]) -> Mesh:
    """The closed surface that (radius, height) points sweep around z; the first and the last are on the axis."""
    angles = np.arange(AROUND) * (2 * np.pi / AROUND)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    rings = [np.column_stack([radius * circle, np.full(AROUND, height)]) for radius, height in profile[1:-1]]
    poles = [[0.0, 0.0, profile[0, 1]], [0.0, 0.0, profile[-1, 1]]]
    here = np.arange(AROUND)
    there = (here + 1) % AROUND
    low, high = len(rings) * AROUND, len(rings) * AROUND + 1
    faces = [np.column_stack([np.full(AROUND, low), there, here])]
    for first in range(0, (len(rings) - 1) * AROUND, AROUND):
        below, above = first, first + AROUND
        faces.append(np.column_stack([below + here, below + there, above + there]))
        faces.append(np.column_stack([below + here, above + there, above + here]))
    last = (len(rings) - 1) * AROUND
    faces.append(np.column_stack([last + here, last + there, np.full(AROUND, high)]))
    return Mesh(np.concatenate([*rings, poles]), np.concatenate(faces).astype(np.int64))


def _halved(sides: tuple[tuple[int, int, int, int], ...]) -> np.ndarray:
    """Two triangles a four-cornered side."""
    return np.array([half for a, b, c, d in sides for half in ((a, b, c), (a, c, d))], dtype=np.int64)
