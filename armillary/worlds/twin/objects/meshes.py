"""Closed meshes for drawing: turned on a lathe, swept along a path, and boxes with broken edges."""

from functools import lru_cache
from itertools import product

import numpy as np
from jaxtyping import Float64, Int64

from armillary.core import ConfigError
from armillary.worlds.twin.geometry import Mesh

CORNERS = np.array(list(product((-1.0, 1.0), repeat=3)))  # of a box, as signs


def lathe(profile: Float64[np.ndarray, "n 2"], *, segments: int = 40) -> Mesh:
    """A profile of (radius m, height m) turned about z. It starts and ends on the axis (radius 0) and runs anticlockwise in that plane: out
    along the bottom, up the outside. ConfigError if it does not touch the axis at its ends alone.
    """
    if len(profile) < 3 or profile[0, 0] != 0 or profile[-1, 0] != 0 or not (profile[1:-1, 0] > 0).all():
        raise ConfigError(f"a lathe's profile must touch the axis at both ends and nowhere else, received {profile.tolist()}")
    rings = profile[1:-1]
    angles = 2.0 * np.pi * np.arange(segments) / segments
    around = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    points = np.concatenate([rings[:, None, :1] * around, np.broadcast_to(rings[:, None, 1:], (len(rings), segments, 1))], axis=2)
    ends = np.array([[0.0, 0.0, profile[0, 1]], [0.0, 0.0, profile[-1, 1]]])
    return Mesh(np.concatenate([points.reshape(-1, 3), ends]), _tube_faces(len(rings), segments))


def sweep(path: Float64[np.ndarray, "n 3"], radii: Float64[np.ndarray, " n"], *, segments: int = 16) -> Mesh:
    """A round rod along a path in metres, `radii` (m, > 0) thick at its points, flat at both ends."""
    ahead = np.gradient(path, axis=0)
    ahead /= np.linalg.norm(ahead, axis=1, keepdims=True)
    side = np.cross(ahead[0], np.eye(3)[np.abs(ahead[0]).argmin()])
    angles = 2.0 * np.pi * np.arange(segments) / segments
    rings = []
    for point, along, radius in zip(path, ahead, radii, strict=True):
        side = side - (side @ along) * along  # carried along the path without twisting
        side /= np.linalg.norm(side)
        across = np.cross(along, side)
        rings.append(point + radius * (np.cos(angles)[:, None] * side + np.sin(angles)[:, None] * across))
    return Mesh(np.concatenate([*rings, path[:1], path[-1:]]), _tube_faces(len(path), segments))


def turned_loop(section: Float64[np.ndarray, "n 2"], *, segments: int = 40) -> Mesh:
    """A closed section of (radius m > 0, height m), anticlockwise in that plane, turned about z: a ring, a lampshade."""
    if not (section[:, 0] > 0).all():
        raise ConfigError(f"a turned loop must stay off the axis, received radii {section[:, 0].tolist()}")
    angles = 2.0 * np.pi * np.arange(segments) / segments
    around = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    flat = section[:, None, :1] * around
    points = np.concatenate([flat, np.broadcast_to(section[:, None, 1:], (len(section), segments, 1))], axis=2)
    return Mesh(points.reshape(-1, 3), _quads(len(section), segments, closed=True))


def torus(radius: float, thickness: float, *, segments: int = 48, sides: int = 16) -> Mesh:
    """A ring about z, around its own middle: `radius` m to the middle of the rod, which is 2 `thickness` m thick."""
    side = 2.0 * np.pi * np.arange(sides) / sides
    return turned_loop(np.stack([radius + thickness * np.cos(side), thickness * np.sin(side)], axis=1), segments=segments)


def band(path: Float64[np.ndarray, "n 2"], right: float, left: float, low: float, high: float) -> Mesh:
    """A strip along a path on the ground, from `right` to `left` m aside of it (left > 0) and from `low` to `high` m up."""
    ahead = np.gradient(path, axis=0)
    ahead /= np.linalg.norm(ahead, axis=1, keepdims=True)
    aside = np.stack([-ahead[:, 1], ahead[:, 0]], axis=1)
    corners = [
        np.insert(path + side * aside, 2, height, axis=1) for side, height in ((left, high), (right, high), (right, low), (left, low))
    ]
    rings = np.stack(corners, axis=1)  # n corner xyz
    ends = np.stack([rings[0].mean(axis=0), rings[-1].mean(axis=0)])
    return Mesh(np.concatenate([rings.reshape(-1, 3), ends]), _tube_faces(len(path), 4))


def chamfered(half_sizes: tuple[float, float, float], cut: float) -> Mesh:
    """A box with edges and corners cut off by `cut` m, which must be less than every half size."""
    half = np.array(half_sizes, dtype=np.float64)
    if not 0 < cut < half.min():
        raise ConfigError(f"a box's edges can be cut by more than 0 and less than {half.min()}, received {cut}")
    points = (CORNERS * (half - cut))[:, None, :] + CORNERS[:, None, :] * cut * np.eye(3)
    return Mesh(points.reshape(-1, 3), _chamfered_faces())


@lru_cache(maxsize=1)
def _chamfered_faces() -> Int64[np.ndarray, "f 3"]:
    """Of every box with its edges cut: vertex 3 * corner + axis lies on the face of that axis."""
    points = (CORNERS * 0.9)[:, None, :] + CORNERS[:, None, :] * 0.1 * np.eye(3)
    index = {tuple(sign): corner for corner, sign in enumerate(CORNERS)}
    polygons: list[list[int]] = [[3 * corner + axis for axis in range(3)] for corner in range(8)]
    for axis in range(3):
        first, second = [other for other in range(3) if other != axis]
        for side in (-1.0, 1.0):
            around = [_corner(index, {axis: side, first: a, second: b}) for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
            polygons.append([3 * corner + axis for corner in around])
        for a, b in product((-1.0, 1.0), repeat=2):
            low, high = (_corner(index, {axis: end, first: a, second: b}) for end in (-1.0, 1.0))
            polygons.append([3 * low + first, 3 * low + second, 3 * high + second, 3 * high + first])
    return _convex(points.reshape(-1, 3), polygons).faces


def extruded(outline: Float64[np.ndarray, "n 2"], depth: float) -> Mesh:
    """A convex outline of (x m, z m), anticlockwise seen from -y, made `depth` m deep along y, its middle at y = 0."""
    count = len(outline)
    ends = [np.insert(outline, 1, side * depth / 2, axis=1) for side in (-1.0, 1.0)]
    inside = np.array([outline[:, 0].mean(), 0.0, outline[:, 1].mean()])
    sides = [[k, (k + 1) % count, count + (k + 1) % count, count + k] for k in range(count)]
    mesh = _convex(np.concatenate(ends) - inside, [list(range(count)), list(range(count, 2 * count)), *sides])
    return Mesh(mesh.vertices + inside, mesh.faces)


def stretched(mesh: Mesh, factors: tuple[float, float, float]) -> Mesh:
    """The mesh, wider by these factors (> 0) along x, y and z."""
    return Mesh(mesh.vertices * np.array(factors), mesh.faces)


def soften(profile: Float64[np.ndarray, "n k"], *, times: int = 2) -> Float64[np.ndarray, "m k"]:
    """The line with its corners cut (Chaikin, 1974), `times` over; its ends stay."""
    for _ in range(times):
        near, far = 0.75 * profile[:-1] + 0.25 * profile[1:], 0.25 * profile[:-1] + 0.75 * profile[1:]
        profile = np.concatenate([profile[:1], np.stack([near, far], axis=1).reshape(-1, profile.shape[1])[1:-1], profile[-1:]])
    return profile


def _corner(index: dict[tuple, int], sides: dict[int, float]) -> int:
    return index[tuple(sides[axis] for axis in range(3))]


def _convex(points: Float64[np.ndarray, "v 3"], polygons: list[list[int]]) -> Mesh:
    """Of a convex body around the origin, each polygon turned outside out."""
    faces = []
    for polygon in polygons:
        a, b, c = points[polygon[:3]]
        outside = np.cross(b - a, c - a) @ points[polygon].mean(axis=0) > 0
        ring = polygon if outside else polygon[::-1]
        faces += [(ring[0], ring[k], ring[k + 1]) for k in range(1, len(ring) - 1)]
    return Mesh(points, np.array(faces, dtype=np.int64))


def _tube_faces(rings: int, segments: int) -> Int64[np.ndarray, "f 3"]:
    """Rings of points joined in a row, then closed by the two last vertices: the start's and the end's middle."""
    first, last = rings * segments, rings * segments + 1
    here = np.arange(segments, dtype=np.int64)
    there = (here + 1) % segments
    top = (rings - 1) * segments
    start = np.stack([np.full(segments, first), there, here], axis=1)
    end = np.stack([np.full(segments, last), top + here, top + there], axis=1)
    return np.concatenate([_quads(rings, segments, closed=False), start, end])


def _quads(rings: int, segments: int, *, closed: bool) -> Int64[np.ndarray, "f 3"]:
    ring = np.arange(rings if closed else rings - 1, dtype=np.int64)[:, None]
    here = np.arange(segments, dtype=np.int64)[None, :]
    there = (here + 1) % segments
    low, high = segments * ring, segments * ((ring + 1) % rings)
    a, b, c, d = low + here, low + there, high + there, high + here
    return np.concatenate([np.stack([a, b, c], axis=2).reshape(-1, 3), np.stack([a, c, d], axis=2).reshape(-1, 3)])
