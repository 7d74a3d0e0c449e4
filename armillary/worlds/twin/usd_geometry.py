"""OpenUSD's shapes as ours: whatever scales and shears them goes into their sizes or corners, so that only a rigid pose is left."""

import numpy as np
from jaxtyping import Float64, Int64
from pxr import Gf, Usd, UsdGeom

from armillary.core import ConfigError, DataError
from armillary.worlds.twin.geometry import Box, Capsule, Cylinder, Geometry, Mesh, Plane, Sphere
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.tessellate import AROUND, tessellated
from armillary.worlds.twin.usd_names import AXES, MAX_POINTS, Notes

PRIMITIVES = ("Cube", "Sphere", "Cylinder", "Cylinder_1", "Capsule", "Capsule_1", "Cone", "Plane")
_SAME = 1e-5  # how far two scales may be apart, as a share, and still count as one
_FLAT = 1e-9  # the smallest scale, as a share of the largest


def rigid(matrix: Float64[np.ndarray, "4 4"]) -> tuple[Pose, Float64[np.ndarray, "3 3"]] | None:
    """A transform as a pose after a stretch: `matrix` is `pose` @ `stretch`. None if it flattens space or is a projection.

    Of a mirroring transform the stretch mirrors along x. OpenUSD's rows are columns here.
    """
    left, scales, right = np.linalg.svd(matrix[:3, :3])
    if scales[-1] <= _FLAT * scales[0] or np.abs(matrix[3] - (0, 0, 0, 1)).max() > 1e-9:
        return None
    turning = left @ right
    if np.linalg.det(turning) < 0:
        turning = turning * np.array([-1.0, 1.0, 1.0])
    placed = np.eye(4)
    placed[:3, :3], placed[:3, 3] = turning, matrix[:3, 3]
    return Pose.of_matrix(placed), turning.T @ matrix[:3, :3]


def read_geometry(prim: Usd.Prim, body_from_prim: Float64[np.ndarray, "4 4"], notes: Notes) -> tuple[Geometry, Pose] | None:
    """The geometry of a prim (metres) and its body_from_shape; None, and a note, where there is nothing to take over.

    `body_from_prim` may scale, shear and mirror. DataError if the prim's numbers make no shape.
    """
    moved = rigid(body_from_prim)
    if moved is None:
        notes.add(prim.GetPath(), "its transform flattens it or is a projection, so it is left out")
        return None
    try:
        if prim.IsA(UsdGeom.Mesh):
            found = _mesh(UsdGeom.Mesh(prim), notes)
            return None if found is None else (_stretched(found, moved[1]), moved[0])
        if prim.GetTypeName() in PRIMITIVES:
            return _primitive(prim, body_from_prim, notes)
    except ConfigError as error:
        raise DataError(f"{prim.GetPath()} ({prim.GetTypeName()}): {error}") from error
    notes.add(prim.GetPath(), f"{prim.GetTypeName()} has no counterpart here, so it is left out")
    return None


def _primitive(prim: Usd.Prim, matrix: Float64[np.ndarray, "4 4"], notes: Notes) -> tuple[Geometry, Pose] | None:
    """A primitive of other sizes where its transform allows that, otherwise a mesh."""
    axis = _number(prim, "axis") or "Z"
    if axis not in AXES:
        raise DataError(f"{prim.GetPath()}: axis must be X, Y or Z, received {axis!r}")
    geometry = _unscaled(prim)
    if geometry is None:
        notes.add(prim.GetPath(), f"a {prim.GetTypeName()} whose two ends differ in radius has no counterpart here, so it is left out")
        return None
    turned = matrix @ AXES[axis].matrix()
    pose, stretch = rigid(turned)
    scales = np.linalg.norm(turned[:3, :3], axis=0)
    if np.allclose(np.abs(stretch), np.diag(scales), rtol=0.0, atol=_SAME * scales.max()):
        scaled = _scaled(geometry, *scales)
        if scaled is not None:
            return scaled, pose
    if isinstance(geometry, Plane):
        notes.add(prim.GetPath(), "its transform shears it: the plane is read without that")
        return _scaled(geometry, *scales), pose
    if not isinstance(geometry, Mesh):
        notes.add(prim.GetPath(), f"its transform makes no {prim.GetTypeName()} of it, so it became a mesh")
    return _stretched(tessellated(geometry), stretch), pose


def _unscaled(prim: Usd.Prim) -> Geometry | None:
    """The primitive in the units of the file, along z."""
    kind = prim.GetTypeName()
    if kind == "Cube":
        return Box((_number(prim, "size") / 2,) * 3)
    if kind == "Sphere":
        return Sphere(_number(prim, "radius"))
    if kind == "Plane":
        return Plane((_number(prim, "width") / 2, _number(prim, "length") / 2))
    half = _number(prim, "height") / 2
    if kind == "Cone":
        return _cone(_number(prim, "radius"), half)
    radius = _number(prim, "radiusTop" if kind.endswith("_1") else "radius")
    if kind.endswith("_1") and radius != _number(prim, "radiusBottom"):
        return None
    return Cylinder(radius, half) if kind.startswith("Cylinder") else Capsule(radius, half)


def _scaled(geometry: Geometry, x: float, y: float, z: float) -> Geometry | None:
    """The primitive with its axes scaled; None where that makes another kind of shape."""
    round_, even = abs(x - y) <= _SAME * max(x, y), max(x, y, z) - min(x, y, z) <= _SAME * max(x, y, z)
    if isinstance(geometry, Box):
        return Box(tuple(float(half * scale) for half, scale in zip(geometry.half_sizes, (x, y, z), strict=True)))
    if isinstance(geometry, Plane):
        return Plane((float(geometry.half_sizes[0] * x), float(geometry.half_sizes[1] * y)))
    if isinstance(geometry, Sphere) and even:
        return Sphere(float(geometry.radius * (x + y + z) / 3))
    if isinstance(geometry, Cylinder) and round_:
        return Cylinder(float(geometry.radius * (x + y) / 2), float(geometry.half_length * z))
    if isinstance(geometry, Capsule) and even:
        return Capsule(float(geometry.radius * (x + y) / 2), float(geometry.half_length * z))
    return None


def _cone(radius: float, half: float) -> Mesh:
    """Its tip up, inscribed."""
    Cylinder(radius, half)  # refuses what would make no cone either
    angles = np.arange(AROUND) * (2 * np.pi / AROUND)
    rim = np.column_stack([radius * np.cos(angles), radius * np.sin(angles), np.full(AROUND, -half)])
    here, there = np.arange(AROUND), (np.arange(AROUND) + 1) % AROUND
    base = np.column_stack([np.full(AROUND, AROUND), there, here])
    side = np.column_stack([here, there, np.full(AROUND, AROUND + 1)])
    return Mesh(np.concatenate([rim, [[0.0, 0.0, -half], [0.0, 0.0, half]]]), np.concatenate([base, side]).astype(np.int64))


def _stretched(mesh: Mesh, stretch: Float64[np.ndarray, "3 3"]) -> Mesh:
    faces = mesh.faces[:, [0, 2, 1]] if np.linalg.det(stretch) < 0 else mesh.faces
    return Mesh(mesh.vertices @ stretch.T, faces)


def _mesh(mesh: UsdGeom.Mesh, notes: Notes) -> Mesh | None:
    path, when = mesh.GetPath(), Usd.TimeCode.EarliestTime()
    given = (mesh.GetPointsAttr(), mesh.GetFaceVertexCountsAttr(), mesh.GetFaceVertexIndicesAttr())
    points, counts, corners = (np.atleast_1d(np.array(attribute.Get(when) or ())) for attribute in given)
    if not len(points) or not len(counts) or not len(corners):
        notes.add(path, "a mesh without points or faces, so it is left out")
        return None
    if points.shape != (len(points), 3) or {counts.dtype.kind, corners.dtype.kind} != {"i"}:
        notes.add(path, "its points are not three numbers each, or its faces not whole numbers, so it is left out")
        return None
    if len(points) > MAX_POINTS or len(corners) > 6 * MAX_POINTS:
        raise DataError(f"{path}: a mesh of {len(points):,} points and {len(corners):,} corners; at most {MAX_POINTS:,} points are read")
    if mesh.GetSubdivisionSchemeAttr().Get() != "none":
        notes.add(path, "a subdivision surface: the mesh that it starts from is taken, unsmoothed")
    faces = _triangles(path, counts.astype(np.int64), corners.astype(np.int64), mesh.GetHoleIndicesAttr().Get(when))
    if not len(faces):
        notes.add(path, "a mesh without points or faces, so it is left out")
        return None
    return Mesh(points.astype(np.float64), faces[:, [0, 2, 1]] if mesh.GetOrientationAttr().Get(when) == "leftHanded" else faces)


def _triangles(path: object, counts: Int64[np.ndarray, " f"], corners: Int64[np.ndarray, " c"], holes) -> Int64[np.ndarray, "t 3"]:
    """Each face as a fan around its first corner; faces of fewer than three corners and holes are none."""
    if counts.min() < 0 or counts.sum() != len(corners):
        raise DataError(f"{path}: its faces have {counts.sum():,} corners, but {len(corners):,} are given")
    starts = np.cumsum(counts) - counts
    fans = np.maximum(counts - 2, 0)
    if holes:
        fans[[hole for hole in holes if 0 <= hole < len(fans)]] = 0
    face = np.repeat(np.arange(len(counts)), fans)
    step = np.arange(len(face)) - np.repeat(np.cumsum(fans) - fans, fans)
    first = starts[face]
    return np.stack([corners[first], corners[first + step + 1], corners[first + step + 2]], axis=1)


def columns(matrix: Gf.Matrix4d) -> Float64[np.ndarray, "4 4"]:
    """OpenUSD's matrix, which acts on rows, as one that acts on columns."""
    return np.array(matrix, dtype=np.float64).T


def _number(prim: Usd.Prim, name: str):
    attribute = prim.GetAttribute(name)
    return attribute.Get(Usd.TimeCode.EarliestTime()) if attribute else None
