"""GLB files that we write, read back by trimesh; and every geometry as triangles."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from armillary.core import DataError, StorageError
from armillary.worlds.twin.asset import Asset, Body, Joint, Material, Shape
from armillary.worlds.twin.geometry import Box, Capsule, Cylinder, Geometry, Mesh, Plane, Sphere
from armillary.worlds.twin.glb_write import write_glb
from armillary.worlds.twin.mesh_files import read_mesh
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.tessellate import ellipsoid, tessellated

trimesh = pytest.importorskip("trimesh")
pytest.importorskip("pygltflib")

Y_UP = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]])  # our (x, y, z) is glTF's (x, z, -y)
SOLIDS = (Box((0.1, 0.2, 0.3)), Sphere(0.4), Cylinder(0.2, 0.5), Capsule(0.15, 0.35), tessellated(Box((0.3, 0.1, 0.2))))
WEDGE = Mesh(np.array([[0.0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 3]]), np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]))
AT = Pose.about((1.0, 2.0, 3.0), 0.7, (0.5, -0.4, 0.3))


def machine() -> Asset:
    red = Material(name="red", colour=(0.8, 0.1, 0.0, 0.5), roughness=0.3, metallic=0.9)
    drawn = Shape(name="wedge", geometry=WEDGE, pose=Pose.about((0.0, 1.0, 0.0), 0.3, (0.1, 0.2, 0.3)), role="visual", material="red")
    return Asset(
        name="machine",
        bodies=(
            Body(name="base", shapes=(drawn, Shape(name="hidden", geometry=Sphere(9.0), role="collider"))),
            Body(name="arm", shapes=(Shape(name="bar", geometry=Box((0.1, 0.2, 0.3))), drawn), pose=AT),
        ),
        joints=(Joint(name="turn", kind="hinge", child="arm", parent="base"),),
        materials=(red,),
    )


def content(path: Path) -> dict:
    data = path.read_bytes()
    magic, version, length, size, kind = struct.unpack_from("<4sIIII", data)
    assert (magic, version, length, kind) == (b"glTF", 2, len(data), 0x4E4F534A) and size % 4 == 0
    return json.loads(data[20 : 20 + size])


@pytest.mark.parametrize("solid", SOLIDS, ids=lambda solid: type(solid).__name__)
def test_one_shape_comes_back_with_its_volume_and_bounds(tmp_path: Path, solid: Geometry):
    asset = Asset(name="a", bodies=(Body(name="b", shapes=(Shape(name="s", geometry=solid),), pose=AT),))
    write_glb(asset, tmp_path / "a.glb")
    scene = trimesh.load_scene(tmp_path / "a.glb")
    (mesh,) = scene.dump()
    triangles = tessellated(solid)
    assert mesh.is_watertight
    np.testing.assert_allclose(mesh.volume, triangles.solid().volume, rtol=1e-5)
    np.testing.assert_allclose(mesh.volume, solid.solid().volume, rtol=0.012)  # round shapes are inscribed
    corners = AT.apply(triangles.vertices) @ Y_UP.T
    np.testing.assert_allclose(mesh.bounds, [corners.min(axis=0), corners.max(axis=0)], atol=1e-6)


def test_bodies_and_shapes_are_nodes_at_their_places(tmp_path: Path):
    write_glb(machine(), tmp_path / "m.glb")
    scene = trimesh.load_scene(tmp_path / "m.glb")
    up = np.eye(4)
    up[:3, :3] = Y_UP
    for body in machine().bodies:
        np.testing.assert_allclose(scene.graph.get(body.name)[0], up @ body.pose.matrix(), atol=1e-6)
    placed = [scene.graph.get(node) for node in scene.graph.nodes_geometry]
    volumes = sorted(scene.geometry[name].volume for _, name in placed)
    np.testing.assert_allclose(volumes, [0.048, 1.0, 1.0], rtol=1e-6)  # and no ball: colliders are not drawn
    drawn = [
        body.pose.apply(shape.pose.apply(tessellated(shape.geometry).vertices)) @ Y_UP.T
        for body in machine().bodies
        for shape in body.shapes
        if shape.role != "collider"
    ]
    corners = np.concatenate(drawn)
    np.testing.assert_allclose(scene.bounds, [corners.min(axis=0), corners.max(axis=0)], atol=1e-6)


def test_materials_are_linear_and_written_once(tmp_path: Path):
    write_glb(machine(), tmp_path / "m.glb")
    file = content(tmp_path / "m.glb")
    red, plain = sorted(file["materials"], key=lambda material: material["name"])
    assert (red["name"], red["alphaMode"]) == ("red", "BLEND")
    surface = red["pbrMetallicRoughness"]
    assert (surface["roughnessFactor"], surface["metallicFactor"]) == (0.3, 0.9)
    np.testing.assert_allclose(surface["baseColorFactor"], (((0.8 + 0.055) / 1.055) ** 2.4, ((0.1 + 0.055) / 1.055) ** 2.4, 0.0, 0.5))
    assert plain["pbrMetallicRoughness"]["baseColorFactor"][3] == 1.0 and plain["alphaMode"] == "OPAQUE"
    assert len(file["meshes"]) == 2 and len(file["accessors"]) == 4  # the wedge is drawn twice and kept once
    assert "uri" not in file["buffers"][0]


def test_accessors_lie_in_the_buffer_and_say_their_bounds(tmp_path: Path):
    write_glb(machine(), tmp_path / "m.glb")
    file = content(tmp_path / "m.glb")
    ends = [view["byteOffset"] + view["byteLength"] for view in file["bufferViews"]]
    assert max(ends) == file["buffers"][0]["byteLength"] and all(view["byteOffset"] % 4 == 0 for view in file["bufferViews"])
    for accessor in file["accessors"]:
        size = {"VEC3": 12, "SCALAR": 4}[accessor["type"]]
        assert accessor["count"] * size == file["bufferViews"][accessor["bufferView"]]["byteLength"]
    corners = [accessor for accessor in file["accessors"] if accessor["type"] == "VEC3"]
    assert [1.0, 2.0, 3.0] in [accessor["max"] for accessor in corners]


def test_what_we_write_we_read_z_up(tmp_path: Path):
    asset = Asset(name="a", bodies=(Body(name="b", shapes=(Shape(name="s", geometry=WEDGE),)),))
    write_glb(asset, tmp_path / "a.glb")
    mesh = read_mesh(tmp_path / "a.glb", (2.0, 1.0, 1.0))
    np.testing.assert_allclose(mesh.bounds(), [[0, 0, 0], [2, 2, 3]], atol=1e-6)
    np.testing.assert_allclose(mesh.solid().volume, 2.0, rtol=1e-6)


def test_a_glb_that_announces_more_than_it_holds(tmp_path: Path):
    write_glb(machine(), tmp_path / "m.glb")
    data = (tmp_path / "m.glb").read_bytes()
    file = content(tmp_path / "m.glb")
    file["accessors"][0].pop("bufferView")
    file["accessors"][0]["count"] = 10**12
    text = json.dumps(file).encode()
    text += b" " * (-len(text) % 4)
    size = struct.unpack_from("<I", data, 12)[0]
    rest = data[20 + size :]
    (tmp_path / "bomb.glb").write_bytes(struct.pack("<4sIIII", b"glTF", 2, 20 + len(text) + len(rest), len(text), 0x4E4F534A) + text + rest)
    with pytest.raises(DataError, match=r"bomb\.glb is not a mesh.*announces 10000"):
        read_mesh(tmp_path / "bomb.glb")


def test_a_glb_never_reads_another_file(tmp_path: Path):
    write_glb(machine(), tmp_path / "m.glb")
    file = content(tmp_path / "m.glb")
    (tmp_path / "outside.bin").write_bytes(b"\0" * file["buffers"][0]["byteLength"])
    file["buffers"][0]["uri"] = "outside.bin"
    text = json.dumps(file).encode()
    text += b" " * (-len(text) % 4)
    (tmp_path / "far.glb").write_bytes(struct.pack("<4sIIII", b"glTF", 2, 20 + len(text), len(text), 0x4E4F534A) + text)
    with pytest.raises(DataError, match=r"far\.glb is not a mesh"):
        read_mesh(tmp_path / "far.glb")


def test_an_obj_does_not_read_its_materials(tmp_path: Path):
    (tmp_path / "evil.mtl").write_text("newmtl m\nmap_Kd /etc/passwd\n", encoding="utf-8")
    (tmp_path / "m.obj").write_text("mtllib evil.mtl\nusemtl m\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", encoding="utf-8")
    assert len(read_mesh(tmp_path / "m.obj").faces) == 1


def test_other_suffixes_and_large_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(DataError, match=r"\.glb, \.obj, \.stl files, not from \.ply"):
        read_mesh(tmp_path / "m.ply")
    monkeypatch.setattr("armillary.worlds.twin.mesh_files.MAX_MESH_BYTES", 10)
    (tmp_path / "m.obj").write_text("v 0 0 0\n" * 10, encoding="utf-8")
    with pytest.raises(DataError, match="more than 10 bytes"):
        read_mesh(tmp_path / "m.obj")


def test_nothing_drawn_and_nowhere_to_write(tmp_path: Path):
    hidden = Asset(name="a", bodies=(Body(name="b", shapes=(Shape(name="s", geometry=Sphere(1.0), role="collider"),)),))
    with pytest.raises(DataError, match="'a' draws nothing"):
        write_glb(hidden, tmp_path / "a.glb")
    (tmp_path / "a.glb").mkdir()
    with pytest.raises(StorageError):
        write_glb(machine(), tmp_path / "a.glb")
    assert [path.name for path in tmp_path.iterdir()] == ["a.glb"]  # no temporary file stays


@given(st.lists(st.floats(0.01, 10.0), min_size=3, max_size=3))
def test_triangles_are_closed_and_fill_their_bounds(sizes: list[float]):
    a, b, c = sizes
    for geometry in (Box((a, b, c)), Sphere(a), Cylinder(a, b), Capsule(a, b), ellipsoid((a, b, c))):
        mesh = tessellated(geometry)
        assert mesh.closed()
        np.testing.assert_allclose(mesh.bounds(), geometry.bounds(), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(mesh.solid().volume, geometry.solid().volume, rtol=0.012)
    np.testing.assert_allclose(ellipsoid((a, b, c)).solid().volume, 4 / 3 * np.pi * a * b * c, rtol=0.012)


def test_a_plane_is_drawn_facing_up():
    mesh = tessellated(Plane((2.0, 3.0)))
    a, b, c = mesh.vertices[mesh.faces[0]]
    assert np.cross(b - a, c - a)[2] > 0
    np.testing.assert_allclose(mesh.bounds(), Plane((2.0, 3.0)).bounds())
