"""OpenUSD there and back, by OpenUSD's own validators, and numbers against what they must be by hand."""

import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pxr import Sdf, Usd, UsdPhysics, UsdShade, UsdValidation

from armillary.core import ConfigError, DataError, StorageError
from armillary.worlds.twin.asset import WORLD, Asset, Body, Inertia, Joint, Material, Shape
from armillary.worlds.twin.asset_files import load_asset, save_asset
from armillary.worlds.twin.geometry import Box, Capsule, Cylinder, Mesh, Plane, Sphere
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.quantity import Quantity
from armillary.worlds.twin.readiness import check_asset
from armillary.worlds.twin.readiness_fix import fix_asset
from armillary.worlds.twin.usd_read import read_usd
from armillary.worlds.twin.usd_write import write_usd
from tests.worlds.twin.usd_assets import assert_same, one_of_everything


def scene(folder: Path, body: str, head: str = 'metersPerUnit = 1; upAxis = "Z"') -> Path:
    """A file of these prims below the default prim /top. In this file `;` ends a statement, and what follows `}` is another prim."""
    path = folder / "scene.usda"
    text = f'#usda 1.0\n(defaultPrim = "top"; {head})\ndef Xform "top" {{ {body} }}\n'
    path.write_text(text.replace(";", "\n").replace("{", "{\n").replace("}", "\n}\n"))
    return path


def link(name: str, inside: str = "", place: tuple[float, float, float] = (0.0, 0.0, 0.0), apis: str = '"PhysicsRigidBodyAPI"') -> str:
    """The text of a body."""
    moved = f'double3 xformOp:translate = {place}; uniform token[] xformOpOrder = ["xformOp:translate"]'
    return f'def Xform "{name}" (prepend apiSchemas = [{apis}]) {{ {moved}; {inside} }}\n'


def shapes(asset: Asset) -> dict[str, Shape]:
    return {shape.name: shape for body in asset.bodies for shape in body.shapes}


@pytest.mark.parametrize("suffix", [".usda", ".usdc", ".usdz", ".usd"])
def test_there_and_back_is_the_same(tmp_path: Path, suffix: str):
    path = tmp_path / f"asset{suffix}"
    save_or_write = write_usd if suffix == ".usd" else lambda asset, to: save_asset(asset, to)
    save_or_write(one_of_everything(), path)
    back = load_asset(path)
    assert_same(one_of_everything(), replace(back, source=""))
    assert back.notes == () and back.source == str(path)
    assert back.bodies[0].mass == one_of_everything().bodies[0].mass, "quantities are kept to the last bit"
    assert back.material("brushed steel").friction == one_of_everything().material("brushed steel").friction
    assert [file.name for file in tmp_path.iterdir()] == [path.name], "no temporary file is left"


@pytest.mark.parametrize("suffix", [".usda", ".usdc", ".usdz"])
def test_openusds_validators_find_nothing(tmp_path: Path, suffix: str):
    path = tmp_path / f"asset{suffix}"
    for asset in (one_of_everything(), Asset(name="1 bare", bodies=(Body(name="b", shapes=(Shape(name="s", geometry=Sphere(1.0)),)),))):
        write_usd(asset, path)
        assert validated(path) == []


def test_the_validators_would_find_something(tmp_path: Path):
    path = scene(tmp_path, 'def PhysicsFixedJoint "j" { rel physics:body0 = </top/none> }')
    assert validated(path)


def validated(path: Path) -> list[str]:
    """What every validator of the registry says about a file."""
    context = UsdValidation.ValidationContext(UsdValidation.ValidationRegistry().GetOrLoadAllValidators())
    return [error.GetErrorAsString() for error in context.Validate(Usd.Stage.Open(str(path)))]


def test_the_same_asset_makes_the_same_bytes(tmp_path: Path):
    for suffix in (".usda", ".usdc", ".usdz"):
        files = [tmp_path / f"{name}{suffix}" for name in "ab"]
        for file in files:
            write_usd(one_of_everything(), file)
        assert files[0].read_bytes() == files[1].read_bytes(), suffix


NUMBERS = st.floats(-3.0, 3.0)
SIZES = st.floats(1e-3, 5.0)
NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
POSES = st.builds(
    lambda axis, angle, at: Pose.about((*axis, 1.0), angle, at), st.tuples(NUMBERS, NUMBERS), NUMBERS, st.tuples(*[NUMBERS] * 3)
)
QUANTITIES = st.builds(
    Quantity, st.floats(1e-6, 1e6), st.sampled_from(["measured", "datasheet", "estimated", "default"]), note=st.text("ab\"\n'é")
)
GEOMETRIES = st.one_of(
    st.builds(Box, st.tuples(SIZES, SIZES, SIZES)),
    st.builds(Sphere, SIZES),
    st.builds(Cylinder, SIZES, SIZES),
    st.builds(Capsule, SIZES, SIZES),
)


@settings(max_examples=25, phases=(Phase.explicit, Phase.generate))
@given(POSES, POSES, POSES, GEOMETRIES, QUANTITIES, st.sampled_from(["hinge", "slide", "ball", "fixed"]), NAMES)
def test_any_pair_of_bodies_there_and_back(
    tmp_path_factory, first: Pose, second: Pose, frame: Pose, geometry, quantity: Quantity, kind: str, name: str
):
    shape = Shape(name="s", geometry=geometry, pose=frame, material=f"m{name}")
    asset = Asset(
        name=f"a{name}",
        materials=(Material(name=f"m{name}", density=quantity, friction=quantity),),
        bodies=(
            Body(name=f"b{name}", pose=first, shapes=(shape,), mass=quantity, inertia=Inertia((quantity,) * 3, second)),
            Body(name=f"{name}b!", pose=second),
        ),
        joints=(Joint(name=f"j{name}", kind=kind, parent=f"b{name}", child=f"{name}b!", frame=frame, damping=quantity),),
    )
    path = tmp_path_factory.mktemp("usd") / "pair.usda"
    write_usd(asset, path)
    assert_same(asset, replace(read_usd(path), source=""), tolerance=3e-6)


def test_centimetres_grams_and_y_up(tmp_path: Path):
    """Every unit of UsdPhysics against its definition: kg/m3, kg m2, N m for a radian, N for a metre, N."""
    inside = """float physics:mass = 500; float3 physics:diagonalInertia = (1000, 2000, 3000); point3f physics:centerOfMass = (1, 2, 3)
def Cube "cube" (prepend apiSchemas = ["PhysicsCollisionAPI", "MaterialBindingAPI"]) { double size = 4
  double3 xformOp:scale = (1, 2, 3); uniform token[] xformOpOrder = ["xformOp:scale"]; rel material:binding = </top/m> }"""
    body = (
        'def Material "m" (prepend apiSchemas = ["PhysicsMaterialAPI"])'
        + " { float physics:density = 2.0; float physics:dynamicFriction = 0.5 }"
        + link("arm", inside, (10.0, 20.0, 30.0), '"PhysicsRigidBodyAPI", "PhysicsMassAPI"')
        + """
def PhysicsRevoluteJoint "hinge" (prepend apiSchemas = ["PhysicsDriveAPI:angular"])
{ uniform token physics:axis = "Y"; rel physics:body1 = </top/arm>; point3f physics:localPos0 = (10, 20, 30)
  float physics:lowerLimit = -90; float physics:upperLimit = 45
  float drive:angular:physics:stiffness = 1000000; float drive:angular:physics:damping = 100000
  float drive:angular:physics:maxForce = 2000000; float drive:angular:physics:targetPosition = 30 }
"""
    )
    head = 'metersPerUnit = 0.01; kilogramsPerUnit = 0.001; upAxis = "Y"'
    asset = read_usd(scene(tmp_path, body, head))
    arm, hinge = asset.body("arm"), asset.joint("hinge")
    assert (asset.metres_per_unit, asset.up_axis, asset.name) == (0.01, "Y", "top")
    np.testing.assert_allclose(arm.pose.position, (0.1, -0.3, 0.2), atol=1e-12)
    np.testing.assert_allclose(arm.pose.rotation() @ (0, 1, 0), (0, 0, 1), atol=1e-12)
    np.testing.assert_allclose(shapes(asset)["cube"].geometry.half_sizes, (0.02, 0.04, 0.06))
    assert arm.mass.value == pytest.approx(0.5) and arm.mass.source == "datasheet"
    np.testing.assert_allclose([moment.value for moment in arm.inertia.moments], (1e-4, 2e-4, 3e-4), rtol=1e-6)
    np.testing.assert_allclose(arm.inertia.frame.position, (0.01, 0.02, 0.03))
    assert asset.material("m").density.value == pytest.approx(2000.0) and asset.material("m").friction.value == pytest.approx(0.5)
    assert asset.material("m").restitution is None
    np.testing.assert_allclose(hinge.frame.rotation() @ (0, 0, 1), (0, 0, 1), atol=1e-12)  # y of the file is up
    np.testing.assert_allclose(hinge.frame.position, (0.1, -0.3, 0.2), atol=1e-9)
    np.testing.assert_allclose([limit.value for limit in hinge.limits], (-math.pi / 2, math.pi / 4), rtol=1e-6)
    unit = 1e-3 * 1e-4 * math.degrees(1.0)  # g cm2/s2 for a degree, in N m for a radian
    assert hinge.drive.stiffness.value == pytest.approx(1e6 * unit) and hinge.drive.damping.value == pytest.approx(1e5 * unit)
    assert hinge.drive.max_force.value == pytest.approx(0.2) and hinge.drive.target == pytest.approx(math.pi / 6)
    assert hinge.parent == WORLD and asset.notes == ()


def test_a_slide_in_centimetres(tmp_path: Path):
    body = (
        link("a")
        + link("b", place=(0.0, 0.0, 50.0))
        + """
def PhysicsPrismaticJoint "slide" (prepend apiSchemas = ["PhysicsDriveAPI:linear"])
{ uniform token physics:axis = "X"; rel physics:body0 = </top/a>; rel physics:body1 = </top/b>; point3f physics:localPos0 = (0, 0, 50)
  float physics:lowerLimit = -10; float physics:upperLimit = 25
  float drive:linear:physics:stiffness = 7; float drive:linear:physics:damping = 3; float drive:linear:physics:maxForce = 200
  float newton:friction = 30; float mjc:armature = 2 }"""
    )
    slide = read_usd(scene(tmp_path, body, 'metersPerUnit = 0.01; upAxis = "Z"')).joint("slide")
    np.testing.assert_allclose([limit.value for limit in slide.limits], (-0.1, 0.25), rtol=1e-6)
    assert (slide.drive.stiffness.value, slide.drive.damping.value) == pytest.approx((7.0, 3.0))  # kg/s2 and kg/s have no length in them
    assert slide.drive.max_force.value == pytest.approx(2.0) and slide.friction.value == pytest.approx(0.3)
    assert slide.armature.value == pytest.approx(2.0)
    np.testing.assert_allclose(slide.frame.rotation() @ (0, 0, 1), (1, 0, 0), atol=1e-12)


def test_what_scales_and_shears_goes_into_the_shape(tmp_path: Path):
    def placed(kind: str, name: str, scale: tuple, more: str = "") -> str:
        scaled = f'double3 xformOp:scale = {scale}; uniform token[] xformOpOrder = ["xformOp:scale"]'
        return f'def {kind} "{name}" {{ {scaled}; {more} }}\n'

    body = (
        placed("Cylinder", "lying", (2, 3, 3), 'uniform token axis = "X"; double radius = 0.5; double height = 4')
        + placed("Capsule", "pill", (2, 2, 2), 'uniform token axis = "Y"; double radius = 0.25; double height = 1')
        + placed("Sphere", "ball", (-3, 3, 3), "double radius = 0.5")
        + placed("Sphere", "egg", (1, 2, 3), "double radius = 1")
        + placed("Cylinder", "squeezed", (1, 2, 1), "double radius = 1; double height = 2")
        + placed("Plane", "floor", (2, 1, 1), 'uniform token axis = "Z"; double width = 4; double length = 6')
        + placed("Cone", "cone", (1, 1, 1), "double radius = 1; double height = 2")
        + 'def Cube "sheared" { matrix4d xformOp:transform = ((1,0,0,0),(1,1,0,0),(0,0,1,0),(0,0,0,1))'
        + '; uniform token[] xformOpOrder = ["xformOp:transform"]; double size = 2 }\n'
    )
    found = shapes(read_usd(scene(tmp_path, body)))
    np.testing.assert_allclose([found["lying"].geometry.radius, found["lying"].geometry.half_length], (1.5, 4.0))
    np.testing.assert_allclose(np.abs(found["lying"].pose.rotation() @ (0, 0, 1)), (1, 0, 0), atol=1e-12)
    np.testing.assert_allclose([found["pill"].geometry.radius, found["pill"].geometry.half_length], (0.5, 1.0))
    assert found["ball"].geometry.radius == pytest.approx(1.5)
    np.testing.assert_allclose(bounds(found["egg"]), [(-1, -2, -3), (1, 2, 3)], atol=1e-9)
    assert found["egg"].geometry.solid().volume == pytest.approx(4 / 3 * math.pi * 6, rel=0.02)
    np.testing.assert_allclose(bounds(found["squeezed"]), [(-1, -2, -1), (1, 2, 1)], atol=1e-9)
    assert found["floor"].geometry == Plane((4.0, 3.0))
    assert found["cone"].geometry.solid().volume == pytest.approx(math.pi * 2 / 3, rel=0.01)
    assert found["cone"].geometry.solid().centre[2] == pytest.approx(-0.5)
    np.testing.assert_allclose(bounds(found["sheared"]), [(-2, -1, -1), (2, 1, 1)], atol=1e-9)
    assert found["sheared"].geometry.solid().volume == pytest.approx(8.0)


def bounds(shape: Shape) -> np.ndarray:
    corners = shape.pose.apply(shape.geometry.vertices)
    return np.stack([corners.min(axis=0), corners.max(axis=0)])


CUBE = """int[] faceVertexCounts = [4, 4, 4, 4, 4, 4]
  int[] faceVertexIndices = [0, 2, 3, 1, 4, 5, 7, 6, 0, 1, 5, 4, 2, 6, 7, 3, 0, 4, 6, 2, 1, 3, 7, 5]
  point3f[] points = [(0, 0, 0), (2, 0, 0), (0, 2, 0), (2, 2, 0), (0, 0, 2), (2, 0, 2), (0, 2, 2), (2, 2, 2)]"""


@pytest.mark.parametrize(("more", "volume"), [("", 8.0), ('uniform token orientation = "leftHanded"', None)])
@pytest.mark.parametrize("mirrored", [False, True])
def test_faces_are_fans_that_look_outwards(tmp_path: Path, more: str, volume: float | None, mirrored: bool):
    scale = "(-1, 1, 1)" if mirrored else "(1, 1, 1)"
    transform = f'double3 xformOp:scale = {scale}; uniform token[] xformOpOrder = ["xformOp:scale"]'
    asset = read_usd(scene(tmp_path, f'def Mesh "m" {{ {CUBE}; {more}; {transform} }}'))
    mesh = shapes(asset)["m"].geometry
    assert mesh.faces.shape == (12, 3) and mesh.closed()
    assert (mesh.solid().volume if volume else mesh.solid()) == (pytest.approx(volume) if volume else None)
    assert any("subdivision" in note and "/top/m" in note for note in asset.notes)


def test_holes_and_short_faces_are_no_faces(tmp_path: Path):
    more = "int[] holeIndices = [5]"
    assert shapes(read_usd(scene(tmp_path, f'def Mesh "m" {{ {CUBE}; {more} }}')))["m"].geometry.faces.shape == (10, 3)


def test_roles(tmp_path: Path):
    collides = '(prepend apiSchemas = ["PhysicsCollisionAPI"])'
    body = f"""def Sphere "seen" {{}}
def Sphere "both" {collides} {{}}
def Sphere "hull" {collides} {{ uniform token purpose = "guide" }}
def Sphere "dark" {collides} {{ token visibility = "invisible" }}
def Sphere "off" {collides} {{ bool physics:collisionEnabled = 0 }}
def Sphere "lost" {{ uniform token purpose = "proxy" }}"""
    asset = read_usd(scene(tmp_path, body))
    roles = {name: shape.role for name, shape in shapes(asset).items()}
    assert roles == {"seen": "visual", "both": "both", "hull": "collider", "dark": "collider", "off": "visual"}
    assert any("/top/lost" in note and "neither" in note for note in asset.notes)


def test_materials_by_purpose_colour_and_mass(tmp_path: Path):
    body = """def Material "look" { token outputs:surface.connect = </top/look/s.outputs:surface>
  def Shader "s" { uniform token info:id = "UsdPreviewSurface"; color3f inputs:diffuseColor = (1, 0, 0); token outputs:surface } }
def Material "rub" (prepend apiSchemas = ["PhysicsMaterialAPI"]) { float physics:staticFriction = 0.9; float physics:dynamicFriction = 0.8 }
def Sphere "two" (prepend apiSchemas = ["MaterialBindingAPI"]) { rel material:binding = </top/look>
  rel material:binding:physics = </top/rub> }
def Sphere "blue" { color3f[] primvars:displayColor = [(0, 0, 1)] }
def Cube "heavy" (prepend apiSchemas = ["PhysicsCollisionAPI", "PhysicsMassAPI"]) { double size = 2; float physics:mass = 16 }
def Cube "dense" (prepend apiSchemas = ["PhysicsCollisionAPI", "PhysicsMassAPI", "MaterialBindingAPI"])
{ float physics:density = 3; rel material:binding = </top/rub> }
def Sphere "bare" {}"""
    asset = read_usd(scene(tmp_path, body))
    found = {name: asset.material(shape.material) if shape.material else None for name, shape in shapes(asset).items()}
    assert found["two"].colour[:3] == pytest.approx((1.0, 0.0, 0.0)) and found["two"].friction.value == pytest.approx(0.8)
    assert found["blue"].colour == pytest.approx((0.0, 0.0, 1.0, 1.0)) and found["bare"] is None
    assert found["heavy"].density.value == pytest.approx(2.0)
    assert found["dense"].density.value == pytest.approx(3.0) and found["dense"].friction.value == pytest.approx(0.8)
    assert [material.name for material in asset.materials][:2] == ["look", "rub"]
    assert any("/top/rub" in note and "static friction 0.9 differs" in note for note in asset.notes)


def test_colours_are_linear_in_the_file(tmp_path: Path):
    write_usd(one_of_everything(), tmp_path / "a.usda")
    stage = Usd.Stage.Open(str(tmp_path / "a.usda"))
    shader = UsdShade.Shader(stage.GetPrimAtPath("/one_of_everything/materials/brushed_steel/surface"))
    assert shader.GetInput("diffuseColor").Get()[0] == pytest.approx(((0.5 + 0.055) / 1.055) ** 2.4)


def test_a_density_of_a_body_is_that_of_its_colliders(tmp_path: Path):
    inside = 'float physics:density = 5\n def Sphere "s" (prepend apiSchemas = ["PhysicsCollisionAPI"]) {}\n def Sphere "seen" {}'
    asset = read_usd(scene(tmp_path, link("b", inside, apis='"PhysicsRigidBodyAPI", "PhysicsMassAPI"')))
    assert asset.material(shapes(asset)["s"].material).density.value == 5.0 and shapes(asset)["seen"].material == ""


def test_an_inertia_without_a_centre_is_where_the_shapes_have_theirs(tmp_path: Path):
    inside = """float3 physics:diagonalInertia = (1, 2, 3)
  def Cube "c" (prepend apiSchemas = ["PhysicsCollisionAPI"])
  { double3 xformOp:translate = (0.5, 0, 0); uniform token[] xformOpOrder = ["xformOp:translate"] }"""
    asset = read_usd(scene(tmp_path, link("b", inside, apis='"PhysicsRigidBodyAPI", "PhysicsMassAPI"')))
    assert asset.body("b").inertia.frame.position == (0.5, 0.0, 0.0)


def test_numbers_that_were_changed_lose_their_provenance(tmp_path: Path):
    path = tmp_path / "a.usda"
    write_usd(one_of_everything(), path)
    layer = Sdf.Layer.OpenAsAnonymous(str(path))
    layer.GetAttributeAtPath("/one_of_everything/base.physics:mass").default = 11.0
    layer.Export(str(path))
    asset = read_usd(path)
    assert asset.body("base").mass == Quantity(11.0, "datasheet")
    assert any("/one_of_everything/base" in note and "mass was changed" in note for note in asset.notes)


def test_provenance_that_makes_no_sense_is_left_aside(tmp_path: Path):
    path = tmp_path / "a.usda"
    write_usd(one_of_everything(), path)
    path.write_text(path.read_text().replace('"measured"', '"guessed"'))
    asset = read_usd(path)
    assert asset.body("base").mass.source == "datasheet"
    assert any("provenance of its mass" in note for note in asset.notes)


def test_a_joint_to_the_world_turns_round_with_its_limits(tmp_path: Path):
    """As body 0 the arm turns against the world: seen from the world, the axis points the other way and the limits stay."""
    joint = """def PhysicsRevoluteJoint "j" { uniform token physics:axis = "Z"; rel physics:body0 = </top/arm>
  float physics:lowerLimit = -10; float physics:upperLimit = 80 }"""
    found = read_usd(scene(tmp_path, link("arm") + joint)).joint("j")
    assert (found.parent, found.child) == (WORLD, "arm")
    np.testing.assert_allclose(found.frame.rotation() @ (0, 0, 1), (0, 0, -1), atol=1e-12)
    np.testing.assert_allclose([limit.value for limit in found.limits], np.radians([-10, 80]), rtol=1e-6)


def test_bodies_are_where_their_joints_are_at_zero(tmp_path: Path):
    """The arm was saved with its hinge at 90 degrees about z; at 0 it and the hand on it lie along x again."""
    body = (
        link("base")
        + """def Xform "arm" (prepend apiSchemas = ["PhysicsRigidBodyAPI"])
{ double3 xformOp:translate = (1, 0, 0); double xformOp:rotateZ = 90
  uniform token[] xformOpOrder = ["xformOp:translate", "xformOp:rotateZ"] }"""
        + link("hand", place=(1.0, 2.0, 0.0))
        + """def PhysicsRevoluteJoint "elbow" { uniform token physics:axis = "Z"
  rel physics:body0 = </top/base>; rel physics:body1 = </top/arm>
  point3f physics:localPos0 = (1, 0, 0) }
def PhysicsFixedJoint "wrist" { rel physics:body0 = </top/arm>; rel physics:body1 = </top/hand>; point3f physics:localPos0 = (2, 0, 0)
  quatf physics:localRot1 = (0.70710678, 0, 0, 0.70710678) }"""
    )
    asset = read_usd(scene(tmp_path, body))
    np.testing.assert_allclose(asset.body("arm").pose.matrix(), Pose((1.0, 0.0, 0.0)).matrix(), atol=1e-6)
    np.testing.assert_allclose(asset.body("hand").pose.position, (3.0, 0.0, 0.0), atol=1e-6)
    np.testing.assert_allclose(asset.joint("wrist").frame.position, (3.0, 0.0, 0.0), atol=1e-6)
    assert any("/top/elbow" in note and "at 0" in note for note in asset.notes)
    assert not any("/top/wrist" in note for note in asset.notes)


def test_loops_are_opened_and_named(tmp_path: Path):
    joints = "".join(
        f'def PhysicsFixedJoint "{a}{b}" {{ rel physics:body0 = </top/{a}>; rel physics:body1 = </top/{b}> }}\n'
        for a, b in (("a", "b"), ("c", "b"), ("a", "c"))
    )
    asset = read_usd(scene(tmp_path, link("a") + link("b") + link("c") + joints))
    assert [(joint.name, joint.parent, joint.child) for joint in asset.joints] == [("ab", "a", "b"), ("cb", "b", "c")]
    assert [note for note in asset.notes] == ["/top/ac: this joint closes a loop, so it is left out"]


def test_joints_of_six_freedoms(tmp_path: Path):
    def six(name: str, child: str, **limits: tuple[float, float]) -> str:
        apis = ", ".join(f'"PhysicsLimitAPI:{freedom}"' for freedom in limits)
        ends = "".join(
            f"float limit:{of}:physics:low = {low}; float limit:{of}:physics:high = {high}\n" for of, (low, high) in limits.items()
        )
        return (
            f'def PhysicsJoint "{name}" ({f"prepend apiSchemas = [{apis}]" if limits else ""})\n'
            f"{{ rel physics:body0 = </top/a>; rel physics:body1 = </top/{child}>\n{ends} }}\n"
        )

    slides = dict.fromkeys(("transX", "transY", "transZ"), (1.0, -1.0))
    turns = dict.fromkeys(("rotX", "rotY", "rotZ"), (1.0, -1.0))
    body = "".join(link(name) for name in "abcdefghi")
    body += six("hinge", "b", **slides, **{**turns, "rotY": (-20.0, 30.0)})
    body += six("ball", "c", **slides) + six("free", "d") + six("fixed", "e", **slides, **turns)
    body += six("knuckle", "f", **slides, rotX=(1.0, -1.0))
    at_zero = dict.fromkeys(slides, (0.0, 0.0))
    body += six("slide", "g", **{**slides, "transX": (-0.2, 0.5)}, **dict.fromkeys(turns, (0.0, 0.0)))
    body += six("pin", "h", **at_zero, rotX=(1.0, -1.0), rotZ=(1.0, -1.0)) + six("off", "i", **{**at_zero, "transX": (0.1, 0.1)}, **turns)
    asset = read_usd(scene(tmp_path, body))
    kinds = {"hinge": "hinge", "ball": "ball", "free": "free", "fixed": "fixed", "slide": "slide", "pin": "hinge", "off": "slide"}
    assert {joint.name: joint.kind for joint in asset.joints} == kinds
    assert [limit.value for limit in asset.joint("slide").limits] == pytest.approx([-0.2, 0.5])
    assert asset.joint("pin").limits is None and asset.joint("off").limits[0].value == pytest.approx(0.1)
    np.testing.assert_allclose(asset.joint("hinge").frame.rotation() @ (0, 0, 1), (0, 1, 0), atol=1e-12)
    assert asset.joint("hinge").limits[1].value == pytest.approx(math.radians(30))
    assert any("/top/knuckle" in note and "rotY, rotZ free" in note for note in asset.notes)


@pytest.mark.parametrize(
    ("kind", "low", "high", "unit"),
    [("Revolute", 90.0, -45.0, math.pi / 180), ("Prismatic", 0.3, 0.1, 1.0), ("Revolute", 0.5, 0.5, math.pi / 180)],
)
def test_reversed_limits_are_read_as_they_stand_and_found_and_mended(tmp_path: Path, kind: str, low: float, high: float, unit: float):
    """OpenUSD's joints of one freedom are not locked by them: somebody has mixed them up."""
    ends = f"float physics:lowerLimit = {low}; float physics:upperLimit = {high}"
    joint = f'def Physics{kind}Joint "j" {{ rel physics:body0 = </top/a>; rel physics:body1 = </top/b>; {ends} }}'
    asset = read_usd(scene(tmp_path, link("a") + link("b") + joint))
    assert [limit.value for limit in asset.joint("j").limits] == pytest.approx([low * unit, high * unit])
    (found,) = (one for one in check_asset(asset) if one.where == "joint 'j'" and one.code == "limits-reversed")
    assert found.severity == "error" and "leave it no way to go" in found.problem and found.fixable == (low > high)
    if low > high:
        write_usd(fix_asset(asset)[0], tmp_path / "fixed.usda")
        mended = read_usd(tmp_path / "fixed.usda")
        assert [limit.value for limit in mended.joint("j").limits] == pytest.approx([high * unit, low * unit])
        assert not [one for one in check_asset(mended) if one.code == "limits-reversed"]


def test_what_no_asset_can_hold_is_named(tmp_path: Path):
    body = (
        link("b", 'def Sphere "s" {}')
        + """def BasisCurves "hair" {}
def PointInstancer "forest" { def Sphere "tree" {} }
def Camera "eye" {}
def PhysicsDistanceJoint "rope" { rel physics:body1 = </top/b> }
def PhysicsRevoluteJoint "off" { bool physics:jointEnabled = 0; rel physics:body1 = </top/b> }
def Cylinder_1 "taper" { double radiusTop = 1; double radiusBottom = 2 }
def Mesh "empty" {}
def Cube "flat" { double3 xformOp:scale = (1, 1, 0); uniform token[] xformOpOrder = ["xformOp:scale"] }
def Gear "gear" (prepend apiSchemas = ["PhysxGearAPI"]) {}"""
    )
    notes = "\n".join(read_usd(scene(tmp_path, body)).notes)
    for name in ("hair", "forest", "eye", "rope", "off", "taper", "empty", "flat", "gear"):
        assert f"/top/{name}" in notes, name
    assert "tree" not in notes and "PhysxGearAPI" in notes


def test_nested_bodies_static_shapes_and_bodies_that_stand_still(tmp_path: Path):
    inner = link("inner", 'def Sphere "s2" {}', place=(1.0, 0.0, 0.0))
    fixed = link("post", "bool physics:rigidBodyEnabled = 0")
    asset = read_usd(scene(tmp_path, link("outer", 'def Sphere "s1" {}\n' + inner, place=(0.0, 1.0, 0.0)) + fixed + 'def Cube "wall" {}'))
    assert {body.name: [shape.name for shape in body.shapes] for body in asset.bodies} == {
        "outer": ["s1"],
        "inner": ["s2"],
        "post": [],
        "static": ["wall"],
    }
    assert asset.body("inner").pose.position == (1.0, 1.0, 0.0)
    assert {joint.child: (joint.kind, joint.parent) for joint in asset.joints} == {"post": ("fixed", WORLD), "static": ("fixed", WORLD)}


def test_names_that_come_twice_are_told_apart(tmp_path: Path):
    legs = "".join(f'def Xform "{side}" {{ {link("foot")} }}\n' for side in ("left", "right"))
    assert [body.name for body in read_usd(scene(tmp_path, legs)).bodies] == ["foot", "right/foot"]


def test_what_a_file_leaves_out_stays_unsaid(tmp_path: Path):
    path = tmp_path / "bare.usda"
    path.write_text('#usda 1.0\ndef Sphere "ball" {}\n')
    asset = read_usd(path)
    assert (asset.name, asset.metres_per_unit, asset.up_axis) == ("bare", None, None)
    assert shapes(asset)["ball"].geometry == Sphere(0.01) and any("metersPerUnit is not given" in note for note in asset.notes)
    assert asset.bodies[0].mass is None and asset.bodies[0].inertia is None


TRIANGLE = "point3f[] points = [(0,0,0), (1,0,0), (0,1,0)]"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('def Sphere "s" { double radius = -1 }', r"/top/s \(Sphere\): a sphere's radius must be finite and > 0"),
        (
            f'def Mesh "m" {{ int[] faceVertexCounts = [3]; int[] faceVertexIndices = [0, 1, 9]; {TRIANGLE} }}',
            "/top/m",
        ),
        (
            f'def Mesh "m" {{ int[] faceVertexCounts = [4]; int[] faceVertexIndices = [0, 1, 2]; {TRIANGLE} }}',
            "4 corners",
        ),
        (link("b", "float physics:mass = nan", apis='"PhysicsRigidBodyAPI", "PhysicsMassAPI"'), "its mass must be finite"),
        ('def Xform "x" {}', "nothing in it that an asset can hold"),
    ],
)
def test_broken_numbers_are_refused_by_name(tmp_path: Path, body: str, message: str):
    with pytest.raises(DataError, match=message) as told:
        read_usd(scene(tmp_path, body))
    assert "scene.usda" in str(told.value)


def test_other_suffixes_are_refused(tmp_path: Path):
    with pytest.raises(DataError, match=r"assets are read from .usd, .usda, .usdc, .usdz, .xml, .urdf files, received '.fbx'"):
        load_asset(tmp_path / "a.fbx")
    with pytest.raises(DataError, match=r"assets are written to .usda, .usdc, .usdz, .xml, .glb files, received '.obj'"):
        save_asset(one_of_everything(), tmp_path / "a.obj")
    with pytest.raises(DataError, match="OpenUSD files end in"):
        write_usd(one_of_everything(), tmp_path / "a.glb")


def test_a_disk_that_is_full_is_told_and_leaves_the_old_file(tmp_path: Path):
    resource = pytest.importorskip("resource")
    for suffix in (".usda", ".usdc", ".usdz"):
        path = tmp_path / f"a{suffix}"
        path.write_bytes(b"old")
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        try:
            with pytest.raises(StorageError, match="writing failed"):
                write_usd(one_of_everything(), path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 3, "no temporary file is left"


def test_names_that_openusd_cuts_off_are_refused(tmp_path: Path):
    with pytest.raises(DataError, match="null character"):
        write_usd(Asset(name="a", bodies=(Body(name="b\0c"),)), tmp_path / "a.usda")
    assert not list(tmp_path.iterdir())


def test_an_asset_as_glb(tmp_path: Path):
    save_asset(one_of_everything(), tmp_path / "a.glb")
    assert (tmp_path / "a.glb").read_bytes()[:4] == b"glTF"


def test_without_openusd_the_extra_is_named(tmp_path: Path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pxr.Usd", None)
    for call in (lambda: read_usd(tmp_path / "a.usda"), lambda: write_usd(one_of_everything(), tmp_path / "a.usda")):
        with pytest.raises(ConfigError, match=r'pip install -e "\.\[twin\]"'):
            call()


@pytest.mark.slow
def test_newton_reads_the_same_numbers(tmp_path: Path):
    """Another engine's importer: masses, friction, limits and gains of what we wrote. Its kernels take long to compile, once."""
    newton = pytest.importorskip("newton")
    pytest.importorskip("newton_usd_schemas")
    path = tmp_path / "a.usda"
    write_usd(one_of_everything(), path)
    built = newton.ModelBuilder()
    told = built.add_usd(str(path), skip_mesh_approximation=True)
    asset, top = one_of_everything(), "/one_of_everything"
    bodies = told["path_body_map"]
    assert built.body_mass[bodies[f"{top}/base"]] == pytest.approx(asset.body("base").mass.value, rel=1e-6)
    assert built.body_mass[bodies[f"{top}/arm_lower_2"]] == pytest.approx(0.5, rel=1e-6)
    shape = told["path_shape_map"][f"{top}/base/box"]
    assert built.shape_material_mu[shape] == pytest.approx(asset.material("brushed steel").friction.value, rel=1e-6)
    for name in ("shoulder", "rail"):
        dof = built.joint_qd_start[told["path_joint_map"][f"{top}/joints/{name}"]]
        joint = asset.joint(name)
        limits = (built.joint_limit_lower[dof], built.joint_limit_upper[dof])
        assert limits == pytest.approx([limit.value for limit in joint.limits], rel=1e-6)
        assert built.joint_target_ke[dof] == pytest.approx(joint.drive.stiffness.value, rel=1e-6)


def test_openusd_reads_the_same_numbers(tmp_path: Path):
    write_usd(one_of_everything(), tmp_path / "a.usdc")
    stage = Usd.Stage.Open(str(tmp_path / "a.usdc"))
    hinge = stage.GetPrimAtPath("/one_of_everything/joints/shoulder")
    assert UsdPhysics.RevoluteJoint(hinge).GetLowerLimitAttr().Get() == pytest.approx(math.degrees(-1.23456789))
    assert UsdPhysics.DriveAPI(hinge, "angular").GetStiffnessAttr().Get() == pytest.approx(math.radians(123.456789))
    ground = stage.GetPrimAtPath("/one_of_everything/ground")
    assert not ground.HasAPI(UsdPhysics.RigidBodyAPI) and stage.GetPrimAtPath("/one_of_everything/loose").HasAPI(UsdPhysics.RigidBodyAPI)
    assert isinstance(read_usd(tmp_path / "a.usdc").body("arm/lower").shapes[0].geometry, Mesh)
