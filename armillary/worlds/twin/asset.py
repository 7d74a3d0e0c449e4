"""A sim-ready asset: bodies with shapes and mass, the joints between them, and materials; every physical number with its source."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float64

from armillary.core import DataError
from armillary.worlds.twin.geometry import Geometry
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.quantity import Quantity
from armillary.worlds.twin.texture import Texture

ROLES = ("visual", "collider", "both")
JOINTS = ("fixed", "hinge", "slide", "ball", "free")
WORLD = ""  # the parent of what is joined to the world itself


@dataclass(frozen=True, kw_only=True)
class Material:
    """How a surface looks and rubs. None: nobody said, which `twin check` reports."""

    name: str
    colour: tuple[float, float, float, float] = (0.7, 0.7, 0.7, 1.0)  # red, green, blue, opacity in [0, 1]
    density: Quantity | None = None  # kg/m3
    friction: Quantity | None = None  # coefficient of sliding (Coulomb) friction
    restitution: Quantity | None = None  # share of speed kept in a bounce, 0 to 1
    roughness: float = 0.6
    metallic: float = 0.0
    texture: Texture | None = None  # a pattern of `colour` and a second one


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A geometry on a body: what is drawn ("visual"), what collides ("collider") or both; `pose` is body_from_shape."""

    name: str
    geometry: Geometry
    pose: Pose = Pose()
    role: str = "both"
    material: str = ""


@dataclass(frozen=True)
class Inertia:
    """How a body resists being turned: principal moments (kg m2) about the axes of `frame` (body_from_principal), at the centre of mass."""

    moments: tuple[Quantity, Quantity, Quantity]
    frame: Pose = Pose()

    def matrix(self) -> Float64[np.ndarray, "3 3"]:
        """About the centre of mass, in the body's axes."""
        turning = self.frame.rotation()
        return turning @ np.diag([moment.value for moment in self.moments]) @ turning.T


@dataclass(frozen=True, kw_only=True)
class Body:
    """A rigid part. `pose` is asset_from_body where every joint is at 0. Mass in kg; without it densities and volumes decide, and
    without `inertia` so do the shapes. `label` says what it is, for segmentation and search."""

    name: str
    shapes: tuple[Shape, ...] = ()
    pose: Pose = Pose()
    mass: Quantity | None = None
    inertia: Inertia | None = None
    label: str = ""


@dataclass(frozen=True, kw_only=True)
class Drive:
    """A motor with a spring to a target: force = stiffness (target - position) + damping (target speed - speed), at most `max_force`.

    Units: N/m and N s/m of a slide, N m/rad and N m s/rad of a hinge. `target` is a position (m, rad); without stiffness it is the speed,
    and without damping as well the force itself.
    """

    stiffness: Quantity
    damping: Quantity
    target: float = 0.0
    max_force: Quantity | None = None


@dataclass(frozen=True, kw_only=True)
class Joint:
    """What lets `child` move against `parent` (WORLD: the world). `frame` is asset_from_joint at 0: its origin is the anchor, its z
    the axis that is slid along or turned about.

    Limits in m or rad, None: none. `damping` N s/m or N m s/rad, `friction` (dry) N or N m, `armature` (the motor's own inertia,
    as felt by the joint) kg or kg m2.
    """

    name: str
    kind: str
    child: str
    parent: str = WORLD
    frame: Pose = Pose()
    limits: tuple[Quantity, Quantity] | None = None
    damping: Quantity | None = None
    friction: Quantity | None = None
    armature: Quantity | None = None
    drive: Drive | None = None


@dataclass(frozen=True, kw_only=True)
class Asset:
    """Bodies, joints and materials by unique names. Metres, kilograms, seconds and z up, whatever the file that it came from used.

    `metres_per_unit` and `up_axis` are what that file said (None: it did not say), for `twin check` and for writing it back. A body that
    no joint holds is free in a scene that lets the asset move, and fixed otherwise. `label` says what the whole thing is.
    Raises DataError if a name is double, unknown, or joints do not form trees.
    """

    name: str
    bodies: tuple[Body, ...]
    joints: tuple[Joint, ...] = ()
    materials: tuple[Material, ...] = ()
    label: str = ""
    metres_per_unit: float | None = 1.0
    up_axis: str | None = "Z"
    source: str = ""  # the file, as it was given
    notes: tuple[str, ...] = field(default=(), compare=False)  # what of that file could not be taken over, and why

    def __post_init__(self):
        bodies, materials = {body.name for body in self.bodies}, {material.name for material in self.materials}
        for kind, names in (
            ("body", [body.name for body in self.bodies]),
            ("joint", [joint.name for joint in self.joints]),
            ("material", [material.name for material in self.materials]),
        ):
            double = sorted({name for name in names if names.count(name) > 1})
            if double or "" in names:
                raise DataError(
                    f"asset {self.name!r}: every {kind} needs a name of its own; {double[0] if double else 'one has none'!r} is not"
                )
        for body in self.bodies:
            for shape in body.shapes:
                if shape.role not in ROLES:
                    raise DataError(
                        f"asset {self.name!r}, shape {shape.name!r}: role must be one of {', '.join(ROLES)}, received {shape.role!r}"
                    )
                if shape.material and shape.material not in materials:
                    raise DataError(f"asset {self.name!r}, shape {shape.name!r}: there is no material {shape.material!r}")
        self._check_joints(bodies)

    def body(self, name: str) -> Body:
        """The body of this name. DataError if there is none."""
        return _named(self, "body", name, self.bodies)

    def joint(self, name: str) -> Joint:
        """The joint of this name. DataError if there is none."""
        return _named(self, "joint", name, self.joints)

    def material(self, name: str) -> Material:
        """The material of this name. DataError if there is none."""
        return _named(self, "material", name, self.materials)

    def roots(self) -> tuple[Body, ...]:
        """The bodies that hang on no other body."""
        held = {joint.child for joint in self.joints if joint.parent != WORLD}
        return tuple(body for body in self.bodies if body.name not in held)

    def joint_to(self, body: str) -> Joint | None:
        """The joint that holds this body, if one does."""
        return next((joint for joint in self.joints if joint.child == body), None)

    def from_root(self) -> Iterator[Body]:
        """Every body, each after the one that it hangs on."""
        waiting = list(self.roots())
        while waiting:
            body = waiting.pop(0)
            yield body
            waiting += [self.body(joint.child) for joint in self.joints if joint.parent == body.name]

    def _check_joints(self, bodies: set[str]) -> None:
        parents: dict[str, str] = {}
        for joint in self.joints:
            where = f"asset {self.name!r}, joint {joint.name!r}"
            if joint.kind not in JOINTS:
                raise DataError(f"{where}: kind must be one of {', '.join(JOINTS)}, received {joint.kind!r}")
            for name in (joint.child, joint.parent):
                if name not in bodies and not (name == WORLD and name == joint.parent):
                    raise DataError(f"{where}: there is no body {name!r}; bodies: {', '.join(sorted(bodies)) or 'none'}")
            if joint.child in parents:
                raise DataError(f"{where}: body {joint.child!r} is held by another joint already; loops are not supported")
            parents[joint.child] = joint.parent
        for name in parents:
            seen, now = set(), name
            while now in parents:
                if now in seen:
                    raise DataError(f"asset {self.name!r}: joints form a ring through body {now!r}")
                seen.add(now)
                now = parents[now]


def _named(asset: Asset, kind: str, name: str, things: tuple):
    for thing in things:
        if thing.name == name:
            return thing
    raise DataError(f"asset {asset.name!r} has no {kind} {name!r}; it has {', '.join(repr(thing.name) for thing in things) or 'none'}")
