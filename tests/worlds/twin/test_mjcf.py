"""MJCF files: what MuJoCo makes of them, we make of them; and what must not be read is refused."""

from pathlib import Path

import mujoco
import numpy as np
import pytest

from armillary.core import ConfigError, DataError
from armillary.worlds.twin.asset import WORLD, Asset
from armillary.worlds.twin.geometry import Box, Capsule, Cylinder, Mesh, Plane, Sphere
from armillary.worlds.twin.mass import mass_matrix
from armillary.worlds.twin.mjcf_read import read_mjcf
from tests.worlds.twin.mujoco_truth import check_bodies, check_joints, compiled

ARM = """<mujoco model="arm">
  <compiler angle="degree" eulerseq="zyx"/>
  <default>
    <geom friction="0.7 0.02 0.001"/>
    <default class="light"><geom density="400" rgba="0.2 0.4 0.6 1"/><joint damping="0.3" armature="0.02"/></default>
  </default>
  <asset><material name="steel" rgba="0.1 0.2 0.3 1" roughness="0.25" metallic="1"/></asset>
  <worldbody>
    <geom name="floor" type="plane" size="0 0 1"/>
    <body name="base" pos="1 2 3" euler="30 -20 50">
      <geom name="foot" type="cylinder" size="0.1 0.2" material="steel"/>
      <body name="upper" pos="0 0 0.3" axisangle="1 1 0 40" childclass="light">
        <joint name="shoulder" axis="1 2 -1" pos="0.01 0 0.02" range="-50 80" frictionloss="0.4"/>
        <geom name="bone" type="capsule" fromto="0 0 0 0.3 0.1 0.2" size="0.04"/>
        <geom name="pad" type="box" size="0.05 0.02 0.03" pos="0.1 0.1 0" zaxis="1 0 1" mass="0.25"/>
        <body name="lower" pos="0.3 0.1 0.2" quat="0.8 0 0.6 0">
          <joint name="slider" type="slide" axis="0 0 -1" range="-0.1 0.4" damping="0"/>
          <inertial pos="0.05 0 0.02" mass="1.5" fullinertia="0.03 0.02 0.04 0.002 -0.003 0.004"/>
          <geom name="shell" type="sphere" size="0.06" contype="0" conaffinity="0" group="1"/>
          <geom name="hull" type="sphere" size="0.07" group="3"/>
        </body>
      </body>
    </body>
    <body name="ball" pos="0 0 5"><freejoint name="flight"/><geom name="egg" type="ellipsoid" size="0.1 0.2 0.3"/></body>
  </worldbody>
  <actuator>
    <position name="servo" joint="shoulder" kp="100" kv="5" gear="2" forcerange="-10 10"/>
    <motor name="pusher" joint="slider" gear="3" ctrlrange="-4 4"/>
  </actuator>
  <sensor><jointpos name="angle" joint="shoulder"/></sensor>
</mujoco>"""


def write(folder: Path, text: str, name: str = "model.xml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def read(folder: Path, text: str) -> Asset:
    return read_mjcf(write(folder, text))


@pytest.fixture
def arm(tmp_path: Path) -> Asset:
    return read(tmp_path, ARM)


def test_poses_masses_and_joints_are_those_of_mujoco(arm: Asset, tmp_path: Path):
    model = compiled(tmp_path / "model.xml")
    check_bodies(arm, model)
    check_joints(arm, model)
    assert arm.name == "arm" and {body.name for body in arm.bodies} == {"world", "base", "upper", "lower", "ball"}


def test_geometry_roles_and_places(arm: Asset):
    shapes = {shape.name: shape for body in arm.bodies for shape in body.shapes}
    assert shapes["floor"].geometry == Plane()
    assert shapes["foot"].geometry == Cylinder(0.1, 0.2)
    assert shapes["bone"].geometry == Capsule(0.04, float(np.sqrt(0.14) / 2))
    np.testing.assert_allclose(shapes["bone"].pose.position, (0.15, 0.05, 0.1))
    np.testing.assert_allclose(np.abs(shapes["bone"].pose.rotation()[:, 2]), np.array([0.3, 0.1, 0.2]) / np.sqrt(0.14))
    assert shapes["pad"].geometry == Box((0.05, 0.02, 0.03)) and shapes["hull"].geometry == Sphere(0.07)
    assert {name: shape.role for name, shape in shapes.items()} == {
        "floor": "both",
        "foot": "both",
        "bone": "both",
        "pad": "both",
        "shell": "visual",
        "hull": "collider",
        "egg": "both",
    }
    assert isinstance(shapes["egg"].geometry, Mesh)
    np.testing.assert_allclose(shapes["egg"].geometry.bounds(), [[-0.1, -0.2, -0.3], [0.1, 0.2, 0.3]], atol=1e-12)


def test_numbers_say_whether_the_file_or_mujoco_chose_them(arm: Asset):
    shapes = {shape.name: arm.material(shape.material) for body in arm.bodies for shape in body.shapes}
    assert (shapes["foot"].density.value, shapes["foot"].density.source) == (1000.0, "default")
    assert (shapes["bone"].density.value, shapes["bone"].density.source) == (400.0, "datasheet")
    assert (shapes["bone"].friction.value, shapes["bone"].friction.source) == (0.7, "datasheet")
    np.testing.assert_allclose(shapes["pad"].density.value, 0.25 / (8 * 0.05 * 0.02 * 0.03))
    assert shapes["shell"].friction is None and shapes["bone"].restitution is None
    assert shapes["foot"].colour == (0.1, 0.2, 0.3, 1.0) and (shapes["foot"].roughness, shapes["foot"].metallic) == (0.25, 1.0)
    assert shapes["bone"].colour == (0.2, 0.4, 0.6, 1.0)
    slider, shoulder = arm.joint("slider"), arm.joint("shoulder")
    assert (shoulder.damping.value, shoulder.armature.value, shoulder.friction.value) == (0.3, 0.02, 0.4)
    assert slider.damping.value == 0.0 and slider.damping.source == "datasheet"  # written down as 0
    assert slider.friction is None  # nobody said


def test_a_default_is_only_a_default_where_nobody_wrote_it(tmp_path: Path):
    asset = read(tmp_path, '<mujoco><worldbody><body><geom size="1" density="1000"/><geom size="1"/></body></worldbody></mujoco>')
    written, silent = (asset.material(shape.material) for shape in asset.bodies[0].shapes)
    assert (written.density.source, silent.density.source) == ("datasheet", "default")
    assert (written.friction.value, written.friction.source) == (1.0, "default")


def test_actuators_become_drives_through_their_gear(arm: Asset):
    servo, pusher = arm.joint("shoulder").drive, arm.joint("slider").drive
    assert (servo.stiffness.value, servo.damping.value, servo.max_force.value) == (400.0, 20.0, 20.0)
    assert (pusher.stiffness.value, pusher.damping.value, pusher.max_force.value) == (0.0, 0.0, 12.0)


def test_a_drive_pulls_as_hard_as_the_actuator_did(arm: Asset, tmp_path: Path):
    model = compiled(tmp_path / "model.xml")
    data = mujoco.MjData(model)
    joint = model.joint("shoulder")
    data.qpos[joint.qposadr[0]], data.qvel[joint.dofadr[0]] = 0.02, 0.1
    mujoco.mj_forward(model, data)
    drive = arm.joint("shoulder").drive
    expected = drive.stiffness.value * (drive.target - 0.02) + drive.damping.value * (0.0 - 0.1)
    assert abs(expected) < drive.max_force.value
    np.testing.assert_allclose(data.qfrc_actuator[joint.dofadr[0]], expected)


def test_what_is_left_out_is_said(arm: Asset):
    assert any("sensor jointpos (angle)" in note for note in arm.notes)
    assert any("torsional and rolling friction" in note for note in arm.notes)
    assert any("'egg' is an ellipsoid" in note for note in arm.notes)


def test_who_holds_whom(arm: Asset):
    assert [(joint.child, joint.parent, joint.kind) for joint in arm.joints] == [
        ("world", WORLD, "fixed"),
        ("base", WORLD, "fixed"),
        ("upper", "base", "hinge"),
        ("lower", "upper", "slide"),
        ("ball", WORLD, "free"),
    ]


def test_several_joints_hang_on_frames_without_mass(tmp_path: Path):
    text = """<mujoco><worldbody><body name="hip" pos="0 0 1" euler="10 20 30"><geom size="0.1"/>
      <joint name="yaw" axis="0 0 1" pos="0 0 0.1"/><joint name="pitch" axis="0 1 0"/><joint name="roll" axis="1 0 0"/>
    </body></worldbody></mujoco>"""
    asset = read(tmp_path, text)
    check_joints(asset, compiled(tmp_path / "model.xml"))
    assert [(joint.name, joint.child, joint.parent) for joint in asset.joints] == [
        ("yaw", "hip_yaw", WORLD),
        ("pitch", "hip_pitch", "hip_yaw"),
        ("roll", "hip", "hip_pitch"),
    ]
    for frame in (asset.body("hip_yaw"), asset.body("hip_pitch")):
        assert frame.pose == asset.body("hip").pose and mass_matrix(asset, frame) is None and not frame.shapes
    assert any("'hip' has 3 joints" in note for note in asset.notes)


def test_a_reference_position_moves_limits_spring_and_target(tmp_path: Path):
    text = """<mujoco><compiler angle="radian"/><worldbody><body name="a"><geom size="0.1"/>
      <joint name="j" axis="0 0 1" range="0 2" ref="0.5" springref="0.75" stiffness="3"/></body></worldbody></mujoco>"""
    asset = read(tmp_path, text)
    joint = asset.joint("j")
    assert [limit.value for limit in joint.limits] == [-0.5, 1.5]
    assert (joint.drive.target, joint.drive.stiffness.value) == (0.25, 3.0)
    assert any("ref 0.5" in note for note in asset.notes)
    check_bodies(asset, compiled(tmp_path / "model.xml"))


def test_meshes_come_with_their_frame_scale_and_mass(tmp_path: Path):
    (tmp_path / "parts").mkdir()
    corners = "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\n"
    (tmp_path / "parts" / "wedge.obj").write_text(corners + "f 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n", encoding="utf-8")
    text = """<mujoco><compiler meshdir="parts"/><asset><mesh file="wedge.obj" scale="1 2 3"/></asset><worldbody>
      <body name="b" pos="1 0 0" euler="0 0 90"><freejoint/><geom name="g" type="mesh" mesh="wedge" pos="0 0 5" density="10"/></body>
    </worldbody></mujoco>"""
    asset = read(tmp_path, text)
    check_bodies(asset, compiled(tmp_path / "model.xml"))
    (shape,) = asset.body("b").shapes
    corners = shape.pose.apply(shape.geometry.vertices)
    assert sorted(map(tuple, corners.round(5) + 0.0)) == [(0, 0, 5), (0, 0, 8), (0, 2, 5), (1, 0, 5)]
    np.testing.assert_allclose(mass_matrix(asset, asset.body("b"))[0], 10.0, rtol=1e-6)
    assert asset.body("b").mass is None  # it follows from the density


def test_mass_that_shapes_do_not_explain_is_taken_from_mujoco(tmp_path: Path):
    """A drawn shape that weighs something beside a collider, a hollow shape, and a body of given total mass."""
    text = """<mujoco><worldbody><body name="a"><freejoint/><geom size="0.1"/>
      <geom type="box" size="0.1 0.2 0.3" pos="0.2 0 0" contype="0" conaffinity="0" mass="2"/></body>
      <body name="b"><freejoint/><geom size="0.1" mass="1" shellinertia="true"/></body></worldbody></mujoco>"""
    asset = read(tmp_path, text)
    check_bodies(asset, compiled(tmp_path / "model.xml"))
    assert asset.body("a").mass.source == "default"  # one of its densities nobody wrote
    assert asset.body("b").mass.source == "datasheet" and "MuJoCo" in asset.body("b").mass.note


def test_included_files_count_once_and_nested(tmp_path: Path):
    (tmp_path / "more").mkdir()
    write(tmp_path, '<mujoco><body name="inner"><geom size="0.2"/></body></mujoco>', "more/inner.xml")
    write(tmp_path, '<mujoco><worldbody><include file="more/inner.xml"/></worldbody></mujoco>', "outer.xml")
    asset = read(tmp_path, '<mujoco><include file="outer.xml"/></mujoco>')
    check_bodies(asset, compiled(tmp_path / "model.xml"))
    assert asset.name == "model"
    with pytest.raises(DataError, match="twice"):
        read(tmp_path, '<mujoco><include file="outer.xml"/><include file="outer.xml"/></mujoco>')


def test_nothing_outside_the_folder_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """MuJoCo gets a text without references and the bytes that it names."""
    folder = tmp_path / "asset"
    folder.mkdir()
    write(tmp_path, '<mujoco><worldbody><geom size="1"/></worldbody></mujoco>', "secret.xml")
    (tmp_path / "secret.obj").write_text("v 0 0 0\n", encoding="utf-8")
    (folder / "link.obj").symlink_to(tmp_path / "secret.obj")

    def refuse(*_, **__):
        raise AssertionError("MuJoCo was asked for a file that was not checked")

    monkeypatch.setattr(mujoco.MjSpec, "from_string", refuse)
    mesh = '<mujoco><compiler meshdir="{1}"/><asset><mesh name="m" file="{0}"/></asset></mujoco>'
    cases = [
        ('<mujoco><include file="../secret.xml"/></mujoco>', "'../secret.xml'.*outside"),
        (mesh.format("../secret.obj", "."), "'./../secret.obj'.*outside"),
        (mesh.format("secret.obj", ".."), "'../secret.obj'.*outside"),
        (mesh.format(tmp_path / "secret.obj", "."), "absolute path"),
        (mesh.format("secret.obj", str(tmp_path)), "absolute path"),
        (mesh.format("link.obj", "."), "link"),
        (mesh.format("http://127.0.0.1:9/secret.obj", ""), "'http://127.0.0.1:9/secret.obj', an address"),
        (mesh.format("a\\..\\b.obj", "."), "refused"),
        (mesh.format("%2e%2e/secret.obj", "."), "refused"),
        (mesh.format("absent.obj", "."), "there is no file .*absent.obj"),
        ('<mujoco><asset><model name="m" file="/etc/passwd"/></asset></mujoco>', "<model name='m'> is not supported"),
    ]
    for text, words in cases:
        path = write(folder, text)
        with pytest.raises(DataError, match=words) as caught:
            read_mjcf(path)
        assert str(path) in str(caught.value)


def test_textures_are_never_opened(tmp_path: Path):
    text = """<mujoco><asset><texture name="t" type="2d" file="../../secret.png"/><material name="m" texture="t"/></asset>
      <worldbody><geom size="1" material="m"/></worldbody></mujoco>"""
    asset = read(tmp_path, text)
    assert any("texture (t)" in note for note in asset.notes) and asset.bodies[0].shapes[0].material == "m"


def test_a_wider_root_allows_folders_beside_the_file(tmp_path: Path):
    (tmp_path / "xml").mkdir()
    write(tmp_path, '<mujoco><worldbody><geom size="1"/></worldbody></mujoco>', "part.xml")
    path = write(tmp_path, '<mujoco><include file="../part.xml"/></mujoco>', "xml/whole.xml")
    assert len(read_mjcf(path, root=tmp_path).bodies) == 1
    with pytest.raises(DataError, match="outside"):
        read_mjcf(path)
    with pytest.raises(ConfigError, match="not inside"):
        read_mjcf(path, root=tmp_path / "elsewhere")


BOMB = """<!DOCTYPE mujoco [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><mujoco model="&b;"/>"""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BOMB, "line 1: DTDs and entities are refused, found 'mujoco'"),
        ('<!DOCTYPE m SYSTEM "file:///etc/passwd"><mujoco/>', "DTDs and entities"),
        ("<mujoco><worldbody></mujoco>", "not well-formed XML: mismatched tag: line 1"),
        ("", "not well-formed"),
        ("<mujoco>" + "<body>" * 300, "at most 200 levels"),
        ("<robot name='r'/>", "begins with <robot>: read it as URDF"),
        ('<mujoco><worldbody><geom name="g" size="1" pos="NaN 0 0"/></worldbody></mujoco>', "<geom name='g'>: pos must be finite"),
        ('<mujoco><worldbody><geom size="1" pos="1e999 0 0"/></worldbody></mujoco>', "too large in attribute 'pos'"),
        ('<mujoco><worldbody><geom size="1" colour="red"/></worldbody></mujoco>', "not accepted by MuJoCo.*'colour'"),
        ("<mujoco><worldbody><body><joint/></body></worldbody></mujoco>", "not accepted by MuJoCo: .*mass and inertia of moving bodies"),
        (
            '<mujoco><worldbody><replicate count="999"><replicate count="999"/></replicate></worldbody></mujoco>',
            "10000 copies",
        ),
        ('<mujoco><asset><mesh name="m" builtin="supersphere" params="60000 1 1"/></asset></mujoco>', "detail 512"),
        ('<mujoco><worldbody><geom size="1" file="a.obj"/></worldbody></mujoco>', "<geom> refers to a file, which only meshes may"),
        ('<mujoco><worldbody><body><attach model="m" prefix="p"/></body></worldbody></mujoco>', "<attach> is not supported"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_file_and_the_place(tmp_path: Path, text: str, words: str):
    path = write(tmp_path, text)
    with pytest.raises(DataError, match=words) as caught:
        read_mjcf(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(DataError, match=r"there is no file .*absent\.xml"):
        read_mjcf(tmp_path / "absent.xml")
