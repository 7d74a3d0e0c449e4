"""Numbers of a scene that are looked for: where they stand in the scene, and how they reach a model that is compiled already."""

from dataclasses import dataclass, replace
from typing import Any

from armillary.core import ConfigError
from armillary.worlds.twin.asset import Material
from armillary.worlds.twin.contact import contact
from armillary.worlds.twin.extra import needs
from armillary.worlds.twin.mass import mass_matrix
from armillary.worlds.twin.mujoco_compile import Compiled
from armillary.worlds.twin.quantity import Quantity
from armillary.worlds.twin.scene import Placed, Scene

_HOLDERS = {"mass": "body", "friction": "material", "restitution": "material", "damping": "joint"}  # which part has such a number
KINDS = tuple(_HOLDERS)


@dataclass(frozen=True)
class Unknown:
    """A number that is looked for: the "mass" (kg) of `thing/body`, the "friction" or "restitution" of `thing/material`, or the
    "damping" (N s/m, N m s/rad) of `thing/joint`. ConfigError for another kind or a name without a slash.

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
        quantity = getattr(self._part(scene.thing(self.thing)), self.kind)
        if quantity is None or not quantity.low < quantity.high:
            said = "nobody gave one" if quantity is None else f"it is {quantity.value} without a range"
            raise ConfigError(
                f"the {self} is looked for between the low and the high of its Quantity, but {said}; "
                "give one: Quantity(guess, 'estimated', low=..., high=...)"
            )
        if quantity.low < 0 or (self.kind == "mass" and quantity.low == 0):
            raise ConfigError(f"the {self} is looked for above {quantity.low}, which no {self.kind} can be; raise its Quantity's low")
        return quantity

    def put(self, scene: Scene, quantity: Quantity) -> Scene:
        """The scene with this number in place of the one that it had."""
        thing, holder = scene.thing(self.thing), _HOLDERS[self.kind]
        old = self._part(thing)
        field = "bodies" if holder == "body" else f"{holder}s"
        parts = tuple(replace(old, **{self.kind: quantity}) if part is old else part for part in getattr(thing.asset, field))
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
        self._pairs = [one for one in _pairs(compiled, self._mujoco) if rubbing & set(one[1:])]

    def set(self, values: tuple[float, ...]) -> None:
        """Give every unknown its value (SI units), in their order."""
        model, scene = self.compiled.model, self.compiled.scene
        for unknown, value in zip(self.unknowns, values, strict=True):
            scene = unknown.put(scene, Quantity(value))
            if unknown.kind == "mass":
                self._weigh(unknown, scene)
            elif unknown.kind == "damping":
                joint = self.compiled.joints[unknown.name]
                first = model.jnt_dofadr[joint]
                turns = 3 if model.jnt_type[joint] == self._mujoco.mjtJoint.mjJNT_BALL else 1
                model.dof_damping[first : first + turns] = value
        self._mujoco.mj_setConst(model, self._data)  # what MuJoCo worked out from masses when it compiled
        model.stat.meaninertia = model.dof_M0.mean()  # what the solver's tolerance is a share of; setConst leaves it
        for number, *materials in self._pairs:
            touch = contact(*(_material(scene, name) for name in materials), scene.seconds_per_substep)
            model.pair_friction[number], model.pair_solref[number] = touch.friction, touch.solref
            model.pair_solreffriction[number], model.pair_solimp[number] = touch.solreffriction, touch.solimp

    def _weigh(self, unknown: Unknown, scene: Scene) -> None:
        """A body without an inertia of its own turns as its mass does."""
        thing, name = scene.thing(unknown.thing), unknown.name.partition("/")[2]
        body, number, model = thing.asset.body(name), self.compiled.bodies[unknown.name], self.compiled.model
        mass, _, _ = mass_matrix(thing.asset, body)
        if body.inertia is None:
            model.body_inertia[number] *= mass / model.body_mass[number]
        model.body_mass[number] = mass


def _pairs(compiled: Compiled, mujoco: Any) -> list[tuple[int, str, str]]:
    """Every pair of surfaces that can touch: its number and the scene's names of its materials, "" for none."""
    model, materials = compiled.model, {}
    for thing in compiled.scene.things:
        for body in thing.asset.bodies:
            for number, shape in enumerate(body.shapes):
                materials[f"{thing.name}/{body.name}/{number}"] = f"{thing.name}/{shape.material}" if shape.material else ""

    def material(geom: int) -> str:
        return materials[mujoco.mj_id2name(model, mujoco.mjtObj.mjOBJ_GEOM, geom)]

    return [(number, material(int(model.pair_geom1[number])), material(int(model.pair_geom2[number]))) for number in range(model.npair)]


def _material(scene: Scene, name: str) -> Material | None:
    thing, _, material = name.partition("/")
    return scene.thing(thing).asset.material(material) if name else None
