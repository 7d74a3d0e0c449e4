"""What a mesh must be to collide and to weigh: one closed surface turned outside out, without faces that are none."""

import numpy as np
from jaxtyping import Bool

from armillary.worlds.twin.geometry import Mesh

SAME_POINT = 1e-6  # of the mesh's diagonal: files keep single precision, which is 1e-7 of it
NO_AREA = 1e-12  # of the diagonal squared: a face this small has no direction


def weld(mesh: Mesh) -> Mesh:
    """The mesh with vertices at one place made one vertex: exporters often give every face vertices of its own."""
    size = float(np.ptp(mesh.vertices, axis=0).max())
    keys = np.round(mesh.vertices / (SAME_POINT * size) if size else mesh.vertices).astype(np.int64)
    _, first, which = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    return Mesh(vertices=mesh.vertices[first], faces=which.reshape(-1)[mesh.faces].astype(np.int64))


def degenerate(mesh: Mesh) -> Bool[np.ndarray, " f"]:
    """Which faces have no area."""
    a, b, c = (mesh.vertices[mesh.faces[:, corner]] for corner in range(3))
    doubled = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    return doubled <= 2.0 * NO_AREA * float(np.sum(np.ptp(mesh.vertices, axis=0) ** 2))


def repaired(mesh: Mesh) -> Mesh:
    """Welded, without faces of no area unless they alone close it, and turned outside out where it is closed."""
    found = weld(mesh)
    real = ~degenerate(found)
    if real.any() and not real.all():
        rest = Mesh(vertices=found.vertices, faces=found.faces[real])
        found = rest if rest.closed() or not found.closed() else found
    if found.closed() and found.solid() is None:
        found = Mesh(vertices=found.vertices, faces=found.faces[:, ::-1].copy())
    return found
