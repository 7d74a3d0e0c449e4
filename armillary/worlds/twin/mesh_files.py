"""Meshes from .obj, .stl and .glb files."""

import io
import json
import struct
from pathlib import Path

import numpy as np

from armillary.core import DataError
from armillary.worlds.twin.extra import needs
from armillary.worlds.twin.geometry import Mesh
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.xml_files import at_fault, read_limited

FORMATS = (".glb", ".obj", ".stl")
MAX_MESH_BYTES = 64 * 2**20
MAX_FACES = 2_000_000

_UPRIGHT = Pose.about((1.0, 0.0, 0.0), np.pi / 2)  # glTF's y is our z


def read_mesh(path: Path, scale: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> Mesh:
    """All triangles of a file as one mesh in metres, z up, `scale`d along x, y and z; corners of a part at the same place are one.

    .glb files are y-up metres and are turned; .obj and .stl files are taken as they are. Materials, textures and whatever else such a
    file refers to are not read. DataError if it cannot be read, holds no triangle, or holds more than MAX_FACES.
    """
    kind = path.suffix.lower()
    if kind not in FORMATS:
        raise DataError(
            f"{path}: meshes are read from {', '.join(FORMATS)} files, not from {kind or 'a file without a suffix'}; convert it"
        )
    data = read_limited(path, MAX_MESH_BYTES)
    trimesh = needs("trimesh")
    try:
        if kind == ".glb":
            _limit_glb(data)
        scene = trimesh.load_scene(io.BytesIO(data), file_type=kind[1:], **({} if kind == ".stl" else {"skip_materials": True}))
        parts = [(scene.geometry[scene.graph[node][1]], scene.graph[node][0]) for node in scene.graph.nodes_geometry]
        parts = [(part, placed) for part, placed in parts if isinstance(part, trimesh.Trimesh)]
        if not 0 < sum(len(part.faces) for part, _ in parts) <= MAX_FACES:
            raise ValueError(f"it holds {sum(len(part.faces) for part, _ in parts)} triangles; 1 to {MAX_FACES} are read")
        parts = [part.copy().apply_transform(placed) for part, placed in parts]
        for part in parts:
            part.merge_vertices(merge_tex=True, merge_norm=True)
        whole = trimesh.util.concatenate(parts)
    except Exception as error:  # on a damaged file trimesh raises whatever it stumbles over
        raise DataError(f"{path} is not a mesh that can be read ({type(error).__name__}: {error}); export it again") from error
    vertices = np.asarray(whole.vertices, dtype=np.float64)
    if kind == ".glb":
        vertices = _UPRIGHT.apply(vertices)
    faces = np.asarray(whole.faces, dtype=np.int64)
    with at_fault(str(path)):
        return Mesh(vertices * np.array(scale), faces[:, ::-1].copy() if np.prod(scale) < 0 else faces)


def _limit_glb(data: bytes) -> None:
    """ValueError if the numbers that a GLB announces are more than it could hold: room is made for them before they are read."""
    magic, _, _, length, kind = struct.unpack_from("<4sIIII", data)
    if magic != b"glTF" or kind != 0x4E4F534A:
        raise ValueError("it does not begin as a GLB file does")
    announced = sum(int(accessor["count"]) for accessor in json.loads(data[20 : 20 + length]).get("accessors", []))
    if not 0 <= announced <= len(data):
        raise ValueError(f"it announces {announced} elements in {len(data)} bytes")
