"""URDF files: poses, masses and joints against MuJoCo's own reader and closed forms; and what must not be read is refused."""

from pathlib import Path

import numpy as np
import pytest

from armillary.core import DataError
from armillary.worlds.twin.asset import WORLD, Asset
from armillary.worlds.twin.geometry import Box, Capsule, Cylinder, Mesh, Sphere
from armillary.worlds.twin.mass import mass_matrix
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.urdf_read import read_urdf
from tests.worlds.twin.mujoco_truth import check_bodies, check_joints, compiled

INERTIA = '<inertia ixx="0.03" ixy="0.002" ixz="-0.003" iyy="0.02" iyz="0.004" izz="0.04"/>'
ARM = f"""<?xml version="1.0"?><robot name="arm">
  <material name="blue"><color rgba="0 0 0.8 0.5"/></material>
  <link name="base"><inertial><mass value="3"/>{INERTIA}</inertial>
    <visual><origin xyz="0 0 0.1" rpy="0.1 0.2 0.3"/><geometry><box size="0.2 0.4 0.6"/></geometry><material name="blue"/></visual>
    <collision name="hit"><geometry><cylinder radius="0.1" length="0.5"/></geometry></collision></link>
  <link name="upper"><inertial><origin xyz="0.1 0.2 0.3" rpy="0.4 -0.5 0.6"/><mass value="1.25"/>{INERTIA}</inertial>
    <collision><geometry><sphere radius="0.3"/></geometry></collision></link>
  <link name="lower"><inertial><origin rpy="1 0 0"/><mass value="0.5"/>{INERTIA}</inertial></link>
  <link name="tip"><inertial><origin xyz="0 0.1 0"/><mass value="0.125"/>{INERTIA}</inertial></link>
  <joint name="shoulder" type="revolute"><parent link="base"/><child link="upper"/><origin xyz="0.1 0 0.5" rpy="0.7 -0.2 1.9"/>
    <axis xyz="1 2 -1"/><limit lower="-1.5" upper="0.5" effort="80" velocity="2"/><dynamics damping="0.3" friction="0.1"/></joint>
  <joint name="wheel" type="continuous"><parent link="upper"/><child link="lower"/><origin xyz="0 0.3 0" rpy="0 1 0"/></joint>
  <joint name="rail" type="prismatic"><parent link="lower"/><child link="tip"/><origin xyz="1 0 0"/><axis xyz="0 0 -2"/>
    <limit lower="0" upper="0.2" effort="1" velocity="1"/><mimic joint="wheel"/></joint>
  <transmission name="motor"/>
</robot>"""


def write(folder: Path, text: str) -> Path:
    path = folder / "robot.urdf"
    path.write_text(text, encoding="utf-8")
    return path


def read(folder: Path, text: str) -> Asset:
    return read_urdf(write(folder, text))


def links(*inner: str) -> str:
    return f"<robot name='r'>{''.join(inner)}</robot>"


def joint(name: str, parent: str, child: str, inner: str = "", kind: str = "fixed") -> str:
    return f'<joint name="{name}" type="{kind}"><parent link="{parent}"/><child link="{child}"/>{inner}</joint>'


@pytest.fixture
def arm(tmp_path: Path) -> Asset:
    return read(tmp_path, ARM)


def test_poses_masses_and_joints_are_those_of_mujoco(arm: Asset, tmp_path: Path):
    model = compiled(tmp_path / "robot.urdf")
    check_bodies(arm, model)
    check_joints(arm, model)
    assert model.nbody == 5


def test_a_tilted_inertial_frame_turns_the_inertia(arm: Asset):
    """The closed form: R I R^T about the inertial's origin, with R = Rz(yaw) Ry(pitch) Rx(roll)."""
    roll, pitch, yaw = 0.4, -0.5, 0.6
    about_x = np.array([[1, 0, 0], [0, np.cos(roll), -np.sin(roll)], [0, np.sin(roll), np.cos(roll)]])
    about_y = np.array([[np.cos(pitch), 0, np.sin(pitch)], [0, 1, 0], [-np.sin(pitch), 0, np.cos(pitch)]])
    about_z = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
    turn = about_z @ about_y @ about_x
    tensor = np.array([[0.03, 0.002, -0.003], [0.002, 0.02, 0.004], [-0.003, 0.004, 0.04]])
    mass, centre, inertia = mass_matrix(arm, arm.body("upper"))
    assert mass == 1.25
    np.testing.assert_allclose(centre, (0.1, 0.2, 0.3))
    np.testing.assert_allclose(inertia, turn @ tensor @ turn.T, atol=1e-15)
    assert {moment.source for moment in arm.body("upper").inertia.moments} == {"datasheet"}


def test_an_inertia_along_the_axes_keeps_their_order(tmp_path: Path):
    tensor = '<inertia ixx="3" ixy="0" ixz="0" iyy="1" iyz="0" izz="2.5"/>'
    asset = read(tmp_path, links(f'<link name="a"><inertial><mass value="1"/>{tensor}</inertial></link>'))
    inertia = asset.body("a").inertia
    assert tuple(moment.value for moment in inertia.moments) == (3.0, 1.0, 2.5) and inertia.frame == Pose()


def test_shapes_keep_place_role_and_colour(arm: Asset):
    drawn, hit = arm.body("base").shapes
    assert (drawn.role, drawn.geometry, drawn.material) == ("visual", Box((0.1, 0.2, 0.3)), "blue")
    assert (hit.role, hit.geometry, hit.name, hit.material) == ("collider", Cylinder(0.1, 0.25), "hit", "")
    assert drawn.pose.position == (0.0, 0.0, 0.1) and arm.body("upper").shapes[0].geometry == Sphere(0.3)
    assert arm.material("blue").colour == (0.0, 0.0, 0.8, 0.5)
    assert arm.material("blue").density is None and arm.material("blue").friction is None  # URDF says neither


def test_joint_numbers_and_what_is_left_out(arm: Asset):
    shoulder = arm.joint("shoulder")
    assert [(limit.value, limit.source) for limit in shoulder.limits] == [(-1.5, "datasheet"), (0.5, "datasheet")]
    assert (shoulder.damping.value, shoulder.friction.value, shoulder.drive) == (0.3, 0.1, None)
    assert arm.joint("wheel").limits is None and arm.joint("wheel").damping is None
    np.testing.assert_allclose(arm.joint("wheel").frame.rotation()[:, 2], arm.body("lower").pose.rotation()[:, 0], atol=1e-12)  # x is usual
    words = " | ".join(arm.notes)
    assert "shoulder (effort 80, velocity 2)" in words and "joint mimic (rail)" in words and "robot transmission (motor)" in words


def test_roots_float_unless_they_are_the_world(tmp_path: Path):
    box = '<visual><geometry><box size="1 1 1"/></geometry></visual>'
    text = links('<link name="world"/>', f'<link name="a">{box}</link>', joint("weld", "world", "a", '<origin xyz="0 0 2"/>'))
    asset = read(tmp_path, text)
    assert [body.name for body in asset.bodies] == ["a"] and asset.joint("weld").parent == WORLD
    assert asset.body("a").pose.position == (0.0, 0.0, 2.0)
    asset = read(tmp_path, text.replace("world", "table"))
    assert asset.joint("weld").parent == "table" and asset.joint_to("table") is None


def test_a_planar_joint_is_two_slides_and_a_turn(tmp_path: Path):
    text = links('<link name="a"/>', '<link name="b"/>', joint("p", "a", "b", '<axis xyz="1 0 0"/>', "planar"))
    asset = read(tmp_path, text)
    chain = [asset.joint(name) for name in ("p_x", "p_y", "p_turn")]
    assert [one.kind for one in chain] == ["slide", "slide", "hinge"]
    assert [one.parent for one in chain] == ["a", chain[0].child, chain[1].child] and chain[2].child == "b"
    axes = np.stack([one.frame.rotation()[:, 2] for one in chain])
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(axes[2], (1, 0, 0), atol=1e-12)
    assert any("'p' is planar" in note for note in asset.notes)


def test_limits_that_are_missing_are_not_taken_for_a_locked_joint(tmp_path: Path):
    both = links('<link name="a"/>', '<link name="b"/>', joint("j", "a", "b", '<limit effort="1" velocity="1"/>', "revolute"))
    asset = read(tmp_path, both)
    assert asset.joint("j").limits is None and any("'j' has no lower and upper limit" in note for note in asset.notes)
    asset = read(tmp_path, both.replace('effort="1"', 'upper="2"'))
    assert [(limit.value, limit.source) for limit in asset.joint("j").limits] == [(0.0, "default"), (2.0, "datasheet")]


@pytest.mark.parametrize("reference", ["meshes/part.stl", "package://kit/meshes/part.stl", "package://other/meshes/part.stl"])
@pytest.mark.parametrize("nested", [True, False])
def test_meshes_are_scaled_and_packages_stay_in_the_folder(tmp_path: Path, reference: str, nested: bool):
    trimesh = pytest.importorskip("trimesh")
    holder = tmp_path / "kit" if nested and "//kit" in reference else tmp_path
    (holder / "meshes").mkdir(parents=True)
    trimesh.creation.box((1, 2, 3)).export(holder / "meshes" / "part.stl")
    mesh = f'<collision><geometry><mesh filename="{reference}" scale="1 1 -2"/></geometry></collision>'
    (shape,) = read(tmp_path, links(f'<link name="a">{mesh}</link>')).body("a").shapes
    assert isinstance(shape.geometry, Mesh) and shape.geometry.closed()
    np.testing.assert_allclose(shape.geometry.bounds(), [[-0.5, -1, -3], [0.5, 1, 3]])
    np.testing.assert_allclose(shape.geometry.solid().volume, 12.0)  # still outside out, though mirrored


def test_a_mesh_of_another_kind_is_noted(tmp_path: Path):
    (tmp_path / "part.dae").write_text("<COLLADA/>", encoding="utf-8")
    asset = read(tmp_path, links('<link name="a"><visual><geometry><mesh filename="part.dae"/></geometry></visual></link>'))
    assert asset.body("a").shapes == () and any("'part.dae' is not taken over" in note for note in asset.notes)


def test_capsules(tmp_path: Path):
    asset = read(tmp_path, links('<link name="a"><collision><geometry><capsule radius="0.1" length="1"/></geometry></collision></link>'))
    assert asset.body("a").shapes[0].geometry == Capsule(0.1, 0.5)


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("../part.stl", "'../part.stl', which leads outside"),
        ("package://../part.stl", "outside|no file"),
        ("package://kit/../../part.stl", "outside"),
        ("/etc/passwd", "absolute path"),
        ("file:///etc/passwd", "an address"),
        ("http://127.0.0.1:9/part.stl", "an address"),
        ("link.stl", "through a link"),
        ("absent.stl", "there is no file .*absent.stl"),
        ("", "refused"),
        ("broken.stl", "broken.stl is not a mesh that can be read"),
        ("broken.obj", "broken.obj is not a mesh that can be read"),
        ("broken.glb", "broken.glb is not a mesh that can be read"),
    ],
)
def test_meshes_outside_the_folder_missing_or_damaged(tmp_path: Path, reference: str, words: str):
    pytest.importorskip("trimesh")
    folder = tmp_path / "asset"
    folder.mkdir()
    (tmp_path / "part.stl").write_bytes(b"solid")
    (folder / "link.stl").symlink_to(tmp_path / "part.stl")
    for kind in ("stl", "obj", "glb"):
        (folder / f"broken.{kind}").write_bytes(b"glTF\x02\x00\x00\x00 nothing more")
    path = write(folder, links(f'<link name="a"><visual><geometry><mesh filename="{reference}"/></geometry></visual></link>'))
    with pytest.raises(DataError, match=words) as caught:
        read_urdf(path)
    assert str(path) in str(caught.value) and "name='a'" in str(caught.value)


A, B = '<link name="a"/>', '<link name="b"/>'
BOMB = """<!DOCTYPE robot [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;">]><robot name="&b;"/>"""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BOMB, "DTDs and entities are refused"),
        ("<robot><link></robot>", "not well-formed XML: mismatched tag: line 1"),
        ("<mujoco/>", "begins with <mujoco>"),
        (links(A, B, joint("j", "a", "c")), "<joint name='j'>: there is no child link 'c'; links: a, b"),
        (links(A, B, joint("j", "c", "b")), "there is no parent link 'c'"),
        (links(A, B, '<joint name="j" type="fixed"/>'), "there is no child link ''"),
        (links(A, B, joint("j", "a", "b"), joint("k", "b", "a")), "form a loop: a, b"),
        (links(A, '<link name="c"/>', B, joint("j", "a", "b"), joint("k", "c", "b")), "link 'b' is the child of two joints"),
        (links(A, A), "two links are called 'a'"),
        (links(A, B, joint("j", "a", "b"), '<link name="c"/>', joint("j", "b", "c")), "joint needs a name of its own; 'j'"),
        (links("<link/>"), "<link> has no name"),
        (links(A, B, joint("j", "a", "b", kind="screw")), "type must be one of fixed, .* received 'screw'"),
        (links(A, B, joint("j", "a", "b", '<axis xyz="0 0 0"/>', "continuous")), "<joint name='j'>, <axis>: an axis must have a length"),
        (links(A, B, joint("j", "a", "b", '<origin xyz="0 nan 0"/>')), "<origin>: xyz must be 3 finite numbers, received '0 nan 0'"),
        (links(A, B, joint("j", "a", "b", '<origin rpy="0 0"/>')), "rpy must be 3 finite numbers, received '0 0'"),
        (links(A, B, joint("j", "a", "b", '<limit lower="2" upper="1"/>', "revolute")), "lower limit 2 is above its upper limit 1"),
        (links('<link name="a"><inertial/></link>'), "<link name='a'>: its inertial has no <mass>"),
        (links('<link name="a"><inertial><mass value="heavy"/></inertial></link>'), "value must be 1 finite number, received 'heavy'"),
        (links('<link name="a"><visual/></link>'), "<visual> has no geometry"),
        (links('<link name="a"><visual><geometry><cone/></geometry></visual></link>'), "geometry <cone> is not known"),
        (links('<link name="a"><visual><geometry><sphere radius="-1"/></geometry></visual></link>'), "radius must be finite and > 0"),
        (links('<xacro:include filename="x"/>'), "is a macro of xacro; expand it first"),
        (links('<link name="${prefix}a"/>'), "is a macro of xacro"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_file_and_the_place(tmp_path: Path, text: str, words: str):
    path = write(tmp_path, text)
    with pytest.raises(DataError, match=words) as caught:
        read_urdf(path)
    assert str(path) in str(caught.value)
