"""Numbers of a scene that are looked for: where they stand in the scene, and how they reach a model that is compiled already."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from armillary.core import ConfigError
from armillary.worlds.twin.asset import Material
from armillary.worlds.twin.contact import contact
from armillary.worlds.twin.extra import needs
from armillary.worlds.twin.mass import mass_matrix
from armillary.worlds.twin.mujoco_compile import Compiled
from armillary.worlds.twin.quantity import Quantity
from armillary.worlds.twin.scene import Placed, Scene

# which part has such a number
_HOLDERS = {
    "mass": "body",
    "density": "material",
    "friction": "material",
    "restitution": "material",
    "damping": "joint",
    "armature": "joint",
    "stiffness": "joint",
}
KINDS = tuple(_HOLDERS)
_ABOVE_ZERO = ("mass", "density", "stiffness")  # a drive without stiffness is another kind of drive


@dataclass(frozen=True)
class Unknown:
    """A number that is looked for: the "mass" (kg) of `thing/body`, the "density" (kg/m3), "friction" or "restitution" of
    `thing/material`, the "damping" (N s/m, N m s/rad) or "armature" (kg, kg m2) of `thing/joint` or the "stiffness" (N/m, N m/rad) of its
    drive. ConfigError for another kind or a name without a slash.

    >>> str(Unknown("mass", "cup/body"))
    'mass of cup/body'
    """

    kind: str
    name: str

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ConfigError(f"an unknown must be one of {', '.join(KINDS)}, received {self.kind!r}")
        if "/" not in self.name:
            raise ConfigError(f"the {self.kind} that is looked for needs a name like 'thing/{_HOLDERS[self.kind]}', received {self.name!r}")

    def __str__(self) -> str:
        return f"{self.kind} of {self.name}"

    @property
    def thing(self) -> str:
        """The thing's name in the scene."""
        return self.name.partition("/")[0]

    def in_scene(self, scene: Scene) -> Quantity:
        """What the scene says of it. DataError if the scene has no such part, ConfigError if nobody gave a number or a range."""
        quantity = self.said(scene)
        if quantity is None or not quantity.low < quantity.high:
            said = "nobody gave one" if quantity is None else f"it is {quantity.value} without a range"
            raise ConfigError(
                f"the {self} is looked for between the low and the high of its Quantity, but {said}; "
                "give one: Quantity(guess, 'estimated', low=..., high=...)"
            )
        if quantity.low < 0 or (self.kind in _ABOVE_ZERO and quantity.low == 0):
            raise ConfigError(f"the {self} is looked for above {quantity.low}, which no {self.kind} can be; raise its Quantity's low")
        return quantity

    def said(self, scene: Scene) -> Quantity | None:
        """What the scene says of it, if anything. DataError if the scene has no such part."""
        part = self._part(scene.thing(self.thing))
        if self.kind == "stiffness":
            return part.drive.stiffness if part.drive else None
        return getattr(part, self.kind)

    def put(self, scene: Scene, quantity: Quantity) -> Scene:
        """The scene with this number in place of the one that it had. ConfigError for the stiffness of a joint without a drive."""
        thing, holder = scene.thing(self.thing), _HOLDERS[self.kind]
        old = self._part(thing)
        field = "bodies" if holder == "body" else f"{holder}s"
        if self.kind != "stiffness":
            changed = replace(old, **{self.kind: quantity})
        elif old.drive:
            changed = replace(old, drive=replace(old.drive, stiffness=quantity))
        else:
            raise ConfigError(f"there is no {self}: the joint has no drive")
        parts = tuple(changed if part is old else part for part in getattr(thing.asset, field))
        things = tuple(replace(one, asset=replace(one.asset, **{field: parts})) if one is thing else one for one in scene.things)
        return replace(scene, things=things)  # in its place: the order of things is the order of MuJoCo's numbers

    def _part(self, thing: Placed) -> Any:
        return getattr(thing.asset, _HOLDERS[self.kind])(self.name.partition("/")[2])


class Tunable:
    """A compiled scene whose unknowns are changed in MuJoCo's model itself. It then moves as one compiled anew does
    (`tests/worlds/twin/test_calibration.py`), for a small part of the time. The model is the caller's, and is changed."""

    def __init__(self, compiled: Compiled, unknowns: tuple[Unknown, ...]):
        self.compiled, self.unknowns, self._mujoco = compiled, unknowns, needs("mujoco")
        self._data = self._mujoco.MjData(compiled.model)
        rubbing = {unknown.name for unknown in unknowns if unknown.kind in ("friction", "restitution")}
        self._heavier = _heavier(compiled.scene, unknowns)
        self._pairs = [one for one in _pairs(compiled, self._mujoco) if rubbing & set(one[1:3])]

    def set(self, values: tuple[float, ...]) -> None:
        """Give every unknown its value (SI units), in their order."""
        model, scene = self.compiled.model, self.compiled.scene
        for unknown, value in zip(self.unknowns, values, strict=True):
            scene = unknown.put(scene, Quantity(value))
            if _HOLDERS[unknown.kind] == "joint":
                self._tune_joint(unknown, value)
        for thing, body in self._heavier:
            self._weigh(scene.thing(thing), body)
        self._mujoco.mj_setConst(model, self._data)  # what MuJoCo worked out from masses when it compiled
        model.stat.meaninertia = model.dof_M0.mean()  # what the solver's tolerance is a share of; setConst leaves it
        for number, first, second, ball in self._pairs:
            touch = contact(_material(scene, first), _material(scene, second), scene.seconds_per_substep, ball=ball)
            model.pair_friction[number], model.pair_solref[number] = touch.friction, touch.solref
            model.pair_solreffriction[number], model.pair_solimp[number] = touch.solreffriction, touch.solimp

    def _tune_joint(self, unknown: Unknown, value: float) -> None:
        model, joint = self.compiled.model, self.compiled.joints[unknown.name]
        if unknown.kind == "stiffness":
            drive = [name for name, _ in self.compiled.drives].index(unknown.name)
            model.actuator_gainprm[drive, 0], model.actuator_biasprm[drive, 1] = value, -value
            return
        numbers = model.dof_damping if unknown.kind == "damping" else model.dof_armature
        first = model.jnt_dofadr[joint]
        numbers[first : first + (3 if model.jnt_type[joint] == int(self._mujoco.mjtJoint.mjJNT_BALL) else 1)] = value

    def _weigh(self, thing: Placed, name: str) -> None:
        """As MuJoCo's compiler does: principal moments, the largest first, and the frame that they are about."""
        number, model = self.compiled.bodies[f"{thing.name}/{name}"], self.compiled.model
        weighed = mass_matrix(thing.asset, thing.asset.body(name))
        if weighed is None:
            return  # it stands still, else it would not have been compiled
        mass, centre, inertia = weighed
        model.body_mass[number], model.body_ipos[number] = mass, centre
        moments, turn = np.zeros(3), np.zeros(4)
        self._mujoco.mju_eig3(moments, np.zeros(9), turn, inertia.ravel())
        model.body_inertia[number], model.body_iquat[number] = moments, turn


def candidates(scene: Scene, things: Collection[str]) -> tuple[Unknown, ...]:
    """Every number of these things that can be looked for as the scene stands: somebody gave it, with a range."""
    found = []
    for thing in (one for one in scene.things if one.name in things):
        parts = {"body": thing.asset.bodies, "material": thing.asset.materials, "joint": thing.asset.joints}
        for kind, holder in _HOLDERS.items():
            for part in parts[holder]:
                unknown = Unknown(kind, f"{thing.name}/{part.name}")
                quantity = unknown.said(scene)
                if quantity is not None and quantity.high > quantity.low >= 0 and (quantity.low > 0 or kind not in _ABOVE_ZERO):
                    found.append(unknown)
    return tuple(found)


def _heavier(scene: Scene, unknowns: tuple[Unknown, ...]) -> tuple[tuple[str, str], ...]:
    """(thing, body) of every body whose weight an unknown changes."""
    found = []
    for thing in scene.things:
        masses = {one.name for one in unknowns if one.kind == "mass"}
        dense = {one.name for one in unknowns if one.kind == "density"}
        for body in thing.asset.bodies:
            made_of = {f"{thing.name}/{shape.material}" for shape in body.shapes if shape.material}
            if f"{thing.name}/{body.name}" in masses or (dense & made_of):
                found.append((thing.name, body.name))
    return tuple(found)


def _pairs(compiled: Compiled, mujoco: Any) -> list[tuple[int, str, str, bool]]:
    """Every pair of surfaces that can touch: its number, the scene's names of its materials, "" for none, and whether one is a ball's."""
    model, materials = compiled.model, {}
    for thing in compiled.scene.things:
        for body in thing.asset.bodies:
            for number, shape in enumerate(body.shapes):
                materials[f"{thing.name}/{body.name}/{number}"] = f"{thing.name}/{shape.material}" if shape.material else ""

    def material(geom: int) -> str:
        return materials[mujoco.mj_id2name(model, mujoco.mjtObj.mjOBJ_GEOM, geom)]

    found, sphere = [], int(mujoco.mjtGeom.mjGEOM_SPHERE)
    for number in range(model.npair):
        first, second = int(model.pair_geom1[number]), int(model.pair_geom2[number])
        found.append((number, material(first), material(second), sphere in model.geom_type[[first, second]]))
    return found


def _material(scene: Scene, name: str) -> Material | None:
    thing, _, material = name.partition("/")
    return scene.thing(thing).asset.material(material) if name else None
