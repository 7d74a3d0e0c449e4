"""OpenUSD's joints as ours, one by one: what kind, about which axis, between which prims, with which limits and motor."""

import math
from dataclasses import dataclass

import numpy as np
from pxr import Gf, Usd, UsdPhysics

from armillary.core import DataError
from armillary.worlds.twin.asset import Drive
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.quantity import Quantity
from armillary.worlds.twin.usd_kept import kept, quantity
from armillary.worlds.twin.usd_names import AXES, KEPT, Notes

_KINDS = {
    "PhysicsFixedJoint": "fixed",
    "PhysicsRevoluteJoint": "hinge",
    "PhysicsPrismaticJoint": "slide",
    "PhysicsSphericalJoint": "ball",
}
_DEGREES = math.degrees(1.0)
_ENDLESS = 1e30  # OpenUSD says infinity; some writers, the largest number in single precision
_SLIDES, _TURNS = ("transX", "transY", "transZ"), ("rotX", "rotY", "rotZ")


@dataclass(frozen=True, kw_only=True)
class End:
    """Where a joint holds: the prim ("": the world), and prim_from_joint in units of the file and the prim's own scale."""

    prim: str
    position: tuple[float, float, float]
    turn: Pose


@dataclass(frozen=True, kw_only=True)
class Found:
    """A joint of the file; numbers are SI, `ends` are OpenUSD's body 0 and body 1."""

    prim: Usd.Prim
    kind: str
    ends: tuple[End, End]
    limits: tuple[Quantity, Quantity] | None = None
    damping: Quantity | None = None
    friction: Quantity | None = None
    armature: Quantity | None = None
    drive: Drive | None = None


@dataclass(frozen=True)
class _Freedom:
    """What a joint leaves free: where the file keeps its limits and its drive."""

    kind: str
    axis: str = "Z"
    low: str = ""
    high: str = ""
    drive: str = ""


def read_joint(prim: Usd.Prim, metres: float, kilograms: float, notes: Notes) -> Found | None:
    """The joint of a prim; None, and a note, where we have no such joint. `metres` and `kilograms` are those in one unit of the file."""
    joint = UsdPhysics.Joint(prim)
    if not joint.GetJointEnabledAttr().Get():
        notes.add(prim.GetPath(), "a joint that is switched off, so it is left out")
        return None
    freedom = _freedom(prim, notes)
    if freedom is None:
        return None
    ends = _ends(joint, AXES[freedom.axis], notes)
    if ends is None:
        return None
    if min(joint.GetBreakForceAttr().Get(), joint.GetBreakTorqueAttr().Get()) < _ENDLESS:
        notes.add(prim.GetPath(), "a joint that breaks; here it holds")
    # one unit of a force (or torque) for one unit of motion, and of the joint's own inertia
    turning = freedom.kind != "slide"
    force = kilograms * metres * (metres if turning else 1.0)
    motion = 1 / _DEGREES if turning else metres
    return Found(
        prim=prim,
        kind=freedom.kind,
        ends=ends,
        limits=_limits(prim, freedom, metres, notes),
        damping=_own(prim, "damping", {"newton:damping": force / motion, "mjc:damping": force * (1 if turning else 1 / metres)}, notes),
        friction=_own(prim, "friction", {"newton:friction": force, "mjc:frictionloss": force}, notes),
        armature=_own(
            prim,
            "armature",
            dict.fromkeys(("newton:armature", "mjc:armature", "physxJoint:armature"), kilograms * (metres**2 if turning else 1.0)),
            notes,
        ),
        drive=_drive(prim, freedom, force, motion, notes),
    )


def _freedom(prim: Usd.Prim, notes: Notes) -> _Freedom | None:
    kind = _KINDS.get(prim.GetTypeName())
    if kind is None:
        return _generic(prim, notes)
    axis = prim.GetAttribute("physics:axis").Get() if kind != "fixed" else "Z"
    if axis not in AXES:
        raise DataError(f"{prim.GetPath()}: physics:axis must be X, Y or Z, received {axis!r}")
    if kind == "ball":
        return _Freedom(kind, axis, "physics:coneAngle0Limit", "physics:coneAngle1Limit")
    if kind == "fixed":
        return _Freedom(kind)
    return _Freedom(kind, axis, "physics:lowerLimit", "physics:upperLimit", "angular" if kind == "hinge" else "linear")


def _generic(prim: Usd.Prim, notes: Notes) -> _Freedom | None:
    """A joint of six freedoms, each of which may be limited, or locked: by a lower limit above the upper one, or by two limits at 0."""
    ends = {name: tuple(prim.GetAttribute(f"limit:{name}:physics:{end}").Get() for end in ("low", "high")) for name in _limited(prim)}
    limits = {name: (low, high) for name, (low, high) in ends.items() if low > -_ENDLESS or high < _ENDLESS}
    locked = {name for name, (low, high) in limits.items() if low > high or low == high == 0}
    free = [name for name in (*_SLIDES, *_TURNS) if name not in locked]
    if prim.GetTypeName() == "PhysicsJoint" and "distance" not in limits:
        if not free:
            return _Freedom("fixed")
        if len(free) == 1:
            kind = "slide" if free[0] in _SLIDES else "hinge"
            return _Freedom(kind, free[0][-1], f"limit:{free[0]}:physics:low", f"limit:{free[0]}:physics:high", free[0])
        if not any(name in limits for name in free) and tuple(free) in (_TURNS, (*_SLIDES, *_TURNS)):
            return _Freedom("ball" if len(free) == 3 else "free")
    what = f"{prim.GetTypeName()} that leaves {', '.join(free)} free" if prim.GetTypeName() == "PhysicsJoint" else prim.GetTypeName()
    notes.add(prim.GetPath(), f"a {what} has no counterpart here: what it joins is left unjoined")
    return None


def _limited(prim: Usd.Prim) -> list[str]:
    return [api.split(":", 1)[1] for api in prim.GetAppliedSchemas() if api.startswith("PhysicsLimitAPI:")]


def _ends(joint: UsdPhysics.Joint, axis: Pose, notes: Notes) -> tuple[End, End] | None:
    """The two frames that the joint brings together, their z turned to its axis."""
    stage, path, found = joint.GetPrim().GetStage(), joint.GetPath(), []
    for body, position, turn in (
        (joint.GetBody0Rel(), joint.GetLocalPos0Attr(), joint.GetLocalRot0Attr()),
        (joint.GetBody1Rel(), joint.GetLocalPos1Attr(), joint.GetLocalRot1Attr()),
    ):
        targets = body.GetForwardedTargets()
        if len(targets) > 1 or (targets and not stage.GetPrimAtPath(targets[0])):
            notes.add(path, f"a joint to {', '.join(map(str, targets))}, which is not one prim of the file, so it is left out")
            return None
        prim = "" if not targets or targets[0] == path.absoluteRootPath else str(targets[0])
        found.append(End(prim=prim, position=_finite(path, position.Get()), turn=pose_of(path, turn.Get()).then(axis)))
    if found[0].prim == found[1].prim:
        notes.add(path, f"a joint of {found[0].prim or 'the world'} with itself, so it is left out")
        return None
    return found[0], found[1]


def _limits(prim: Usd.Prim, freedom: _Freedom, metres: float, notes: Notes) -> tuple[Quantity, Quantity] | None:
    """As the file has them: a lower one above the upper one locks an axis of a joint of six freedoms, but is a fault of any other joint,
    for `twin check` to find."""
    path, unit = prim.GetPath(), metres if freedom.kind == "slide" else 1 / _DEGREES
    if not freedom.low or not prim.GetAttribute(freedom.low) or not prim.GetAttribute(freedom.high):
        low, high = kept(prim, "lower_limit", notes), kept(prim, "upper_limit", notes)
        return None if low is None or high is None else (low, high)
    low, high = (float(prim.GetAttribute(name).Get()) for name in (freedom.low, freedom.high))
    if freedom.kind == "ball":
        if low < 0 and high < 0:
            return None
        if low != high:
            notes.add(path, f"a ball joint's cone of {low:g} by {high:g} degrees: only round ones are taken over, so it has no limit here")
            return None
        lower = kept(prim, "lower_limit", notes) or Quantity(0.0, "datasheet")
        return lower, quantity(prim, "upper_limit", high * unit, notes)
    if low <= -_ENDLESS and high >= _ENDLESS:
        return None
    if low <= -_ENDLESS or high >= _ENDLESS:
        notes.add(path, f"a limit on one side only ({low:g} to {high:g}): it has none here")
        return None
    return quantity(prim, "lower_limit", low * unit, notes), quantity(prim, "upper_limit", high * unit, notes)


def _drive(prim: Usd.Prim, freedom: _Freedom, force: float, motion: float, notes: Notes) -> Drive | None:
    """`force` and `motion` are SI in one unit of the file. What other freedoms are driven by is noted."""
    path, driven = prim.GetPath(), [api.split(":", 1)[1] for api in prim.GetAppliedSchemas() if api.startswith("PhysicsDriveAPI:")]
    for name in driven:
        if name != freedom.drive:
            notes.add(path, f"a drive of {name}, which a {freedom.kind} joint does not have, is left out")
    if freedom.drive not in driven:
        stiffness, damping = kept(prim, "drive_stiffness", notes), kept(prim, "drive_damping", notes)
        if freedom.drive or stiffness is None or damping is None:
            return None
        limit = kept(prim, "drive_max_force", notes)
        return Drive(stiffness=stiffness, damping=damping, target=_kept_target(prim, None), max_force=limit)
    api = UsdPhysics.DriveAPI(prim, freedom.drive)
    if api.GetTypeAttr().Get() == "acceleration":
        notes.add(path, "a drive that commands acceleration, not force, so it is left out")
        return None
    if api.GetTargetVelocityAttr().Get():
        notes.add(path, f"a drive with a target speed of {api.GetTargetVelocityAttr().Get():g}: only target positions are taken over")
    limit = float(api.GetMaxForceAttr().Get())
    return Drive(
        stiffness=quantity(prim, "drive_stiffness", float(api.GetStiffnessAttr().Get()) * force / motion, notes),
        damping=quantity(prim, "drive_damping", float(api.GetDampingAttr().Get()) * force / motion, notes),
        target=_kept_target(prim, float(api.GetTargetPositionAttr().Get()) * motion),
        max_force=quantity(prim, "drive_max_force", limit * force, notes) if limit < _ENDLESS else None,
    )


def _kept_target(prim: Usd.Prim, authored: float | None) -> float:
    found = prim.GetCustomDataByKey(f"{KEPT}:drive_target")
    if isinstance(found, float) and (authored is None or math.isclose(found, authored, rel_tol=1e-6, abs_tol=1e-9)):
        return found
    return authored or 0.0


def _own(prim: Usd.Prim, field: str, elsewhere: dict[str, float], notes: Notes) -> Quantity | None:
    """What OpenUSD has no attribute for: as we keep it, else as another engine's attribute says, in its unit."""
    for name, unit in elsewhere.items():
        attribute = prim.GetAttribute(name)
        value = attribute.Get() if attribute and attribute.HasAuthoredValue() else None
        if isinstance(value, int | float):
            return quantity(prim, field, float(value) * unit, notes)
    if field == "friction" and prim.GetAttribute("physxJoint:jointFriction").HasAuthoredValue():
        notes.add(prim.GetPath(), "physxJoint:jointFriction is a share of the load and not a force, so it is not taken over")
    return kept(prim, field, notes)


def pose_of(path: object, turn: Gf.Quatf | Gf.Quatd) -> Pose:
    """A turn, brought to length 1. DataError if it has none."""
    parts = np.array([turn.GetReal(), *turn.GetImaginary()], dtype=np.float64)
    length = float(np.linalg.norm(parts))
    if not (math.isfinite(length) and length > 1e-6):
        raise DataError(f"{path}: a quaternion must have a length, received {parts.tolist()}")
    return Pose(turn=tuple(parts / length))


def _finite(path: object, position: Gf.Vec3f) -> tuple[float, float, float]:
    found = tuple(float(part) for part in position)
    if not all(map(math.isfinite, found)):
        raise DataError(f"{path}: a joint's position must be finite, received {found}")
    return found
