"""A stage as an asset: its prims are walked once, sorted by what they are, and then read in the order in which they need one another."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float64
from pxr import Tf, Usd, UsdGeom, UsdPhysics, UsdShade

from armillary.core import ConfigError, DataError
from armillary.worlds.twin.asset import WORLD, Asset, Joint
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.usd_body import Reader
from armillary.worlds.twin.usd_geometry import columns, rigid
from armillary.worlds.twin.usd_joints import End, Found, read_joint
from armillary.worlds.twin.usd_kept import text
from armillary.worlds.twin.usd_materials import Materials
from armillary.worlds.twin.usd_names import KEPT, Notes, prim_name
from armillary.worlds.twin.usd_notes import note_prim
from armillary.worlds.twin.usd_tree import Link, grow

_UPRIGHT = Pose.about((1.0, 0.0, 0.0), np.pi / 2)  # y becomes z
STATIC = "static"  # the body of what belongs to none, in a file that has bodies


@dataclass(kw_only=True)
class _Prims:
    """The prims of a stage by what they are."""

    bodies: list[Usd.Prim] = field(default_factory=list)
    shapes: list[Usd.Prim] = field(default_factory=list)
    joints: list[Usd.Prim] = field(default_factory=list)
    materials: list[Usd.Prim] = field(default_factory=list)


def asset_of(stage: Usd.Stage, path: Path) -> Asset:
    """The asset of a stage that was read from `path`. Errors as of `read_usd`."""
    try:
        return _Stage(stage, path).asset()
    except (ConfigError, DataError) as error:
        raise DataError(f"{path}: {error}") from error
    except (TypeError, ValueError, Tf.ErrorException) as error:
        raise DataError(f"{path}: an attribute in it is not of the type that OpenUSD gives it ({error}); run usdchecker on it") from error


class _Stage:
    def __init__(self, stage: Usd.Stage, path: Path):
        self.stage, self.path, self.notes = stage, path, Notes()
        self.metres, self.kilograms = UsdGeom.GetStageMetersPerUnit(stage), UsdPhysics.GetStageKilogramsPerUnit(stage)
        if not (0 < self.metres < np.inf and 0 < self.kilograms < np.inf):
            raise DataError(f"metersPerUnit and kilogramsPerUnit must be > 0, received {self.metres} and {self.kilograms}")
        self.turned = Pose() if UsdGeom.GetStageUpAxis(stage) == "Z" else _UPRIGHT
        self.cache = UsdGeom.XformCache(Usd.TimeCode.EarliestTime())
        self.prims = self._sorted()

    def asset(self) -> Asset:
        self._note_stage()
        root = self.stage.GetDefaultPrim()
        name = (text(root, "name") or root.GetName()) if root else self.path.stem
        materials = Materials(self.prims.materials, self.kilograms / self.metres**3, self.notes)
        reader = Reader(self.metres, self.kilograms, materials, self.notes)
        names = self._body_names(name)
        rigids = {body: self._rigid(prim) for prim, body in names.items()}
        poses = {body: pose for body, (pose, _) in rigids.items()}
        shapes = self._shapes(reader, names, poses)
        bodies = [
            reader.body(self.stage.GetPrimAtPath(prim) if prim else None, body, shapes.get(prim, ()), rigids[body][1])
            for prim, body in names.items()
        ]
        joints, placed = grow(self._links(names, poses), poses, self.notes)
        joints += self._anchors(names, placed, joints)
        bodies = [replace(body, pose=placed[body.name]) for body in bodies]
        if not bodies:
            raise DataError("there is nothing in it that an asset can hold. " + "; ".join(self.notes.lines()))
        asset = Asset(
            name=name,
            bodies=tuple(bodies),
            joints=joints,
            materials=materials.all(),
            label=reader.label(root) if root and str(root.GetPath()) not in names else "",
            metres_per_unit=self.metres if UsdGeom.StageHasAuthoredMetersPerUnit(self.stage) else None,
            up_axis=str(UsdGeom.GetStageUpAxis(self.stage)) if self.stage.HasAuthoredMetadata("upAxis") else None,
            source=str(self.path),
        )
        asset = reader.with_centres(asset)
        return replace(asset, notes=self.notes.lines())

    def _sorted(self) -> _Prims:
        found = _Prims()
        walk = iter(Usd.PrimRange.Stage(self.stage, Usd.TraverseInstanceProxies(Usd.PrimDefaultPredicate)))
        for prim in walk:
            if prim.HasAPI(UsdPhysics.RigidBodyAPI) or prim.GetCustomDataByKey(f"{KEPT}:body"):
                found.bodies.append(prim)
            if prim.IsA(UsdPhysics.Joint):
                found.joints.append(prim)
            elif prim.IsA(UsdShade.Material):
                found.materials.append(prim)
            elif prim.IsA(UsdGeom.Gprim):
                found.shapes.append(prim)
            if note_prim(prim, self.notes):
                walk.PruneChildren()
        return found

    def _note_stage(self) -> None:
        root = self.stage.GetPseudoRoot().GetPath()
        for error in self.stage.GetCompositionErrors():
            self.notes.add(root, f"OpenUSD could not put it together whole: {str(error)[:300]}")
        if not UsdGeom.StageHasAuthoredMetersPerUnit(self.stage):
            self.notes.add(root, f"metersPerUnit is not given, which OpenUSD reads as {self.metres:g}")

    def _body_names(self, asset: str) -> dict[str, str]:
        """Names of bodies by the paths of their prims; "" is the body of what belongs to no prim."""
        taken: set[str] = set()
        names = {str(prim.GetPath()): prim_name(str(prim.GetPath()), taken, text(prim, "name")) for prim in self.prims.bodies}
        if any(self._holder(prim, names) == "" for prim in self.prims.shapes):
            if names:
                self.notes.add(
                    self.stage.GetPseudoRoot().GetPath(), f"what belongs to no rigid body is the body {STATIC!r}, which stands still"
                )
            else:
                self.notes.add(self.stage.GetPseudoRoot().GetPath(), "nothing in it is a rigid body: all of it is one body")
            names[""] = prim_name(STATIC if names else asset, taken)
        return names

    def _holder(self, prim: Usd.Prim, names: dict[str, str]) -> str:
        """The path of the nearest body that a prim is part of."""
        while prim and str(prim.GetPath()) not in names:
            prim = prim.GetParent()
        return str(prim.GetPath()) if prim else ""

    def _matrix(self, prim: Usd.Prim) -> Float64[np.ndarray, "4 4"]:
        """asset_from_prim, with every scale in it: a unit of the prim becomes metres."""
        turned = self.turned.matrix()
        turned[:3, :3] *= self.metres
        placed = columns(self.cache.GetLocalToWorldTransform(prim))
        if not np.isfinite(placed).all():
            raise DataError(f"{prim.GetPath()}: its transform must be finite, received {placed.tolist()}")
        return turned @ placed

    def _rigid(self, prim: str) -> tuple[Pose, Float64[np.ndarray, "3 3"]]:
        """asset_from_prim without its stretch, and the stretch; "" is the world."""
        if not prim:
            return Pose(), np.eye(3)
        found = rigid(self._matrix(self.stage.GetPrimAtPath(prim)))
        if found is None:
            raise DataError(f"{prim}: the transform of a body must not flatten it or be a projection")
        return found

    def _shapes(self, reader: Reader, names: dict[str, str], poses: dict[str, Pose]) -> dict[str, tuple]:
        found: dict[str, list] = {}
        for prim in self.prims.shapes:
            holder = self._holder(prim, names)
            body_from_prim = poses[names[holder]].inverse().matrix() @ self._matrix(prim)
            shape = reader.shape(prim, body_from_prim, {one.name for one in found.get(holder, [])}, holder)
            if shape is not None:
                found.setdefault(holder, []).append(shape)
        if "" in names and "" not in found:
            del names[""]
        return {holder: tuple(shapes) for holder, shapes in found.items()}

    def _links(self, names: dict[str, str], poses: dict[str, Pose]) -> list[Link]:
        taken: set[str] = set()
        links = []
        for prim in self.prims.joints:
            found = read_joint(prim, self.metres, self.kilograms, self.notes)
            if found is None:
                continue
            ends = tuple(self._body_at(end, names) for end in found.ends)
            if ends[0] == ends[1]:
                self.notes.add(prim.GetPath(), f"a joint of {ends[0] or 'what stands still'} with itself, so it is left out")
                continue
            name = prim_name(str(prim.GetPath()), taken, text(prim, "name"))
            links.append(
                Link(joint=_unplaced(found, name), path=str(prim.GetPath()), ends=ends, frames=tuple(map(self._frame, found.ends)))
            )
        return links

    def _body_at(self, end: End, names: dict[str, str]) -> str:
        holder = self._holder(self.stage.GetPrimAtPath(end.prim), names) if end.prim else ""
        return names[holder] if holder else WORLD

    def _frame(self, end: End) -> Pose:
        """asset_from_joint, as one end of it sees it."""
        if not end.prim:
            position = self.turned.apply(np.array(end.position) * self.metres)
            return Pose(tuple(position), self.turned.then(end.turn).turn)
        matrix = self._matrix(self.stage.GetPrimAtPath(end.prim))
        return Pose(tuple((matrix @ np.array([*end.position, 1.0]))[:3]), self._rigid(end.prim)[0].then(end.turn).turn)

    def _anchors(self, names: dict[str, str], placed: dict[str, Pose], joints: tuple[Joint, ...]) -> tuple[Joint, ...]:
        """Joints to the world for what the file says stands still."""
        held, taken = {joint.child for joint in joints}, {joint.name for joint in joints}
        found = []
        for prim, body in names.items():
            still = len(names) > 1 if prim == "" else _stands_still(self.stage.GetPrimAtPath(prim), self.notes)
            if still and body not in held:
                found.append(Joint(name=prim_name(f"{body}_to_world", taken), kind="fixed", child=body, frame=placed[body]))
        return tuple(found)


def _stands_still(prim: Usd.Prim, notes: Notes) -> bool:
    body = UsdPhysics.RigidBodyAPI(prim)
    if not prim.HasAPI(UsdPhysics.RigidBodyAPI):
        return False
    if body.GetKinematicEnabledAttr().Get():
        notes.add(prim.GetPath(), "a kinematic body: how it moves is not carried over, so it stands still here")
        return True
    return not body.GetRigidBodyEnabledAttr().Get()


def _unplaced(found: Found, name: str) -> Joint:
    """Its child and frame are decided once all joints are known."""
    return Joint(
        name=name,
        kind=found.kind,
        child="",
        limits=found.limits,
        damping=found.damping,
        friction=found.friction,
        armature=found.armature,
        drive=found.drive,
    )
