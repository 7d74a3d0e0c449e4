"""Assets written as MJCF: MuJoCo reads them, and they come back with the numbers that MJCF has words for."""

from dataclasses import replace
from pathlib import Path

import mujoco
import numpy as np
import pytest

from armillary.core import DataError
from armillary.worlds.twin.asset import Asset, Body, Shape
from armillary.worlds.twin.asset_files import load_asset, save_asset
from armillary.worlds.twin.geometry import Box
from armillary.worlds.twin.mass import mass_matrix
from armillary.worlds.twin.objects.families import make
from armillary.worlds.twin.robots.arm import arm
from armillary.worlds.twin.robots.wheeled import wheeled_robot

ASSETS = {
    "arm": arm,
    "robot": wheeled_robot,
    "mug": lambda: make("mug", 0),
    "cabinet": lambda: make("cabinet", 1),
    "banana": lambda: make("banana", 2),
}


@pytest.fixture(scope="module", params=ASSETS)
def both(request, tmp_path_factory) -> tuple[Asset, Asset, Path]:
    asset, file = ASSETS[request.param](), tmp_path_factory.mktemp("mjcf") / f"{request.param}.xml"
    save_asset(asset, file)
    return asset, load_asset(file), file


def test_bodies_come_back_with_place_mass_and_inertia(both):
    asset, read, _ = both
    assert [body.name for body in read.bodies] == [body.name for body in asset.from_root()]
    for body in asset.bodies:
        again = read.body(body.name)
        np.testing.assert_allclose(again.pose.matrix(), body.pose.matrix(), atol=1e-5)
        mine, theirs = mass_matrix(asset, body), mass_matrix(read, again)
        if mine is not None and asset.joint_to(body.name) is not None and asset.joint_to(body.name).kind != "fixed":
            for ours, others in zip(mine, theirs, strict=True):
                np.testing.assert_allclose(others, ours, rtol=1e-4, atol=1e-8)


def test_joints_come_back_with_limits_and_drives(both):
    asset, read, _ = both
    for joint in asset.joints:
        if joint.kind == "fixed":
            continue
        again = read.joint(joint.name)
        assert (again.kind, again.parent, again.child) == (joint.kind, joint.parent, joint.child)
        if joint.kind != "ball":
            np.testing.assert_allclose(again.frame.rotation()[:, 2], joint.frame.rotation()[:, 2], atol=1e-5)
        for name in ("damping", "friction", "armature"):
            mine, theirs = getattr(joint, name), getattr(again, name)
            assert (theirs.value if theirs else 0.0) == pytest.approx(mine.value if mine else 0.0, rel=1e-5)
        assert (again.limits is None) == (joint.limits is None)
        if joint.limits:
            assert [limit.value for limit in again.limits] == pytest.approx([limit.value for limit in joint.limits], rel=1e-5, abs=1e-6)
        if joint.drive:
            assert again.drive.stiffness.value == pytest.approx(joint.drive.stiffness.value, rel=1e-5)
            assert again.drive.damping.value == pytest.approx(joint.drive.damping.value)
            assert again.drive.max_force.value == pytest.approx(joint.drive.max_force.value)


def test_shapes_come_back_with_role_colour_and_friction(both):
    asset, read, _ = both
    for body in asset.bodies:
        for mine, theirs in zip(body.shapes, read.body(body.name).shapes, strict=True):
            assert theirs.role == mine.role
            ours, others = asset.material(mine.material), read.material(theirs.material)
            np.testing.assert_allclose(others.colour, ours.colour, atol=1e-4)
            if mine.role != "visual" and ours.friction is not None:
                assert others.friction.value == pytest.approx(ours.friction.value, rel=1e-5)


def test_mujoco_simulates_the_file_by_itself(both):
    _, _, file = both
    model = mujoco.MjModel.from_xml_path(str(file))
    data = mujoco.MjData(model)
    mujoco.mj_step(model, data, 50)
    assert np.isfinite(data.qpos).all()


def test_an_unknown_mass_is_refused_and_nothing_is_written(tmp_path):
    bare = Asset(name="bare", bodies=(Body(name="body", shapes=(Shape(name="box", geometry=Box((0.1, 0.1, 0.1))),)),))
    with pytest.raises(DataError, match=r"body 'body' moves, but neither its mass"):
        save_asset(bare, tmp_path / "bare.xml")
    assert not list(tmp_path.iterdir())


def test_names_keep_their_slashes(tmp_path):
    odd = replace(make("die", 0), name="asset")
    save_asset(odd, tmp_path / "die.xml")
    assert load_asset(tmp_path / "die.xml").name == "asset"
