"""Scene -> MuJoCo model, through MjSpec: bodies nest in the bodies that their joints hang them on.

Every number is the schema's: masses and inertias are set, never inferred. Which shapes can touch, and how, is said pair by pair, because
friction belongs to two surfaces; bodies that a joint holds together never touch. Meshes collide as their convex hulls, which is what
MuJoCo does. Things appear as `thing/body` and `thing/joint`.
"""

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np

from armillary.core import DataError
from armillary.worlds.twin.asset import WORLD, Asset, Body, Joint, Material, Shape
from armillary.worlds.twin.contact import STIFFER, Contact, contact
from armillary.worlds.twin.extra import needs
from armillary.worlds.twin.geometry import Box, Capsule, Cylinder, Mesh, Plane, Sphere
from armillary.worlds.twin.mass import mass_matrix
from armillary.worlds.twin.mujoco_light import light_scene
from armillary.worlds.twin.mujoco_texture import add_material, add_plane_material
from armillary.worlds.twin.scene import Placed, Scene
from armillary.worlds.twin.tessellate import tessellated
from armillary.worlds.twin.texture import wrapped

GROUPS = {"both": 0, "visual": 2, "collider": 3}  # MuJoCo draws groups 0 to 2
_INTEGRATORS = {"implicit": "mjINT_IMPLICITFAST", "runge-kutta": "mjINT_RK4"}
_MOVING = ("hinge", "slide", "ball")
logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Compiled:
    """A model and where the scene's names went. `bodies`, `joints`, `cameras`: MuJoCo's ids (a welded or free joint has none under its
    name); `free`: thing/body -> the id of its free joint; `drives`: the joints that actuators 0, 1, ... drive."""

    scene: Scene
    model: Any  # mujoco.MjModel
    bodies: dict[str, int]
    joints: dict[str, int]
    free: dict[str, int]
    cameras: dict[str, int]
    drives: tuple[tuple[str, Joint], ...]


def compile_scene(scene: Scene) -> Compiled:
    """The model of a scene.

    DataError where a moving body's mass is unknown, a plane moves, a camera rides on nothing, a drive is on a joint that is neither
    hinge nor slide, or MuJoCo refuses the model (with its words).
    """
    mujoco = needs("mujoco")
    if mujoco.get_mju_user_warning() is None:
        mujoco.set_mju_user_warning(logger.debug)  # else MuJoCo writes a file into the working folder; TwinWorld raises what matters
    builder = SpecBuilder(scene, mujoco)
    for thing in scene.things:
        builder.add_thing(thing)
    builder.add_pairs()
    builder.add_cameras()
    try:
        model = builder.spec.compile()
    except ValueError as error:
        words = " ".join(str(error).split())
        raise DataError(f"scene {scene.name!r} cannot be simulated: {words}; `armillary twin check` says more about each asset") from error

    def ids(kind, names) -> dict[str, int]:
        return {name: mujoco.mj_name2id(model, kind, name) for name in names}

    kinds = mujoco.mjtObj
    return Compiled(
        scene=scene,
        model=model,
        bodies={name: mujoco.mj_name2id(model, kinds.mjOBJ_BODY, body.name) for name, body in builder.bodies.items()},
        joints=ids(kinds.mjOBJ_JOINT, builder.joints),
        free={body: mujoco.mj_name2id(model, kinds.mjOBJ_JOINT, joint) for body, joint in builder.free.items()},
        cameras=ids(kinds.mjOBJ_CAMERA, [camera.name for camera in scene.cameras]),
        drives=tuple(builder.drives),
    )


@dataclass(frozen=True, kw_only=True)
class Surface:
    """A shape that collides."""

    geom: str
    material: Material | None
    group: str
    moves: bool
    ball: bool


class SpecBuilder:
    """A spec that grows, and what is called how in it."""

    def __init__(self, scene: Scene, mujoco: Any):
        self.scene, self.mujoco, self.spec = scene, mujoco, mujoco.MjSpec()
        self.bodies: dict[str, Any] = {}
        self.joints: list[str] = []
        self.free: dict[str, str] = {}
        self.drives: list[tuple[str, Joint]] = []
        self.meshes: dict[tuple[Mesh, float], str] = {}
        self.surfaces: list[Surface] = []
        self.joined: set[tuple[str, str]] = set()  # rigid groups that a joint holds together
        self.spec.modelname = scene.name
        self.spec.compiler.degree = False
        self.spec.compiler.inertiafromgeom = mujoco.mjtInertiaFromGeom.mjINERTIAFROMGEOM_FALSE
        option = self.spec.option
        option.timestep, option.gravity = scene.seconds_per_substep, scene.gravity
        option.integrator = getattr(mujoco.mjtIntegrator, _INTEGRATORS[scene.integrator])
        option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
        option.impratio = STIFFER
        option.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET  # what becomes unstable is reported, not started again
        light_scene(self.spec, scene)

    def add_thing(self, thing: Placed) -> None:
        """Its materials, bodies and joints."""
        for material in thing.asset.materials:
            add_material(self.spec, f"{thing.name}/{material.name}", material)
        frames = frames_of(thing.asset)
        for body in thing.asset.from_root():
            if body.name not in frames:
                self._add_body(thing, body, frames)

    def add_pairs(self) -> None:
        """Every two surfaces that can meet."""
        kinds: dict[tuple[int, int, bool], Any] = {}
        for number, one in enumerate(self.surfaces):
            for other in self.surfaces[:number]:
                if not (one.moves or other.moves) or one.group == other.group or (one.group, other.group) in self.joined:
                    continue
                key = id(one.material), id(other.material), one.ball or other.ball  # hashing all that is known of them takes long
                if key not in kinds:
                    touch = contact(one.material, other.material, self.scene.seconds_per_substep, ball=key[2])
                    kinds[key] = self._kind_of_pair(f"contact {len(kinds)}", touch)
                self.spec.add_pair(kinds[key], geomname1=one.geom, geomname2=other.geom)

    def _kind_of_pair(self, name: str, touch: Contact) -> Any:
        """MuJoCo's defaults for the many pairs that touch alike: half the time of saying everything of each."""
        kind = self.spec.add_default(name, self.spec.default)
        kind.pair.condim = 4  # sliding and spinning
        kind.pair.friction, kind.pair.solref, kind.pair.solreffriction = touch.friction, touch.solref, touch.solreffriction
        kind.pair.solimp = touch.solimp
        return kind

    def add_cameras(self) -> None:
        """Every camera, on the world or on the body that it rides."""
        for camera in self.scene.cameras:
            if camera.on and camera.on not in self.bodies:
                known = ", ".join(self.bodies) or "none"
                raise DataError(f"scene {self.scene.name!r}: camera {camera.name!r} rides on {camera.on!r}; bodies: {known}")
            holder = self.bodies[camera.on] if camera.on else self.spec.worldbody
            holder.add_camera(name=camera.name, pos=camera.pose.position, quat=camera.pose.turn, fovy=camera.fov_y_deg)

    def _add_body(self, thing: Placed, body: Body, frames: frozenset[str]) -> None:
        asset, name = thing.asset, f"{thing.name}/{body.name}"
        held = _joints_to(thing, body, frames)  # the outermost first
        outermost = held[0] if held else None
        hangs = outermost is not None and outermost.parent != WORLD and outermost.kind != "free"
        holder = self.bodies[f"{thing.name}/{outermost.parent}"] if hangs else self.spec.worldbody
        pose = asset.body(outermost.parent).pose.inverse().then(body.pose) if hangs else thing.pose.then(body.pose)
        added = holder.add_body(name=name, pos=pose.position, quat=pose.turn)
        self.bodies |= {name: added} | {f"{thing.name}/{joint.child}": added for joint in held}
        flies = thing.moves if outermost is None else outermost.kind == "free"
        if flies:
            self.free[name] = f"{thing.name}/{outermost.name}" if outermost else f"{name}/free"
            added.add_freejoint(name=self.free[name])
        for joint in held:
            if joint.kind in _MOVING:
                self._add_joint(thing, body, joint, added)
        if hangs and outermost.kind in _MOVING:
            groups = _group(thing, body.name), _group(thing, outermost.parent)
            self.joined |= {groups, groups[::-1]}
        self._weigh(thing, body, added)
        for number, shape in enumerate(body.shapes):
            self._add_shape(thing, body, shape, f"{name}/{number}", added)

    def _weigh(self, thing: Placed, body: Body, added: Any) -> None:
        weighed = mass_matrix(thing.asset, body)
        if weighed is None:
            if body.shapes and _moves(thing, body):
                raise DataError(
                    f"thing {thing.name!r}, body {body.name!r} moves, but neither its mass nor the density of all its materials is known; "
                    "give one, or let `armillary twin check --fix` estimate it"
                )
            return
        mass, centre, inertia = weighed
        added.explicitinertial = True
        added.mass, added.ipos = mass, centre
        if inertia.any():
            added.fullinertia = [*np.diag(inertia), inertia[0, 1], inertia[0, 2], inertia[1, 2]]
        else:  # a point: MuJoCo takes it where the body hangs rigidly on something that has an extent
            added.inertia = np.zeros(3)

    def _add_joint(self, thing: Placed, body: Body, joint: Joint, added: Any) -> None:
        kinds, name = self.mujoco.mjtJoint, f"{thing.name}/{joint.name}"
        frame = body.pose.inverse().then(joint.frame)
        made = added.add_joint(
            name=name,
            type={"hinge": kinds.mjJNT_HINGE, "slide": kinds.mjJNT_SLIDE, "ball": kinds.mjJNT_BALL}[joint.kind],
            pos=frame.position,
            axis=frame.rotation()[:, 2],
            frictionloss=joint.friction.value if joint.friction else 0.0,
            armature=joint.armature.value if joint.armature else 0.0,
        )
        if joint.damping:
            made.damping[0] = joint.damping.value
        if joint.limits:
            low, high = (limit.value for limit in joint.limits)
            made.limited = self.mujoco.mjtLimited.mjLIMITED_TRUE
            made.range = (0.0, high) if joint.kind == "ball" else (low, high)
        self.joints.append(name)
        if joint.drive:
            self._add_drive(name, joint)

    def _add_drive(self, name: str, joint: Joint) -> None:
        """force = stiffness (control - position) - damping speed; of a drive without stiffness the control is the speed, and of one
        without either the force."""
        if joint.kind == "ball":
            raise DataError(f"joint {name!r} is a ball and has a drive; only hinges and slides can be driven")
        drive = joint.drive
        stiffness, damping = drive.stiffness.value, drive.damping.value
        actuator = self.spec.add_actuator(name=name, target=name, trntype=self.mujoco.mjtTrn.mjTRN_JOINT)
        actuator.gainprm[0] = stiffness or damping or 1.0
        actuator.biastype = self.mujoco.mjtBias.mjBIAS_AFFINE
        actuator.biasprm[:3] = 0.0, -stiffness, -damping
        if drive.max_force:
            actuator.forcelimited = self.mujoco.mjtLimited.mjLIMITED_TRUE
            actuator.forcerange = (-drive.max_force.value, drive.max_force.value)
        self.drives.append((name, joint))

    def _add_shape(self, thing: Placed, body: Body, shape: Shape, name: str, added: Any) -> None:
        geometry = shape.geometry
        if isinstance(geometry, Plane) and _moves(thing, body):
            raise DataError(f"thing {thing.name!r}, body {body.name!r}, shape {shape.name!r} is a plane, which cannot move; use a box")
        material = thing.asset.material(shape.material) if shape.material else None
        geom = added.add_geom(name=name, pos=shape.pose.position, quat=shape.pose.turn, group=GROUPS[shape.role], mass=0.0)
        geom.contype = geom.conaffinity = 0  # pairs say what touches
        pattern = material.texture if material and shape.role != "collider" else None
        self._set_geometry(geom, geometry, pattern.size_m if pattern else 0.0)
        if material:
            geom.material = f"{thing.name}/{material.name}"
        if pattern and isinstance(geometry, Plane):
            geom.material = add_plane_material(self.spec, geom, geometry, material)
        elif pattern and not isinstance(geometry, Mesh):
            self._wrap(shape, geom, pattern.size_m, added)
        if shape.role != "visual":
            moves, ball = _moves(thing, body), isinstance(geometry, Sphere)
            self.surfaces.append(Surface(geom=name, material=material, group=_group(thing, body.name), moves=moves, ball=ball))

    def _wrap(self, shape: Shape, geom: Any, repeats_m: float, body: Any) -> None:
        """Have a mesh that bears a pattern drawn for a round or square geom: beside it where it collides, else in its place."""
        drawn = geom
        if shape.role == "both":
            geom.group = GROUPS["collider"]
            drawn = body.add_geom(
                name=f"{geom.name}/look", pos=geom.pos, quat=geom.quat, group=GROUPS["visual"], mass=0.0, material=geom.material
            )
            drawn.contype = drawn.conaffinity = 0
        self._set_geometry(drawn, tessellated(shape.geometry), repeats_m)

    def _set_geometry(self, geom: Any, geometry: Any, repeats_m: float) -> None:
        kinds = self.mujoco.mjtGeom
        match geometry:
            case Box(half_sizes):
                geom.type, geom.size = kinds.mjGEOM_BOX, half_sizes
            case Sphere(radius):
                geom.type, geom.size = kinds.mjGEOM_SPHERE, (radius, 0.0, 0.0)
            case Cylinder(radius, half_length):
                geom.type, geom.size = kinds.mjGEOM_CYLINDER, (radius, half_length, 0.0)
            case Capsule(radius, half_length):
                geom.type, geom.size = kinds.mjGEOM_CAPSULE, (radius, half_length, 0.0)
            case Plane(half_sizes):
                geom.type, geom.size = kinds.mjGEOM_PLANE, (*half_sizes, 1.0)
            case Mesh():
                geom.type, geom.meshname = kinds.mjGEOM_MESH, self._mesh(geometry, geom.name, repeats_m)

    def _mesh(self, mesh: Mesh, name: str, repeats_m: float) -> str:
        """The name of a mesh, which is added if there is none yet; a pattern on it repeats every `repeats_m` (0: it bears none)."""
        key = (mesh, repeats_m)
        if key not in self.meshes:
            self.meshes[key] = name
            added = self.spec.add_mesh(
                name=name,
                uservert=mesh.vertices.ravel().tolist(),
                userface=mesh.faces.ravel().tolist(),
                # Its mass is the body's; this only keeps MuJoCo from refusing meshes that are not closed.
                inertia=self.mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL,
            )
            if repeats_m:
                added.usertexcoord = wrapped(mesh, repeats_m).ravel().tolist()
                added.userfacetexcoord = list(range(mesh.faces.size))
        return self.meshes[key]


def frames_of(asset: Asset) -> frozenset[str]:
    """The bodies that only join two joints (`chain.py`): a moving joint holds them, one other hangs on them, and they have no shape and
    no mass. MuJoCo wants the joints of such a chain on the body that follows."""
    found = set()
    for body in asset.bodies:
        joint, hanging = asset.joint_to(body.name), [other for other in asset.joints if other.parent == body.name]
        bare = not body.shapes and body.mass is None and body.inertia is None
        if bare and joint is not None and joint.kind in _MOVING and len(hanging) == 1 and hanging[0].kind in _MOVING:
            found.add(body.name)
    return frozenset(found)


def _joints_to(thing: Placed, body: Body, frames: frozenset[str]) -> list[Joint]:
    """The joint that holds a body and, before it, those that hold the frames that it hangs on."""
    joint = thing.asset.joint_to(body.name)
    if joint is None:
        return []
    return [*(_joints_to(thing, thing.asset.body(joint.parent), frames) if joint.parent in frames else []), joint]


def _moves(thing: Placed, body: Body) -> bool:
    """Whether anything between this body and the world can move."""
    joint = thing.asset.joint_to(body.name)
    if joint is None:
        return thing.moves
    if joint.kind != "fixed":
        return True
    return joint.parent != WORLD and _moves(thing, thing.asset.body(joint.parent))


def _group(thing: Placed, name: str) -> str:
    """The scene's name of the topmost body that fixed joints hold this one to: bodies of one group never move against one another."""
    joint = thing.asset.joint_to(name)
    if joint is not None and joint.kind == "fixed" and joint.parent != WORLD:
        return _group(thing, joint.parent)
    return f"{thing.name}/{name}"
