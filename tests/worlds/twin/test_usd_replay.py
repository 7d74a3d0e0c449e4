"""Replays in OpenUSD: every body and camera where it was, by OpenUSD's own evaluation, and nothing for its validators to find."""

import math
from pathlib import Path

import numpy as np
import pytest
from pxr import Usd, UsdGeom, UsdLux, UsdPhysics, UsdValidation

from armillary.core import DataError, StorageError
from armillary.worlds.twin.asset import Asset, Body, Joint, Material, Shape
from armillary.worlds.twin.geometry import Box, Plane, Sphere
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.scene import Camera, Light, Placed, Scene
from armillary.worlds.twin.usd_replay import write_replay

FRAMES = 12


def arm() -> Asset:
    """Two bodies and the hinge between them; a name that OpenUSD does not allow."""
    red = Material(name="red", colour=(1.0, 0.0, 0.0, 1.0))
    shape = Shape(name="s", geometry=Box((0.1, 0.2, 0.3)), pose=Pose((0.0, 0.0, 0.3)), material="red")
    bodies = (Body(name="lower part", shapes=(shape,), label="link"), Body(name="hand", shapes=(Shape(name="s", geometry=Sphere(0.1)),)))
    return Asset(
        name="arm", bodies=bodies, materials=(red,), joints=(Joint(name="elbow", kind="hinge", parent="lower part", child="hand"),)
    )


def ground() -> Asset:
    return Asset(name="ground", bodies=(Body(name="floor", shapes=(Shape(name="s", geometry=Plane()),)),))


def scene() -> Scene:
    tilted = Camera.looking("front", at=(0.0, 0.0, 0.5), eye=(2.0, 1.0, 1.5), fov_y_deg=40.0)
    riding = Camera(name="wrist", pose=Pose.about((1.0, 2.0, 3.0), 0.7, (0.1, 0.0, 0.2)), on="arm 1/hand", fov_y_deg=70.0)
    lights = (
        Light(name="sun", direction=(0.3, -0.2, -1.0)),
        Light(name="lamp", position=(0.0, 1.0, 2.0), direction=(0.0, 0.0, 1.0), directional=False, shadows=False),
    )
    things = (Placed(name="ground", asset=ground()), Placed(name="arm 1", asset=arm(), pose=Pose((5.0, 5.0, 5.0)), moves=True))
    return Scene(name="two things", things=things, cameras=(tilted, riding), lights=lights)


def poses() -> dict[str, np.ndarray]:
    """The hand turns twice around while it moves: its quaternion must pass both signs."""
    hand = [Pose.about((1.0, 0.0, 1.0), 4 * math.pi * one / FRAMES, (0.1 * one, -0.2 * one, 1.0)).matrix() for one in range(FRAMES)]
    still = np.tile(Pose.about((0.0, 0.0, 1.0), 0.4, (1.0, 2.0, 3.0)).matrix(), (FRAMES, 1, 1))
    return {"ground/floor": np.tile(np.eye(4), (FRAMES, 1, 1)), "arm 1/lower part": still, "arm 1/hand": np.stack(hand)}


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    found = tmp_path_factory.mktemp("replay") / "episode.usda"
    write_replay(scene(), poses(), found, frames_per_second=20.0, wide=1.5)
    return found


@pytest.fixture(scope="module")
def stage(path: Path) -> Usd.Stage:
    return Usd.Stage.Open(str(path))


def world_from(stage: Usd.Stage, prim: str, frame: float) -> np.ndarray:
    """OpenUSD's matrices act on rows."""
    found = UsdGeom.Xformable(stage.GetPrimAtPath(prim)).ComputeLocalToWorldTransform(Usd.TimeCode(frame))
    return np.array(found).T


PRIMS = {
    "ground/floor": "/two_things/ground/floor",
    "arm 1/lower part": "/two_things/arm_1/lower_part",
    "arm 1/hand": "/two_things/arm_1/hand",
}


def test_every_body_is_where_it_was(stage: Usd.Stage):
    for name, matrices in poses().items():
        for frame, matrix in enumerate(matrices):
            np.testing.assert_allclose(world_from(stage, PRIMS[name], frame), matrix, atol=1e-12, err_msg=f"{name} at {frame}")


def test_between_two_pictures_a_body_takes_the_short_way(stage: Usd.Stage):
    axis = np.array([1.0, 0.0, 1.0])
    for frame in range(FRAMES - 1):
        halfway = Pose.about(tuple(axis), 4 * math.pi * (frame + 0.5) / FRAMES, (0.1 * (frame + 0.5), -0.2 * (frame + 0.5), 1.0))
        np.testing.assert_allclose(world_from(stage, PRIMS["arm 1/hand"], frame + 0.5), halfway.matrix(), atol=1e-9)
    turns = UsdGeom.Xformable(stage.GetPrimAtPath(PRIMS["arm 1/hand"])).GetOrderedXformOps()[1]
    quaternions = [turns.Get(frame) for frame in range(FRAMES)]
    along = [one.GetReal() * two.GetReal() + one.GetImaginary() * two.GetImaginary() for one, two in zip(quaternions, quaternions[1:])]  # noqa: B905, RUF007
    assert min(along) > 0, "viewers that do not mind signs would turn the long way"


def test_cameras_stand_ride_and_look_as_in_the_scene(stage: Usd.Stage):
    front, wrist = scene().cameras
    for frame in (0, 7):
        np.testing.assert_allclose(world_from(stage, "/two_things/camera_front", frame), front.pose.matrix(), atol=1e-12)
        riding = poses()["arm 1/hand"][frame] @ wrist.pose.matrix()
        np.testing.assert_allclose(world_from(stage, "/two_things/camera_wrist", frame), riding, atol=1e-12)
    for camera in (front, wrist):
        seen = UsdGeom.Camera(stage.GetPrimAtPath(f"/two_things/camera_{camera.name}")).GetCamera(0)
        assert seen.GetFieldOfView(seen.FOVVertical) == pytest.approx(camera.fov_y_deg, rel=1e-5)
        assert seen.aspectRatio == pytest.approx(1.5)


def test_the_stage_says_when_and_moves_only_what_moves(stage: Usd.Stage):
    assert (stage.GetTimeCodesPerSecond(), stage.GetStartTimeCode(), stage.GetEndTimeCode()) == (20.0, 0.0, FRAMES - 1.0)
    assert UsdGeom.GetStageMetersPerUnit(stage) == 1.0 and UsdGeom.GetStageUpAxis(stage) == "Z"
    moving = {str(prim.GetPath()) for prim in stage.Traverse() if any(one.GetNumTimeSamples() for one in prim.GetAttributes())}
    assert moving == {PRIMS["arm 1/hand"], "/two_things/camera_wrist"}


def test_physics_engines_are_told_that_it_is_a_recording(stage: Usd.Stage):
    rigid = [prim for prim in stage.Traverse() if prim.HasAPI(UsdPhysics.RigidBodyAPI)]
    assert {prim.GetName() for prim in rigid} == {"lower_part", "hand"}
    assert all(UsdPhysics.RigidBodyAPI(prim).GetKinematicEnabledAttr().Get() for prim in rigid)
    assert not any(prim.IsA(UsdPhysics.Joint) or prim.HasAPI(UsdPhysics.ArticulationRootAPI) for prim in stage.Traverse())


def test_lights_shine_where_they_shone(stage: Usd.Stage):
    for light in scene().lights:
        prim = f"/two_things/light_{light.name}"
        along = world_from(stage, prim, 0)[:3, :3] @ (0.0, 0.0, -1.0)
        np.testing.assert_allclose(along, np.array(light.direction) / np.linalg.norm(light.direction), atol=1e-7)
        np.testing.assert_allclose(world_from(stage, prim, 0)[:3, 3], light.position)
        assert UsdLux.ShadowAPI(stage.GetPrimAtPath(prim)).GetShadowEnableAttr().Get() is light.shadows
    kinds = {prim.GetTypeName() for prim in stage.Traverse() if prim.HasAPI(UsdLux.LightAPI)}
    assert kinds == {"DistantLight", "SphereLight", "DomeLight"}


def test_openusds_validators_find_nothing(stage: Usd.Stage):
    context = UsdValidation.ValidationContext(UsdValidation.ValidationRegistry().GetOrLoadAllValidators())
    assert [error.GetErrorAsString() for error in context.Validate(stage)] == []


def test_the_same_replay_is_the_same_bytes_and_leaves_nothing_beside(path: Path, tmp_path: Path):
    write_replay(scene(), poses(), tmp_path / "again.usda", frames_per_second=20.0, wide=1.5)
    assert (tmp_path / "again.usda").read_bytes() == path.read_bytes()
    assert [file.name for file in tmp_path.iterdir()] == ["again.usda"]


def test_what_cannot_be_written_is_said(tmp_path: Path):
    less = {name: matrices for name, matrices in poses().items() if name != "arm 1/hand"}
    with pytest.raises(DataError, match="no poses of arm 1/hand; there are of: arm 1/lower part, ground/floor"):
        write_replay(scene(), less, tmp_path / "x.usda", frames_per_second=20.0)
    with pytest.raises(DataError, match=r"written as .usda, received '.usdz'"):
        write_replay(scene(), poses(), tmp_path / "x.usdz", frames_per_second=20.0)
    (tmp_path / "file").write_text("")
    with pytest.raises((StorageError, OSError)):
        write_replay(scene(), poses(), tmp_path / "file" / "x.usda", frames_per_second=20.0)
    assert [file.name for file in tmp_path.iterdir()] == ["file"]
