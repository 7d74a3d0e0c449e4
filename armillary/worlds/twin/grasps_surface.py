"""What of an asset can be touched: as a distance from every point, and as points on its surface."""

from functools import cached_property

import numpy as np
from jaxtyping import Float64

from armillary.core import ConfigError
from armillary.worlds.twin.asset import Asset
from armillary.worlds.twin.extra import needs
from armillary.worlds.twin.geometry import Box, Capsule, Cylinder, Geometry, Mesh, Plane, Sphere
from armillary.worlds.twin.mass import mass_matrix
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.tessellate import tessellated

Points = Float64[np.ndarray, "n 3"]
SLOPE_M = 1e-6  # half the step that normals are measured over
ON_M = 1e-5  # how far from the surface a point counts as on it


class Touch:
    """The colliders of an asset whose joints are at 0, in the asset's frame; meshes count as their convex hulls, as in simulation.

    ConfigError for an asset that nothing collides with, or that has a plane.
    """

    def __init__(self, asset: Asset):
        self._asset = asset
        shapes = [(body.pose.then(shape.pose), shape.geometry) for body in asset.bodies for shape in body.shapes if shape.role != "visual"]
        if not shapes or any(isinstance(geometry, Plane) for _, geometry in shapes):
            raise ConfigError(f"asset {asset.name!r} cannot be grasped: it needs shapes that collide, and no plane among them")
        self._parts = [(place, _hull(geometry) if isinstance(geometry, Mesh) else geometry) for place, geometry in shapes]

    def depth(self, points: Points) -> Float64[np.ndarray, " n"]:
        """How far outside points are, m; negative inside. Exact near faces, a lower bound beyond edges and corners."""
        return np.min([_outside(geometry, place.inverse().apply(points)) for place, geometry in self._parts], axis=0)

    def normals(self, points: Points) -> Points:
        """The outward directions at points near the surface."""
        steps = SLOPE_M * np.concatenate([np.eye(3), -np.eye(3)])
        around = self.depth((points[:, None] + steps).reshape(-1, 3)).reshape(-1, 6)
        slopes = around[:, :3] - around[:, 3:]
        return slopes / np.maximum(np.linalg.norm(slopes, axis=1, keepdims=True), 1e-30)

    def scatter(self, count: int, rng: np.random.Generator) -> Points:
        """About `count` points, evenly spread over all parts' surfaces; those inside other parts are left out."""
        corners = np.concatenate([place.apply(mesh.vertices)[mesh.faces] for place, mesh in self._meshes])  # f corner xyz
        sides = corners[:, 1:] - corners[:, :1]
        areas = np.linalg.norm(np.cross(sides[:, 0], sides[:, 1]), axis=1)
        chosen = rng.choice(len(areas), count, p=areas / areas.sum())
        share = rng.uniform(size=(count, 2))
        share = np.where(share.sum(axis=1, keepdims=True) > 1.0, 1.0 - share, share)
        points = corners[chosen, 0] + np.einsum("nk,nkc->nc", share, sides[chosen])
        points -= self.depth(points)[:, None] * self.normals(points)  # triangles cut round shapes short
        return points[np.abs(self.depth(points)) < ON_M]

    @cached_property
    def middle(self) -> Float64[np.ndarray, "3"]:
        """The centre of mass; of surface points where the mass is unknown."""
        weighed = [mass_matrix(self._asset, body) for body in self._asset.bodies]
        if any(one is None for one in weighed):
            return self.scatter(500, np.random.default_rng(0)).mean(axis=0)
        centres = np.stack([body.pose.apply(centre) for body, (_, centre, _) in zip(self._asset.bodies, weighed, strict=True)])
        masses = np.array([mass for mass, _, _ in weighed])
        return (masses[:, None] * centres).sum(axis=0) / masses.sum()

    @cached_property
    def _meshes(self) -> list[tuple[Pose, Mesh]]:
        return [(place, tessellated(geometry)) for place, geometry in self._parts]


def _outside(geometry: Geometry, points: Points) -> Float64[np.ndarray, " n"]:
    match geometry:
        case Box(half_sizes):
            return (np.abs(points) - np.array(half_sizes)).max(axis=1)
        case Sphere(radius):
            return np.linalg.norm(points, axis=1) - radius
        case Cylinder(radius, half_length):
            return np.maximum(np.hypot(points[:, 0], points[:, 1]) - radius, np.abs(points[:, 2]) - half_length)
        case Capsule(radius, half_length):
            along = points[:, 2] - points[:, 2].clip(-half_length, half_length)
            return np.sqrt(points[:, 0] ** 2 + points[:, 1] ** 2 + along**2) - radius
    assert isinstance(geometry, Mesh), f"no distance is known from {type(geometry).__name__}"
    corners = geometry.vertices[geometry.faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    size = np.linalg.norm(across, axis=1)
    across, on = across[size > 0] / size[size > 0, None], corners[size > 0, 0]
    return (points @ across.T - (on * across).sum(axis=1)).max(axis=1)


def _hull(mesh: Mesh) -> Mesh:
    """The convex hull, as MuJoCo finds it (its `mesh_graph`)."""
    mujoco = needs("mujoco")
    spec = mujoco.MjSpec()
    spec.add_mesh(name="mesh", uservert=mesh.vertices.ravel().tolist(), userface=mesh.faces.ravel().tolist())
    spec.meshes[0].inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_MESH, meshname="mesh")
    model = spec.compile()
    graph = model.mesh_graph[model.mesh_graphadr[0] :]
    count, faces = int(graph[0]), int(graph[1])
    found = graph[2 + 3 * count + 3 * faces : 2 + 3 * count + 6 * faces].reshape(faces, 3)
    kept = Pose(tuple(model.mesh_pos[0]), tuple(model.mesh_quat[0])).apply(model.mesh_vert.astype(np.float64))
    return Mesh(kept, found.astype(np.int64))
