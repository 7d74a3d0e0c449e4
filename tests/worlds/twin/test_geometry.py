"""Volumes and inertias: meshes against closed forms, and solids against a sum over a fine grid."""

import numpy as np
import pytest

from armillary.core import ConfigError
from armillary.worlds.twin.geometry import Box, Capsule, Cylinder, Geometry, Mesh, Sphere

HALF = np.array([0.1, 0.2, 0.3])
OFF = np.array([0.5, -0.4, 0.2])
CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=np.float64) * HALF
QUADS = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))
FACES = np.array([[a, b, c] for a, b, c, _ in QUADS] + [[a, c, d] for a, _, c, d in QUADS], dtype=np.int64)


def test_a_box_of_triangles_weighs_what_a_box_does():
    box, mesh = Box(tuple(HALF)).solid(), Mesh(CORNERS + OFF, FACES).solid()
    assert mesh.volume == pytest.approx(box.volume)
    np.testing.assert_allclose(mesh.centre, OFF, atol=1e-12)
    np.testing.assert_allclose(mesh.inertia, box.inertia, atol=1e-12)


@pytest.mark.parametrize(
    ("geometry", "inside"),
    [
        (Sphere(0.3), lambda p: (p**2).sum(-1) <= 0.09),
        (Cylinder(0.2, 0.4), lambda p: ((p[..., :2] ** 2).sum(-1) <= 0.04) & (abs(p[..., 2]) <= 0.4)),
        (
            Capsule(0.2, 0.25),
            lambda p: (p[..., :2] ** 2).sum(-1) + np.maximum(abs(p[..., 2]) - 0.25, 0.0) ** 2 <= 0.04,
        ),
    ],
)
def test_solids_are_the_sum_over_a_grid(geometry: Geometry, inside):
    low, high = geometry.bounds()
    axes = [np.linspace(a, b, 161)[:-1] + (b - a) / 320 for a, b in zip(low, high, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    points = points[inside(points)]
    cell = float(np.prod((high - low) / 160))
    solid = geometry.solid()
    assert solid.volume == pytest.approx(cell * len(points), rel=0.003)
    second = cell * np.einsum("ni,nj->ij", points, points)
    np.testing.assert_allclose(solid.inertia, np.trace(second) * np.eye(3) - second, rtol=0.005, atol=1e-6)


def test_open_and_inside_out_meshes_have_no_volume():
    assert Mesh(CORNERS, FACES[1:]).solid() is None
    assert Mesh(CORNERS, FACES[:, ::-1]).solid() is None


def test_faces_that_name_no_vertex_are_refused():
    with pytest.raises(ConfigError, match="8 vertices, received 0 to 8"):
        Mesh(CORNERS, np.array([[0, 1, 8]]))
