"""MJCF -> Asset: MuJoCo resolves classes, angles and frames; every number is then taken from the model that it compiled."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from armillary.core import DataError
from armillary.worlds.twin.asset import WORLD, Asset, Body, Inertia, Joint, Material, Shape
from armillary.worlds.twin.chain import chained
from armillary.worlds.twin.geometry import Box, Capsule, Cylinder, Geometry, Mesh, Plane, Sphere
from armillary.worlds.twin.mass import mass_kg, mass_matrix
from armillary.worlds.twin.mjcf_compiled import CompiledFile, compiled_file
from armillary.worlds.twin.mjcf_joints import joints_of
from armillary.worlds.twin.mjcf_xml import SelfContained, self_contained
from armillary.worlds.twin.palette import Palette, free_name
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.quantity import Quantity
from armillary.worlds.twin.tessellate import ellipsoid
from armillary.worlds.twin.xml_files import asset_folder, at_fault

HIDDEN_GROUP = 3  # MuJoCo's viewer draws the groups below
_GREY = (0.5, 0.5, 0.5, 1.0)  # a shape's colour that means: as its material says
_SAME = 1e-5  # share by which a mass may differ from MuJoCo's: it keeps meshes in single precision


def read_mjcf(path: Path, *, root: Path | None = None) -> Asset:
    """The asset in an MJCF file; files that it refers to must lie inside `root` (default: its own folder).

    Bodies, joints and shapes keep their names; the shapes of <worldbody> become a body "world" that is fixed, and a body without a joint
    is fixed to what it stands in. A body with several joints hangs on massless frames (see `chained`). A joint whose `ref` is not 0
    counts from the drawn pose instead. Shapes that collide with nothing are visual, those of group 3 and above are colliders only.
    Ellipsoids become meshes. Masses follow from shapes and densities as in the file; where that would differ from what MuJoCo
    computes (open meshes, visual shapes that weigh something), MuJoCo's mass and inertia are set. What the file says is "datasheet",
    MuJoCo's density of 1000 and friction of 1 where it is silent are "default"; `notes` name all that was not taken over.

    Raises DataError, naming the file, for unsafe or missing references, and for whatever MuJoCo does not accept (with its words).
    """
    path = Path(path)
    source = self_contained(path, asset_folder(path, root))
    compiled = compiled_file(source, path)
    with at_fault(str(path)):
        return _Reader(compiled, source, path).asset()


class _Reader:
    """Walks a compiled model, a body at a time."""

    def __init__(self, compiled: CompiledFile, source: SelfContained, path: Path):
        self.compiled, self.source, self.path = compiled, source, path
        self.model, self.mujoco = compiled.model, compiled.mujoco
        self.palette = Palette()
        self.joints, self.notes = joints_of(compiled, source.gains)
        self.names = compiled.names(self.mujoco.mjtObj.mjOBJ_BODY, self.model.nbody, "body")
        self.shape_names = compiled.names(self.mujoco.mjtObj.mjOBJ_GEOM, self.model.ngeom, "shape")
        self.poses = [Pose()]

    def asset(self) -> Asset:
        bodies: list[Body] = []
        joints: list[Joint] = []
        taken_bodies = set(self.names)
        taken_joints = {joint.name for held in self.joints.values() for joint in held}
        for number, name in enumerate(self.names):
            body = self._body(number)
            if not number and not body.shapes:
                continue
            held = self.joints.get(number, ())
            if not held:
                held = (Joint(name=free_name(f"{name}_fixed", taken_joints), kind="fixed", child=name),)
                taken_joints.add(held[0].name)
            if len(held) > 1:
                self.notes.append(f"body {name!r} has {len(held)} joints: they hang on massless frames here, which must stay massless")
            above = int(self.model.body_parentid[number])
            parent = self.names[above] if above else WORLD
            placed = tuple(replace(joint, parent=parent, frame=body.pose.then(joint.frame)) for joint in held)
            chain, links = chained(body, placed, taken_bodies)
            bodies += chain
            joints += links
        asset = Asset(
            name=self.compiled.spec.modelname if self.source.named else self.path.stem,
            bodies=tuple(bodies),
            joints=tuple(joints),
            materials=self.palette.materials(),
            source=str(self.path),
            notes=(*self.source.notes, *self.compiled.warnings, *self.notes),
        )
        return self._weighed(asset)

    def _body(self, number: int) -> Body:
        model, name = self.model, self.names[number]
        if number:
            above = self.poses[model.body_parentid[number]]
            self.poses.append(above.then(_pose(model.body_pos[number], model.body_quat[number])))
        if model.body_mocapid[number] >= 0:
            self.notes.append(f"body {name!r} is moved from outside (mocap): it is fixed here")
        first, count = int(model.body_geomadr[number]), int(model.body_geomnum[number])
        shapes = tuple(self._shape(geom) for geom in range(first, first + count))
        mass, inertia = self._inertial(number, "datasheet", "") if self._says_inertia(number) else (None, None)
        return Body(name=name, shapes=shapes, pose=self.poses[number], mass=mass, inertia=inertia)

    def _says_inertia(self, number: int) -> bool:
        never = self.mujoco.mjtInertiaFromGeom.mjINERTIAFROMGEOM_TRUE
        return self.compiled.bodies[number].explicitinertial and self.compiled.spec.compiler.inertiafromgeom != never

    def _inertial(self, number: int, source: str, note: str) -> tuple[Quantity, Inertia]:
        model = self.model
        a, b, c = (Quantity(float(moment), source, note=note) for moment in model.body_inertia[number])
        frame = _pose(model.body_ipos[number], model.body_iquat[number])
        return Quantity(float(model.body_mass[number]), source, note=note), Inertia((a, b, c), frame)

    def _weighed(self, asset: Asset) -> Asset:
        """The asset with MuJoCo's mass and inertia on each body for which ours would come out different."""
        bodies = {body.name: body for body in asset.bodies}
        for number, name in enumerate(self.names):
            if not number or self._says_inertia(number) or (not self.model.body_mass[number] and not mass_kg(asset, bodies[name])):
                continue
            silent = [geom for geom in self.compiled.unwritten.density if self.model.geom_bodyid[geom] == number]
            source = "default" if silent else "datasheet"
            mass, inertia = self._inertial(number, source, "as MuJoCo computes it from the shapes")
            ours = mass_matrix(asset, bodies[name])
            if ours is None or not _alike(ours, (mass.value, np.array(inertia.frame.position), inertia.matrix())):
                bodies[name] = replace(bodies[name], mass=mass, inertia=inertia)
        return replace(asset, bodies=tuple(bodies.values()))

    def _shape(self, geom: int) -> Shape:
        model, name = self.model, self.shape_names[geom]
        masks = int(model.geom_contype[geom]), int(model.geom_conaffinity[geom])
        role = "visual" if masks == (0, 0) else "collider" if model.geom_group[geom] >= HIDDEN_GROUP else "both"
        if role != "visual" and masks != (1, 1):
            self.notes.append(f"shape {name!r} collides with everything here; the file says contype {masks[0]}, conaffinity {masks[1]}")
        geometry = self._geometry(geom)
        pose = _pose(model.geom_pos[geom], model.geom_quat[geom])
        return Shape(name=name, geometry=geometry, pose=pose, role=role, material=self._material(geom, geometry, role))

    def _geometry(self, geom: int) -> Geometry:
        kinds, model = self.mujoco.mjtGeom, self.model
        a, b, c = (float(size) for size in model.geom_size[geom])
        match kinds(int(model.geom_type[geom])):
            case kinds.mjGEOM_PLANE:
                return Plane((a, b)) if a > 0 and b > 0 else Plane()
            case kinds.mjGEOM_SPHERE:
                return Sphere(a)
            case kinds.mjGEOM_CAPSULE:
                return Capsule(a, b)
            case kinds.mjGEOM_CYLINDER:
                return Cylinder(a, b)
            case kinds.mjGEOM_BOX:
                return Box((a, b, c))
            case kinds.mjGEOM_ELLIPSOID:
                self.notes.append(f"shape {self.shape_names[geom]!r} is an ellipsoid: a mesh here")
                return ellipsoid((a, b, c))
            case kinds.mjGEOM_MESH:
                mesh = model.geom_dataid[geom]
                vertices = model.mesh_vert[model.mesh_vertadr[mesh] :][: model.mesh_vertnum[mesh]]
                faces = model.mesh_face[model.mesh_faceadr[mesh] :][: model.mesh_facenum[mesh]]
                return Mesh(vertices.astype(np.float64), faces.astype(np.int64))
            case other:
                raise DataError(f"shape {self.shape_names[geom]!r} is of the kind {other.name}, which no asset has; take it out")

    def _material(self, geom: int, geometry: Geometry, role: str) -> str:
        model = self.model
        friction = None
        if role != "visual":
            silent = geom in self.compiled.unwritten.friction
            friction = Quantity(float(model.geom_friction[geom, 0]), "default" if silent else "datasheet")
        material = Material(
            name="surface",
            colour=_colour(model.geom_rgba[geom]),
            density=self._density(geom, geometry),
            friction=friction,
        )
        number = int(model.geom_matid[geom])
        if number >= 0:
            look = {"roughness": float(model.mat_roughness[number]), "metallic": float(model.mat_metallic[number])}
            if material.colour == _GREY:
                look["colour"] = _colour(model.mat_rgba[number])
            name = self.mujoco.mj_id2name(model, self.mujoco.mjtObj.mjOBJ_MATERIAL, number)
            material = replace(material, name=name, **{key: value for key, value in look.items() if value != -1.0})
        return self.palette.name(material)

    def _density(self, geom: int, geometry: Geometry) -> Quantity | None:
        solid, own = geometry.solid(), self.compiled.geoms[geom]
        if solid is None:
            return None
        if np.isfinite(own.mass):
            return Quantity(float(own.mass) / solid.volume, "datasheet", note="the shape's mass over its volume")
        return Quantity(float(own.density), "default" if geom in self.compiled.unwritten.density else "datasheet")


def _pose(position: np.ndarray, turn: np.ndarray) -> Pose:
    return Pose(tuple(position), tuple(turn / np.linalg.norm(turn)))


def _colour(numbers: np.ndarray) -> tuple[float, float, float, float]:
    """Without the digits that single precision adds."""
    red, green, blue, opacity = (round(float(number), 6) for number in numbers)
    return red, green, blue, opacity


def _alike(ours: tuple, theirs: tuple) -> bool:
    """Whether two (mass, centre, inertia) are the same, as far as single precision goes."""
    mass, centre, inertia = theirs
    turning = float(np.trace(inertia))
    return (
        abs(ours[0] - mass) <= _SAME * mass
        and float(np.abs(ours[1] - centre).max()) <= _SAME * np.sqrt(turning / max(mass, 1e-300))
        and float(np.abs(ours[2] - inertia).max()) <= _SAME * turning
    )
