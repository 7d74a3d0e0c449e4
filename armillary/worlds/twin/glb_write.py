"""An asset as one binary glTF file, which every viewer shows."""

from pathlib import Path
from typing import Any

import numpy as np

from armillary.core import DataError
from armillary.core.storage import write_atomically
from armillary.worlds.twin.asset import Asset, Material, Shape
from armillary.worlds.twin.colour_space import to_linear
from armillary.worlds.twin.extra import needs
from armillary.worlds.twin.geometry import Geometry
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.tessellate import tessellated

_Y_UP = Pose.about((1.0, 0.0, 0.0), -np.pi / 2)


def write_glb(asset: Asset, path: Path) -> None:
    """Write what is drawn of the asset (shapes that are "visual" or "both"), every joint at 0. The file appears whole or not at all.

    One node a body, by its name, and one below it a shape; a node above all turns our z up into glTF's y up. Colours are those of a
    screen (sRGB) and are written as the linear ones that glTF asks for. DataError if nothing is drawn.
    """
    drawn = {body.name: [shape for shape in body.shapes if shape.role != "collider"] for body in asset.bodies}
    if not any(drawn.values()):
        raise DataError(f"asset {asset.name!r} draws nothing: every shape is a collider; give a body a visual shape")
    gltf = needs("pygltflib")
    file = _File(gltf, asset)
    bodies = [file.node(body.name, body.pose, [file.shape(shape) for shape in drawn[body.name]]) for body in asset.bodies]
    top = file.node(asset.name, _Y_UP, bodies)
    data = file.finish(top)
    write_atomically(Path(path), lambda temporary: temporary.write_bytes(data))


class _File:
    """A glTF file as it grows: geometry and materials that come again are written once."""

    def __init__(self, gltf: Any, asset: Asset):
        self._gltf, self._asset = gltf, asset
        self._out = gltf.GLTF2(asset=gltf.Asset(version="2.0", generator="Armillary"))
        self._bytes = bytearray()
        self._meshes: dict[tuple[Geometry, str], int] = {}
        self._materials: dict[str, int] = {}

    def node(self, name: str, pose: Pose, children: list[int], mesh: int | None = None) -> int:
        w, x, y, z = pose.turn
        node = self._gltf.Node(name=name, translation=list(pose.position), rotation=[x, y, z, w], children=children, mesh=mesh)
        self._out.nodes.append(node)
        return len(self._out.nodes) - 1

    def shape(self, shape: Shape) -> int:
        key = (shape.geometry, shape.material)
        if key not in self._meshes:
            self._meshes[key] = self._mesh(shape)
        return self.node(shape.name, shape.pose, [], self._meshes[key])

    def finish(self, top: int) -> bytes:
        self._out.scene, self._out.scenes = 0, [self._gltf.Scene(nodes=[top])]
        self._out.buffers = [self._gltf.Buffer(byteLength=len(self._bytes))]
        self._out.set_binary_blob(bytes(self._bytes))
        return b"".join(self._out.save_to_bytes())

    def _mesh(self, shape: Shape) -> int:
        mesh = tessellated(shape.geometry)
        vertices = mesh.vertices.astype(np.float32)
        corners = self._accessor(vertices, self._gltf.ARRAY_BUFFER, self._gltf.FLOAT, self._gltf.VEC3)
        corners.min, corners.max = vertices.min(axis=0).tolist(), vertices.max(axis=0).tolist()
        faces = mesh.faces.astype(np.uint32).ravel()
        self._accessor(faces, self._gltf.ELEMENT_ARRAY_BUFFER, self._gltf.UNSIGNED_INT, self._gltf.SCALAR)
        last = len(self._out.accessors) - 1
        primitive = self._gltf.Primitive(
            attributes=self._gltf.Attributes(POSITION=last - 1), indices=last, material=self._material(shape.material)
        )
        self._out.meshes.append(self._gltf.Mesh(name=shape.name, primitives=[primitive]))
        return len(self._out.meshes) - 1

    def _accessor(self, numbers: np.ndarray, target: int, kind: int, form: str) -> Any:
        view = self._gltf.BufferView(buffer=0, byteOffset=len(self._bytes), byteLength=numbers.nbytes, target=target)
        self._bytes += numbers.tobytes()
        self._out.bufferViews.append(view)
        accessor = self._gltf.Accessor(bufferView=len(self._out.bufferViews) - 1, componentType=kind, count=len(numbers), type=form)
        self._out.accessors.append(accessor)
        return accessor

    def _material(self, name: str) -> int:
        if name not in self._materials:
            material = self._asset.material(name) if name else Material(name="unnamed")
            *colour, opacity = material.colour
            surface = self._gltf.PbrMetallicRoughness(
                baseColorFactor=[*map(to_linear, colour), opacity], metallicFactor=material.metallic, roughnessFactor=material.roughness
            )
            written = self._gltf.Material(
                name=material.name, pbrMetallicRoughness=surface, alphaMode=self._gltf.OPAQUE if opacity >= 1 else self._gltf.BLEND
            )
            written.alphaCutoff = None  # only masks have one
            self._out.materials.append(written)
            self._materials[name] = len(self._out.materials) - 1
        return self._materials[name]
