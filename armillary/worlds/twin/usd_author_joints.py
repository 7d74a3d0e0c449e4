"""Joints, their limits and their motors as OpenUSD has them: degrees, and a frame in each of the two bodies."""

import math

from pxr import Gf, Sdf, Usd, UsdPhysics

from armillary.worlds.twin.asset import WORLD, Asset, Joint
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.usd_kept import keep, keep_text
from armillary.worlds.twin.usd_names import KEPT

_CLASSES = {
    "fixed": UsdPhysics.FixedJoint,
    "hinge": UsdPhysics.RevoluteJoint,
    "slide": UsdPhysics.PrismaticJoint,
    "ball": UsdPhysics.SphericalJoint,
    "free": UsdPhysics.Joint,
}


def author_joints(stage: Usd.Stage, asset: Asset, paths: dict[str, Sdf.Path], bodies: dict[str, Usd.Prim]) -> None:
    """Write every joint of the asset at its path; `bodies` are the prims by name."""
    for joint in asset.joints:
        written = _CLASSES[joint.kind].Define(stage, paths[joint.name])
        prim = written.GetPrim()
        keep_text(prim, "name", joint.name)
        for name, relation, position, turn in (
            (joint.parent, written.CreateBody0Rel, written.CreateLocalPos0Attr, written.CreateLocalRot0Attr),
            (joint.child, written.CreateBody1Rel, written.CreateLocalPos1Attr, written.CreateLocalRot1Attr),
        ):
            frame = joint.frame
            if name != WORLD:
                relation().SetTargets([bodies[name].GetPath()])
                frame = asset.body(name).pose.inverse().then(frame)
            position(Gf.Vec3f(*frame.position))
            turn(turn_f(frame))
        if joint.kind in ("hinge", "slide", "ball"):
            written.CreateAxisAttr(UsdPhysics.Tokens.z)
        _limits(written, joint)
        _drive(prim, joint)
        for field in ("damping", "friction", "armature"):
            keep(prim, field, getattr(joint, field))


def turn_f(pose: Pose) -> Gf.Quatf:
    """A pose's turn in single precision."""
    w, x, y, z = pose.turn
    return Gf.Quatf(w, x, y, z)


def _limits(written: UsdPhysics.Joint, joint: Joint) -> None:
    if joint.limits is None:
        return
    low, high = joint.limits
    keep(written.GetPrim(), "lower_limit", low)
    keep(written.GetPrim(), "upper_limit", high)
    if joint.kind == "ball":
        written.CreateConeAngle0LimitAttr(math.degrees(high.value))
        written.CreateConeAngle1LimitAttr(math.degrees(high.value))
    elif joint.kind in ("hinge", "slide"):
        turning = joint.kind == "hinge"
        written.CreateLowerLimitAttr(math.degrees(low.value) if turning else low.value)
        written.CreateUpperLimitAttr(math.degrees(high.value) if turning else high.value)


def _drive(prim: Usd.Prim, joint: Joint) -> None:
    """Of a joint that OpenUSD cannot drive only the custom data is written."""
    drive = joint.drive
    if drive is None:
        return
    keep(prim, "drive_stiffness", drive.stiffness)
    keep(prim, "drive_damping", drive.damping)
    keep(prim, "drive_max_force", drive.max_force)
    prim.SetCustomDataByKey(f"{KEPT}:drive_target", float(drive.target))
    if joint.kind not in ("hinge", "slide"):
        return
    turning = joint.kind == "hinge"
    unit = math.radians(1.0) if turning else 1.0  # N m for a degree is less than for a radian
    api = UsdPhysics.DriveAPI.Apply(prim, "angular" if turning else "linear")
    api.CreateTypeAttr("force")
    api.CreateStiffnessAttr(drive.stiffness.value * unit)
    api.CreateDampingAttr(drive.damping.value * unit)
    api.CreateTargetPositionAttr(drive.target / unit)
    if drive.max_force is not None:
        api.CreateMaxForceAttr(drive.max_force.value)
