"""Real OpenUSD files: every one loads or says what is unsupported, and some numbers are what OpenUSD itself says."""

import math
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pxr import Usd, UsdGeom, UsdPhysics, UsdValidation

from armillary.core import DataError
from armillary.worlds.twin.asset import Asset
from armillary.worlds.twin.usd_read import read_usd
from armillary.worlds.twin.usd_write import write_usd
from tests.worlds.twin.usd_assets import assert_same

# What is refused, and which word of the message names the reason.
REFUSED = {
    "mpm_sand.usda": "Points has no counterpart",
    "empty.usda": "a mesh without points or faces",
    "complex_transform.usda": "_common/axis.usda",
    "matrix_transform.usda": "_common/axis.usda",
    "scopes_and_xforms_nested.usda": "_common/axis.usda",
    "simple_transform.usda": "_common/axis.usda",
    "weird_matrix_transform.usda": "_common/axis.usda",
    "xforms_nested.usda": "_common/axis.usda",
}


@pytest.fixture(scope="module")
def files(real_data: Path) -> list[Path]:
    folder = real_data / "sim_assets"
    if not folder.is_dir():
        pytest.skip(f"real assets are not at {folder}")
    return sorted(path for path in folder.rglob("*") if path.suffix in (".usd", ".usda", ".usdc", ".usdz"))


@pytest.fixture(scope="module")
def newton(files: list[Path]) -> Path:
    return next(path.parent for path in files if path.name == "cartpole.usda")


def test_every_file_loads_or_says_what_is_unsupported(files: list[Path]):
    assert len(files) > 40
    refused = {}
    for path in files:
        try:
            asset = read_usd(path)
            assert any(body.shapes for body in asset.bodies), path
        except DataError as error:
            refused[path.name] = str(error)
            assert str(path) in str(error)
    assert {name: message for name, message in refused.items() if REFUSED.get(name, "\0") not in message} == {}
    assert set(refused) == set(REFUSED)


def test_what_was_read_is_written_and_read_again(files: list[Path], tmp_path: Path):
    """And OpenUSD's validators find no error in it."""
    context = UsdValidation.ValidationContext(UsdValidation.ValidationRegistry().GetOrLoadAllValidators())
    for number, path in enumerate(path for path in files if path.name not in REFUSED):
        asset = read_usd(path)
        copy = tmp_path / f"{number}.usda"
        write_usd(asset, copy)
        assert_same(replace(asset, source="", metres_per_unit=1.0, up_axis="Z"), replace(read_usd(copy), source=""), path.name, 3e-6)
        assert [error.GetErrorAsString() for error in context.Validate(Usd.Stage.Open(str(copy)))] == [], path


@pytest.mark.parametrize("name", ["cartpole.usda", "ant.usda", "humanoid.usda"])
def test_robots_are_what_openusd_says(newton: Path, name: str):
    asset = read_usd(newton / name)
    stage = Usd.Stage.Open(str(newton / name))
    prims = list(stage.Traverse())
    bodies = {prim.GetName(): prim for prim in prims if prim.HasAPI(UsdPhysics.RigidBodyAPI)}
    assert {body.name for body in asset.bodies} == set(bodies)
    cache = UsdGeom.XformCache()
    for body in asset.bodies:
        prim = bodies[body.name]
        mass = UsdPhysics.MassAPI(prim).GetMassAttr().Get() if prim.HasAPI(UsdPhysics.MassAPI) else 0.0
        assert (body.mass.value if body.mass else 0.0) == pytest.approx(mass)
        place = cache.GetLocalToWorldTransform(prim).ExtractTranslation()
        np.testing.assert_allclose(body.pose.position, place, atol=2e-4)
    kinds = Counter(prim.GetTypeName() for prim in prims if prim.IsA(UsdPhysics.Joint))
    found = Counter(joint.kind for joint in asset.joints)
    assert found == {
        kind: kinds[usd]
        for kind, usd in (("hinge", "PhysicsRevoluteJoint"), ("slide", "PhysicsPrismaticJoint"), ("fixed", "PhysicsFixedJoint"))
        if kinds[usd]
    }
    for prim in prims:
        if prim.IsA(UsdPhysics.RevoluteJoint) or prim.IsA(UsdPhysics.PrismaticJoint):
            unit = math.radians(1.0) if prim.IsA(UsdPhysics.RevoluteJoint) else 1.0
            ends = [prim.GetAttribute(f"physics:{end}Limit").Get() for end in ("lower", "upper")]
            limits = asset.joint(prim.GetName()).limits
            if math.isfinite(ends[0]):
                np.testing.assert_allclose([limit.value for limit in limits], np.array(ends) * unit, rtol=1e-6)
            else:
                assert limits is None


def test_the_cartpole_by_hand(newton: Path):
    """The numbers that its text shows: boxes are scaled by the bodies that they are in, and so are the anchors of the joints."""
    asset: Asset = read_usd(newton / "cartpole.usda")
    assert [body.name for body in asset.from_root()] == ["rail", "cart", "pole1", "pole2"]
    sizes = {body.name: body.shapes[0].geometry.half_sizes for body in asset.bodies}
    np.testing.assert_allclose(sizes["rail"], (0.015, 4.0, 0.015), rtol=1e-6)
    np.testing.assert_allclose(sizes["cart"], (0.1, 0.125, 0.1), rtol=1e-6)
    np.testing.assert_allclose(sizes["pole2"], (0.02, 0.03, 0.5), rtol=1e-6)
    np.testing.assert_allclose([moment.value for moment in asset.body("cart").inertia.moments], (0.0085, 0.0067, 0.0085), rtol=1e-6)
    np.testing.assert_allclose(asset.joint("cartPoleJoint").frame.position, (0.11, 0.0, 0.0), atol=1e-7)
    np.testing.assert_allclose(asset.joint("cartPoleJoint").frame.rotation() @ (0, 0, 1), (1, 0, 0), atol=1e-7)
    np.testing.assert_allclose(asset.joint("railCartJoint").frame.rotation() @ (0, 0, 1), (0, 1, 0), atol=1e-7)
    assert [limit.value for limit in asset.joint("railCartJoint").limits] == [-4.0, 4.0]


def test_the_humanoids_knuckles_are_named(newton: Path):
    notes = "\n".join(read_usd(newton / "humanoid.usda").notes)
    for name in ("lower_waist", "right_thigh", "left_thigh", "right_foot", "left_foot", "right_upper_arm", "left_upper_arm"):
        assert re.search(rf"/nv_humanoid/joints/{name}\b.*no counterpart", notes), name


def test_a_loop_of_four_bars_is_opened_in_one_place(newton: Path):
    asset = read_usd(newton / "boxes_fourbar.usda")
    assert sum("closes a loop" in note for note in asset.notes) == 1
    assert sorted(joint.kind for joint in asset.joints) == ["fixed", "hinge", "hinge", "hinge"]
