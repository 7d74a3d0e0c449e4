"""An episode as an OpenUSD stage: the scene, and where every body and camera is at each picture.

A recording, not a simulation: bodies are kinematic, which is OpenUSD's word for what follows its poses, and joints are left out, so that
a physics engine that opens the file moves nothing by itself.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float64
from pxr import Gf, Sdf, Tf, Usd, UsdGeom, UsdLux, UsdPhysics

from armillary.core import DataError
from armillary.core.storage import write_text
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.scene import Camera, Light, Placed, Scene
from armillary.worlds.twin.usd_author import child_path, stage_of
from armillary.worlds.twin.usd_kept import text
from armillary.worlds.twin.usd_names import KEPT

APERTURE = 24.0  # height of the picture in the camera, in the tenths of a unit that OpenUSD counts lenses in; only ratios matter
CLIPPING_M = (0.01, 1000.0)
# Strength 1 makes a white wall that faces the light white. It reflects 1 / pi of what falls on it.
SUN = math.pi
LAMP = 4.0 * math.pi * 2.0**2  # at 2 m: OpenUSD's lamps get weaker with distance, ours do not
LAMP_RADIUS_M = 0.05
_STILL = 1e-9  # metres, or parts of a rotation matrix, that count as no motion


def write_replay(
    scene: Scene,
    world_from_body: Mapping[str, Float64[np.ndarray, "t 4 4"]],
    path: Path,
    *,
    frames_per_second: float,
    wide: float = 1.0,
) -> None:
    """Write a .usda in metres, z up, one time code a picture; the file appears whole or not at all.

    `world_from_body` has the poses of every body of the scene by `thing/body`; `wide` is a picture's width by its height. What does not
    move has no time samples. DataError if a body has no poses or the path another suffix, StorageError where writing fails.
    """
    if path.suffix != ".usda":
        raise DataError(f"{path}: a replay is written as .usda, received {path.suffix!r}")
    for thing in scene.things:
        for body in thing.asset.bodies:
            if f"{thing.name}/{body.name}" not in world_from_body:
                known = ", ".join(sorted(world_from_body)) or "none"
                raise DataError(f"scene {scene.name!r}: there are no poses of {thing.name}/{body.name}; there are of: {known}")
    stage = _empty_stage(scene.name, max(map(len, world_from_body.values()), default=0), frames_per_second)
    root, taken = stage.GetDefaultPrim(), set()
    for thing in scene.things:
        _add_thing(stage, child_path(root, thing.name, taken), thing, world_from_body)
    for camera in scene.cameras:
        at = world_from_body[camera.on] if camera.on else np.eye(4)[None]
        _add_camera(stage, child_path(root, f"camera_{camera.name}", taken), camera, at @ camera.pose.matrix(), wide)
    _add_sky(stage, child_path(root, "sky", taken), scene)
    for light in scene.lights:
        _add_light(stage, child_path(root, f"light_{light.name}", taken), light)
    write_text(path, stage.GetRootLayer().ExportToString())


def _empty_stage(name: str, frames: int, frames_per_second: float) -> Usd.Stage:
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    UsdPhysics.SetStageKilogramsPerUnit(stage, 1.0)
    stage.SetTimeCodesPerSecond(frames_per_second)
    stage.SetFramesPerSecond(frames_per_second)
    stage.SetStartTimeCode(0)
    stage.SetEndTimeCode(max(frames - 1, 0))
    stage.SetDefaultPrim(UsdGeom.Xform.Define(stage, f"/{Tf.MakeValidIdentifier(name)}").GetPrim())
    return stage


def _add_thing(stage: Usd.Stage, path: Sdf.Path, thing: Placed, poses: Mapping[str, Float64[np.ndarray, "t 4 4"]]) -> None:
    """The asset as it is written alone, without its joints."""
    alone = stage_of(replace(thing.asset, joints=()))
    Sdf.CopySpec(alone.GetRootLayer(), alone.GetDefaultPrim().GetPath(), stage.GetRootLayer(), path)
    for prim in stage.GetPrimAtPath(path).GetChildren():
        if prim.GetCustomDataByKey(f"{KEPT}:body"):
            if prim.HasAPI(UsdPhysics.RigidBodyAPI):
                UsdPhysics.RigidBodyAPI(prim).CreateKinematicEnabledAttr(True)
            _move(prim, poses[f"{thing.name}/{text(prim, 'name')}"])


def _add_camera(stage: Usd.Stage, path: Sdf.Path, camera: Camera, poses: Float64[np.ndarray, "t 4 4"], wide: float) -> None:
    found = UsdGeom.Camera.Define(stage, path)
    found.CreateVerticalApertureAttr(APERTURE)
    found.CreateHorizontalApertureAttr(APERTURE * wide)
    found.CreateFocalLengthAttr(APERTURE / 2.0 / math.tan(math.radians(camera.fov_y_deg) / 2.0))
    found.CreateClippingRangeAttr(Gf.Vec2f(*CLIPPING_M))
    _move(found.GetPrim(), poses)


def _add_sky(stage: Usd.Stage, path: Sdf.Path, scene: Scene) -> None:
    """Its colour, as strong as the light that comes from everywhere."""
    dome = UsdLux.DomeLight.Define(stage, path)
    dome.CreateColorAttr(Gf.Vec3f(*scene.sky))
    dome.CreateIntensityAttr(scene.ambient)


def _add_light(stage: Usd.Stage, path: Sdf.Path, light: Light) -> None:
    if light.directional:
        found = UsdLux.DistantLight.Define(stage, path)
        found.CreateIntensityAttr(SUN)
    else:
        found = UsdLux.SphereLight.Define(stage, path)
        found.CreateIntensityAttr(LAMP)
        found.CreateRadiusAttr(LAMP_RADIUS_M)
    found.CreateNormalizeAttr(True)  # a larger lamp is not a brighter one
    found.CreateColorAttr(Gf.Vec3f(*light.colour))
    UsdLux.ShadowAPI.Apply(found.GetPrim()).CreateShadowEnableAttr(light.shadows)
    _move(found.GetPrim(), _shining(light).matrix()[None])


def _shining(light: Light) -> Pose:
    """world_from_light: OpenUSD's lights shine along their -z."""
    along = np.array(light.direction, dtype=np.float64) / np.linalg.norm(light.direction)
    axis = np.cross((0.0, 0.0, -1.0), along)
    axis = axis if np.linalg.norm(axis) > 1e-9 else np.array([1.0, 0.0, 0.0])
    return Pose.about(tuple(axis.tolist()), math.acos(min(max(float(-along[2]), -1.0), 1.0)), light.position)


def _move(prim: Usd.Prim, poses: Float64[np.ndarray, "t 4 4"]) -> None:
    """Place a prim for good or, if it moves, by a sample for each picture."""
    placed, double = UsdGeom.Xformable(prim), UsdGeom.XformOp.PrecisionDouble
    there, turned = placed.GetOrderedXformOps() or (placed.AddTranslateOp(double), placed.AddOrientOp(double))
    still, last = np.abs(poses - poses[0]).max() < _STILL, np.zeros(4)
    for frame, matrix in enumerate(poses[:1] if still else poses):
        pose = Pose.of_matrix(matrix)
        turn = np.array(pose.turn) * (-1.0 if np.dot(pose.turn, last) < 0 else 1.0)  # both signs are one turn; what is between is not
        when = () if still else (float(frame),)
        there.Set(Gf.Vec3d(*pose.position), *when)
        turned.Set(Gf.Quatd(*turn.tolist()), *when)
        last = turn
