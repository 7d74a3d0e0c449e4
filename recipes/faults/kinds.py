"""The kinds of fault that are planted: which parts can have each, how it is made, and the codes of the findings that tell it.

Sizes of faults are those of known mistakes (grams for kilograms, millimetres for metres, degrees for radians) or drawn widely. The
hands that planted them wrote the checks too: the share found says that the checks work, not what they miss in strangers' files.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from armillary.worlds.twin.asset import Asset, Inertia
from armillary.worlds.twin.extent import asset_bounds, body_bounds, diagonal
from armillary.worlds.twin.geometry import Box, Cylinder, Mesh, Sphere
from armillary.worlds.twin.mass import mass_kg
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.quantity import Quantity
from armillary.worlds.twin.readiness_finding import WHOLE, at_body, at_joint, at_material
from armillary.worlds.twin.standing import can_move

Draw = np.random.Generator


def with_body(asset: Asset, name: str, **changes) -> Asset:
    """The asset with one body changed."""
    return replace(asset, bodies=tuple(replace(body, **changes) if body.name == name else body for body in asset.bodies))


def with_joint(asset: Asset, name: str, **changes) -> Asset:
    """The asset with one joint changed."""
    return replace(asset, joints=tuple(replace(joint, **changes) if joint.name == name else joint for joint in asset.joints))


def with_material(asset: Asset, name: str, **changes) -> Asset:
    """The asset with one material changed."""
    return replace(asset, materials=tuple(replace(one, **changes) if one.name == name else one for one in asset.materials))


def with_mesh(asset: Asset, name: str, change: Callable[[Mesh], Mesh]) -> Asset:
    """The asset with the meshes of one body changed."""
    shapes = (replace(one, geometry=change(one.geometry)) if isinstance(one.geometry, Mesh) else one for one in asset.body(name).shapes)
    return with_body(asset, name, shapes=tuple(shapes))


def moved(asset: Asset, name: str, draw: Draw) -> Asset:
    """What a body collides with 0.7 to 3 of its sizes beside what is drawn; drawn and colliding shapes are two afterwards."""
    body = asset.body(name)
    aside = body_bounds(body)
    way = draw.normal(size=3)
    step = Pose(tuple(way / np.linalg.norm(way) * diagonal(aside) * draw.uniform(0.7, 3.0)))
    drawn = [replace(shape, role="visual") for shape in body.shapes if shape.role != "collider"]
    solid = [
        replace(shape, name=f"{shape.name}_moved", role="collider", pose=step.then(shape.pose))
        for shape in body.shapes
        if shape.role != "visual"
    ]
    return with_body(asset, name, shapes=(*drawn, *solid))


def scaled(asset: Asset, factor: float) -> Asset:
    """Every length of the asset `factor` times what it is, as when a file's unit is misread; masses stay."""

    def pose(old: Pose) -> Pose:
        return Pose(tuple(factor * x for x in old.position), old.turn)

    def geometry(old):
        if isinstance(old, Mesh):
            return Mesh(vertices=old.vertices * factor, faces=old.faces)
        if isinstance(old, Box):
            return Box(tuple(factor * x for x in old.half_sizes))
        return Sphere(factor * old.radius) if isinstance(old, Sphere) else Cylinder(factor * old.radius, factor * old.half_length)

    bodies = []
    for body in asset.bodies:
        shapes = tuple(replace(shape, geometry=geometry(shape.geometry), pose=pose(shape.pose)) for shape in body.shapes)
        bodies.append(replace(body, shapes=shapes, pose=pose(body.pose)))
    joints = []
    for joint in asset.joints:
        far = joint.limits and joint.kind == "slide"
        ends = tuple(limit.times(factor) for limit in joint.limits) if far else joint.limits
        joints.append(replace(joint, frame=pose(joint.frame), limits=ends))
    return replace(asset, bodies=tuple(bodies), joints=tuple(joints))


def in_centimetres(asset: Asset) -> Asset:
    """The numbers that a file in centimetres and kilograms has for an asset without motors and inertia tensors."""
    materials = tuple(replace(one, density=one.density.times(1e-6)) for one in asset.materials)
    return replace(scaled(asset, 100.0), materials=materials)


def shifted(asset: Asset, step: tuple[float, ...]) -> Asset:
    """The whole asset elsewhere."""
    by = Pose(step)
    bodies = tuple(replace(body, pose=by.then(body.pose)) for body in asset.bodies)
    return replace(asset, bodies=bodies, joints=tuple(replace(joint, frame=by.then(joint.frame)) for joint in asset.joints))


def inertia(asset: Asset, name: str, shares: tuple[float, float, float], factor: float = 1.0, centre=(0.0, 0.0, 0.0)) -> Asset:
    """A body whose inertia is `shares` of an even ball of its size and mass, times `factor`."""
    body = asset.body(name)
    bounds, mass = body_bounds(body), mass_kg(asset, body)
    ball = 0.1 * mass * diagonal(bounds) ** 2 / 4
    at = tuple((bounds.mean(axis=0) + np.array(centre) * diagonal(bounds)).tolist())
    moments = tuple(Quantity(float(ball * share * factor), "datasheet") for share in shares)
    return with_body(asset, name, mass=Quantity(mass, "datasheet"), inertia=Inertia(moments, Pose(at)))


def fine(mesh: Mesh, times: int = 3) -> Mesh:
    """Every face cut in four, `times` times."""
    for _ in range(times):
        a, b, c = mesh.faces.T
        edges = np.sort(np.concatenate([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]], mesh.faces[:, [2, 0]]]), axis=1)
        unique, which = np.unique(edges, axis=0, return_inverse=True)
        ab, bc, ca = len(mesh.vertices) + which.reshape(3, -1)
        faces = np.concatenate([np.stack(three, axis=1) for three in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))])
        mesh = Mesh(vertices=np.concatenate([mesh.vertices, mesh.vertices[unique].mean(axis=1)]), faces=faces)
    return mesh


def holed(mesh: Mesh, draw: Draw) -> Mesh:
    """Without some faces."""
    keep = np.ones(len(mesh.faces), dtype=bool)
    keep[draw.choice(len(keep), size=int(draw.integers(1, len(keep) // 3)), replace=False)] = False
    return Mesh(vertices=mesh.vertices, faces=mesh.faces[keep])


def creased(mesh: Mesh, draw: Draw) -> Mesh:
    """With some faces that are none."""
    points = draw.integers(len(mesh.vertices), size=int(draw.integers(1, 20)))
    return Mesh(vertices=mesh.vertices, faces=np.concatenate([mesh.faces, np.stack([points] * 3, axis=1)]))


def either(draw: Draw, *choices: float) -> float:
    """One of some numbers."""
    return float(draw.choice(np.array(choices)))


@dataclass(frozen=True)
class Kind:
    """A kind of fault: `parts(asset)` that can have it, `plant(asset, part, draw)` gives it to one, a finding of `codes` tells it."""

    parts: Callable[[Asset], list[str]]
    plant: Callable[[Asset, str, Draw], Asset]
    codes: tuple[str, ...]
    where: Callable = at_body


def whole(asset: Asset) -> list[str]:
    """The asset itself, which has no name among its parts."""
    return [WHOLE]


def motorless(asset: Asset) -> list[str]:
    """The asset itself, if it has no motors, whose numbers depend on the unit of length in many ways."""
    return [WHOLE] if not driven(asset) else []


def bodies(asset: Asset) -> list[str]:
    """Those that move and have shapes."""
    return [body.name for body in asset.bodies if can_move(asset, body)]


def meshes(asset: Asset) -> list[str]:
    """Moving bodies that are drawn by a mesh."""
    return [name for name in bodies(asset) if any(isinstance(shape.geometry, Mesh) for shape in asset.body(name).shapes)]


def materials(asset: Asset) -> list[str]:
    """All of them."""
    return [one.name for one in asset.materials]


def weighing(asset: Asset) -> list[str]:
    """Materials from whose density a mass follows."""
    return sorted({shape.material for name in bodies(asset) if asset.body(name).mass is None for shape in asset.body(name).shapes})


def limited(asset: Asset) -> list[str]:
    """Joints with limits."""
    return [joint.name for joint in asset.joints if joint.limits is not None]


def hinges(asset: Asset) -> list[str]:
    """Joints that turn."""
    return [joint.name for joint in asset.joints if joint.kind == "hinge"]


def driven(asset: Asset) -> list[str]:
    """Joints with motors."""
    return [joint.name for joint in asset.joints if joint.drive is not None]


def weightless(asset: Asset, name: str) -> Asset:
    """A body that neither says its mass nor what it is made of."""
    shapes = tuple(replace(shape, material="") for shape in asset.body(name).shapes)
    return with_body(asset, name, mass=None, inertia=None, shapes=shapes)


def mass_times(asset: Asset, name: str, factor: float) -> Asset:
    """A body whose mass is `factor` times the right one."""
    return with_body(asset, name, mass=Quantity(factor * mass_kg(asset, asset.body(name)), "datasheet"))


def limits(asset: Asset, name: str, change: Callable[[float, float], tuple[float, float]]) -> Asset:
    """A joint with other limits."""
    low, high = (limit.value for limit in asset.joint(name).limits)
    return with_joint(asset, name, limits=tuple(Quantity(x, "datasheet") for x in change(low, high)))


def anchored(asset: Asset, name: str, draw: Draw) -> Asset:
    """A joint whose anchor is two to ten sizes of the asset away."""
    frame, way = asset.joint(name).frame, draw.normal(size=3)
    away = way / np.linalg.norm(way) * diagonal(asset_bounds(asset)) * draw.uniform(2.0, 10.0)
    return with_joint(asset, name, frame=Pose(tuple(np.array(frame.position) + away), frame.turn))


def drive(asset: Asset, name: str, **changes) -> Asset:
    """A joint with another motor."""
    return with_joint(asset, name, drive=replace(asset.joint(name).drive, **changes))


def undressed(asset: Asset, name: str) -> Asset:
    """A body that is drawn only."""
    return with_body(asset, name, shapes=tuple(replace(one, role="visual") for one in asset.body(name).shapes if one.role != "collider"))


def intruded(asset: Asset, name: str) -> Asset:
    """A second body in the place of another, held by nothing that the other is."""
    body = asset.body(name)
    return replace(asset, bodies=(replace(body, name=f"{name}_again"), *asset.bodies))


def q(value: float) -> Quantity:
    """A number from a datasheet."""
    return Quantity(float(value), "datasheet")


KINDS = {
    "no mass": Kind(bodies, lambda a, n, d: weightless(a, n), ("mass-missing",)),
    "mass in other units": Kind(bodies, lambda a, n, d: mass_times(a, n, either(d, 1e3, 1e-3, 1e6)), ("mass-against-volume",)),
    "mass not positive": Kind(bodies, lambda a, n, d: with_body(a, n, mass=q(-d.uniform(0, 5))), ("mass-not-positive",)),
    "no density": Kind(weighing, lambda a, n, d: with_material(a, n, density=None), ("density-missing",), at_material),
    "density of something else": Kind(
        materials,
        lambda a, n, d: with_material(a, n, density=q(a.material(n).density.value * either(d, 1e-3, 1e3, 0.1, 10.0))),
        ("density-against-name", "density-implausible"),
        at_material,
    ),
    "no friction": Kind(materials, lambda a, n, d: with_material(a, n, friction=None), ("friction-missing",), at_material),
    "impossible friction": Kind(
        materials,
        lambda a, n, d: with_material(a, n, friction=q(either(d, -0.5, -0.01, 4.0, 60.0))),
        ("friction-implausible",),
        at_material,
    ),
    "impossible restitution": Kind(
        materials, lambda a, n, d: with_material(a, n, restitution=q(either(d, -0.2, 1.1, 30.0))), ("restitution-implausible",), at_material
    ),
    "looks only": Kind(
        materials,
        lambda a, n, d: with_material(a, n, density=None, friction=None, restitution=None),
        ("material-without-physics",),
        at_material,
    ),
    "inertia of no body": Kind(
        bodies, lambda a, n, d: inertia(a, n, (1.0, d.uniform(0.1, 1.0), d.uniform(2.1, 9.0))), ("inertia-impossible",)
    ),
    "inertia not positive": Kind(bodies, lambda a, n, d: inertia(a, n, (1.0, 1.0, -d.uniform(0, 1))), ("inertia-impossible",)),
    "inertia in other units": Kind(
        bodies, lambda a, n, d: inertia(a, n, (1, 1, 1), either(d, 1e3, 1e4, 1e-3, 1e-4)), ("inertia-against-size",)
    ),
    "centre of mass outside": Kind(bodies, lambda a, n, d: inertia(a, n, (1, 1, 1), centre=d.choice([-2, 2], size=3)), ("centre-outside",)),
    "no collider": Kind(bodies, lambda a, n, d: undressed(a, n), ("collider-missing",)),
    "collider elsewhere": Kind(bodies, moved, ("collider-elsewhere",)),
    "mesh with holes": Kind(meshes, lambda a, n, d: with_mesh(a, n, lambda mesh: holed(mesh, d)), ("mesh-open",)),
    "mesh inside out": Kind(
        meshes, lambda a, n, d: with_mesh(a, n, lambda mesh: Mesh(vertices=mesh.vertices, faces=mesh.faces[:, ::-1])), ("mesh-inside-out",)
    ),
    "mesh with empty faces": Kind(meshes, lambda a, n, d: with_mesh(a, n, lambda mesh: creased(mesh, d)), ("mesh-degenerate",)),
    "mesh too fine": Kind(meshes, lambda a, n, d: with_mesh(a, n, fine), ("collider-too-fine",)),
    "no shapes": Kind(bodies, lambda a, n, d: with_body(a, n, shapes=(), mass=q(1.0)), ("body-without-shapes",)),
    "inside another": Kind(bodies, lambda a, n, d: intruded(a, n), ("colliders-overlap",)),
    "no limits": Kind(limited, lambda a, n, d: with_joint(a, n, limits=None), ("limits-missing",), at_joint),
    "limits reversed": Kind(limited, lambda a, n, d: limits(a, n, lambda low, high: (high, low)), ("limits-reversed",), at_joint),
    "limits in degrees or mm": Kind(
        limited,
        lambda a, n, d: limits(a, n, lambda low, high: (low * 57.3, high * 57.3 if a.joint(n).kind == "hinge" else 1e3)),
        ("limits-too-wide",),
        at_joint,
    ),
    "anchor away": Kind(hinges, anchored, ("anchor-away",), at_joint),
    "negative gain": Kind(
        driven, lambda a, n, d: drive(a, n, **{str(d.choice(["stiffness", "damping"])): q(-d.uniform(0.1, 50))}), ("drive-gains",), at_joint
    ),
    "idle motor": Kind(driven, lambda a, n, d: drive(a, n, stiffness=q(0), damping=q(0)), ("drive-gains",), at_joint),
    "endless force": Kind(driven, lambda a, n, d: drive(a, n, max_force=None), ("drive-unbounded",), at_joint),
    "unit not said": Kind(motorless, lambda a, n, d: replace(a, metres_per_unit=None), ("units-missing",)),
    "unit misread": Kind(whole, lambda a, n, d: scaled(a, either(d, 1e3, 1e-3, 100.0, 0.01)), ("units-implausible", "mass-against-volume")),
    "up axis not said": Kind(whole, lambda a, n, d: replace(a, up_axis=None), ("up-axis-missing",)),
    "far from its origin": Kind(
        whole, lambda a, n, d: shifted(a, tuple(d.choice([-1, 1], size=3) * d.uniform(5, 50, size=3))), ("root-away",)
    ),
    "no label": Kind(bodies, lambda a, n, d: replace(with_body(a, n, label=""), label=""), ("label-missing",)),
}
