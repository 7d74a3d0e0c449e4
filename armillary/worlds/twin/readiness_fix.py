"""Fill what `twin check` finds missing, from the geometry and the material table; every number filled is "estimated" and says how."""

from collections.abc import Callable
from dataclasses import replace
from math import pi

import numpy as np

from armillary.worlds.twin.asset import Asset, Body, Inertia, Joint, Material, Shape
from armillary.worlds.twin.extent import asset_bounds, body_bounds, diagonal
from armillary.worlds.twin.fit import THIN_M, fit_solid
from armillary.worlds.twin.geometry import Mesh
from armillary.worlds.twin.mass import mass_kg, mass_matrix, volume_m3
from armillary.worlds.twin.material_table import TableMaterial, guess_material
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.quantity import Quantity
from armillary.worlds.twin.readiness import check_asset
from armillary.worlds.twin.readiness_finding import WHOLE, at_body, at_joint, at_material, at_shape
from armillary.worlds.twin.readiness_matter import DENSITY, FRICTION, RESTITUTION
from armillary.worlds.twin.readiness_mesh import repaired
from armillary.worlds.twin.readiness_shapes import FINE
from armillary.worlds.twin.readiness_whole import label_from
from armillary.worlds.twin.standing import has_volume

_LIMITS_NOTE = "nobody said: so wide that it hinders nothing"
_TURNS = 2.0 * pi  # rad either way that a hinge of unknown limits gets


def fix_asset(asset: Asset) -> tuple[Asset, tuple[str, ...]]:
    """The asset with every finding mended that says it is `fixable`, and one line for each thing that was done.

    What is known stays; a number is replaced only where no body can have it (a mass of -1 kg, a friction of 30).
    """
    done: list[str] = []
    # Colliders before materials before masses before inertia: each needs the former.
    for step in (_whole, _labels, _shapes, _materials, _masses, _inertias, _limits):
        asset = step(asset, done.append)
    return asset, tuple(done)


Say = Callable[[str], None]


def _codes(asset: Asset) -> set[tuple[str, str]]:
    """(code, where) of every finding."""
    return {(finding.code, finding.where) for finding in check_asset(asset) if finding.fixable}


def _whole(asset: Asset, say: Say) -> Asset:
    if asset.metres_per_unit is None:
        bounds = asset_bounds(asset)
        size = f"; as it was read it is {diagonal(bounds):.3g} m across" if bounds is not None else ""
        say(f"asset: its unit of length is said to be the metre{size}")
        asset = replace(asset, metres_per_unit=1.0)
    if asset.up_axis is None:
        say("asset: its up axis is said to be Z")
        asset = replace(asset, up_axis="Z")
    return asset


def _labels(asset: Asset, say: Say) -> Asset:
    codes = _codes(asset)
    if ("label-missing", WHOLE) in codes:
        asset = replace(asset, label=label_from(asset.name))
        say(f"asset: labelled {asset.label!r}")
    bodies = []
    for body in asset.bodies:
        if ("label-missing", at_body(body)) in codes:
            body = replace(body, label=label_from(body.name, asset.label, asset.name))
            say(f"{at_body(body)}: labelled {body.label!r}")
        taken = {shape.name for shape in body.shapes}
        shapes = []
        for number, shape in enumerate(body.shapes):
            if not shape.name:
                shape = replace(shape, name=_free(f"{label_from(body.name).replace(' ', '_') or 'shape'}_{number}", taken))
                taken.add(shape.name)
                say(f"{at_body(body)}: shape {number} named {shape.name!r}")
            shapes.append(shape)
        bodies.append(replace(body, shapes=tuple(shapes)))
    return replace(asset, bodies=tuple(bodies))


def _free(name: str, taken: set[str]) -> str:
    """The name, or the first free one of name_1, name_2 ..."""
    return next(one for one in (name, *(f"{name}_{i}" for i in range(1, len(taken) + 2))) if one not in taken)


def _shapes(asset: Asset, say: Say) -> Asset:
    """Damaged meshes mended or replaced by a solid around them, and colliders for what has none."""
    codes = _codes(asset)
    bodies = []
    for body in asset.bodies:
        shapes: list[Shape] = []
        for shape in body.shapes:
            faults = {code for code, where in codes if where == at_shape(body, shape) and code.startswith("mesh-")}
            shapes += _mended(body, shape, say) if faults else [shape]
        if ("collider-missing", at_body(body)) in codes:
            shapes = [new for shape in shapes for new in _colliding(body, shape, say)]
        bodies.append(replace(body, shapes=tuple(shapes)))
    return replace(asset, bodies=tuple(bodies))


def _mended(body: Body, shape: Shape, say: Say) -> list[Shape]:
    mesh = repaired(shape.geometry)
    if mesh.solid() is not None:
        say(f"{at_shape(body, shape)}: vertices merged, empty faces removed and the rest turned outwards, as far as each was needed")
        return [replace(shape, geometry=mesh)]
    solid = _around(body, shape, say)
    return [replace(shape, role="visual"), solid] if shape.role == "both" else [solid]


def _colliding(body: Body, shape: Shape, say: Say) -> list[Shape]:
    """A drawn shape that collides too: itself where it can, else with a solid around it."""
    if isinstance(shape.geometry, Mesh) and (shape.geometry.solid() is None or len(shape.geometry.faces) > FINE):
        return [shape, _around(body, shape, say)]
    say(f"{at_shape(body, shape)}: collides as it is drawn")
    return [replace(shape, role="both")]


def _around(body: Body, shape: Shape, say: Say) -> Shape:
    geometry, pose = fit_solid(shape.geometry.vertices)
    name = _free(f"{shape.name}_collider", {one.name for one in body.shapes})
    say(f"{at_shape(body, shape)}: a {type(geometry).__name__.lower()} around it collides")
    return Shape(name=name, geometry=geometry, pose=shape.pose.then(pose), role="collider", material=shape.material)


def _materials(asset: Asset, say: Say) -> Asset:
    """Materials for colliders without one, then what each does not say, or says but cannot have."""
    asset = _dressed(asset, say)
    codes = _codes(asset)
    materials = []
    for material in asset.materials:
        row = _row_for(asset, material)
        for name, bounds in (("density", DENSITY), ("friction", FRICTION), ("restitution", RESTITUTION)):
            wanted = {(f"{name}-missing", at_material(material)), (f"{name}-implausible", at_material(material))}
            old: Quantity | None = getattr(material, name)
            if name == "density" and _weighed(asset, material):
                # A guess must not contradict a mass that is known; bodies of this material without one get a mass of their own.
                if codes & wanted and old is not None:
                    say(f"{at_material(material)}: density {old.value:g} left out, since masses are known")
                    material = replace(material, density=None)
            elif codes & wanted or (old is None and ("material-without-physics", at_material(material)) in codes):
                filled = getattr(row, name)
                say(f"{at_material(material)}: {name} {filled.value:g} ({filled.low:g} to {filled.high:g}) as {row.name}")
                material = replace(material, **{name: filled})
            elif old is not None and ("range-impossible", at_material(material)) in codes:
                clipped = _clipped(old, *bounds)
                if clipped != old:
                    say(f"{at_material(material)}: {name} kept between {clipped.low:g} and {clipped.high:g}")
                    material = replace(material, **{name: clipped})
        materials.append(material)
    return replace(asset, materials=tuple(materials))


def _weighed(asset: Asset, material: Material) -> bool:
    """Whether a body that is partly of this material says its own mass."""
    with_mass = (body for body in asset.bodies if body.mass is not None and body.mass.value > 0)
    return any(shape.material == material.name for body in with_mass for shape in body.shapes)


def _clipped(quantity: Quantity, low: float, high: float) -> Quantity:
    return replace(quantity, low=max(quantity.low, low), high=min(quantity.high, high))


def _row_for(asset: Asset, material: Material) -> TableMaterial:
    """By its own name, else by the names and labels of what is made of it."""
    users = [(shape.name, body.name, body.label) for body in asset.bodies for shape in body.shapes if shape.material == material.name]
    return guess_material(material.name, *(text for texts in users for text in texts), asset.name, asset.label)


def _dressed(asset: Asset, say: Say) -> Asset:
    """With a material for each collider that has none: that of the body's other shapes, else one of the table."""
    made: dict[str, Material] = {}
    bodies = []
    for body in asset.bodies:
        shapes = []
        for shape in body.shapes:
            if shape.role != "visual" and not shape.material:
                name = next((one.material for one in body.shapes if one.material), "")
                if not name:
                    row = guess_material(shape.name, body.name, body.label, asset.name, asset.label)
                    density = row.density if body.mass is None else None
                    name = f"estimated {row.name}" if density else f"estimated surface of {row.name}"
                    if name not in {one.name for one in asset.materials}:
                        made[name] = Material(name=name, density=density, friction=row.friction, restitution=row.restitution)
                say(f"{at_shape(body, shape)}: made of {name!r}")
                shape = replace(shape, material=name)
            shapes.append(shape)
        bodies.append(replace(body, shapes=tuple(shapes)))
    return replace(asset, bodies=tuple(bodies), materials=(*asset.materials, *made.values()))


def _masses(asset: Asset, say: Say) -> Asset:
    codes = _codes(asset)
    bodies = []
    for body in asset.bodies:
        if {("mass-missing", at_body(body)), ("mass-not-positive", at_body(body))} & codes:
            body = replace(body, mass=_estimated_mass(asset, replace(body, mass=None)))
            say(f"{at_body(body)}: mass {body.mass.value:.3g} kg ({body.mass.low:.3g} to {body.mass.high:.3g})")
        elif body.mass is not None and ("range-impossible", at_body(body)) in codes:
            body = replace(body, mass=replace(body.mass, low=body.mass.value / 2.0))
            say(f"{at_body(body)}: mass at least {body.mass.low:.3g} kg")
        bodies.append(replace(body))
    return replace(asset, bodies=tuple(bodies))


def _estimated_mass(asset: Asset, body: Body) -> Quantity:
    """Volume times density; the volume of the box around it where its shapes enclose none."""
    names = [shape.material for shape in body.shapes if shape.role != "visual" and shape.material]
    known = next((asset.material(name).density for name in names if asset.material(name).density is not None), None)
    density = known or guess_material(*names, body.name, body.label, asset.name, asset.label).density
    mass = mass_kg(asset, body)
    if mass is None:
        bounds = body_bounds(body)
        boxed = float(np.prod(np.maximum(np.ptp(bounds, axis=0), THIN_M)))
        mass = density.value * (volume_m3(body) if has_volume(body) else boxed)
    note = f"volume times density {density.value:.4g} kg/m3"
    return Quantity(mass, "estimated", mass * density.low / density.value, mass * density.high / density.value, note)


def _inertias(asset: Asset, say: Say) -> Asset:
    """Inertia and centre of mass from the shapes, where those given cannot be or none follows."""
    wrong = {where for code, where in _codes(asset) if code.startswith("inertia-") or code == "centre-outside"}
    bodies = []
    for body in asset.bodies:
        if at_body(body) in wrong:
            inertia = _estimated_inertia(asset, replace(body, inertia=None))
            words = ", ".join(f"{moment.value:.3g}" for moment in inertia.moments) if inertia else "left out"
            say(f"{at_body(body)}: inertia (kg m2) and centre of mass from its shapes: {words}")
            body = replace(body, inertia=inertia)
        bodies.append(body)
    return replace(asset, bodies=tuple(bodies))


def _estimated_inertia(asset: Asset, body: Body) -> Inertia | None:
    """Of the shapes, or of the box around them where they enclose nothing; None for what stands still and has no mass."""
    if mass_kg(asset, body) is None:
        return None
    if has_volume(body):
        mass, centre, matrix = mass_matrix(asset, body)
        note = "from its shapes, filled evenly"
    else:
        bounds, mass = body_bounds(body), mass_kg(asset, body)
        squares = np.ptp(bounds, axis=0) ** 2
        centre, matrix = bounds.mean(axis=0), np.diag(squares.sum() - squares) * mass / 12.0
        note = "of the box around its shapes, filled evenly"
    moments, axes = np.linalg.eigh(matrix)
    axes[:, 2] *= np.sign(np.linalg.det(axes))
    frame = np.eye(4)
    frame[:3, :3], frame[:3, 3] = axes, centre
    return Inertia(tuple(Quantity(float(moment), "estimated", note=note) for moment in moments), Pose.of_matrix(frame))


def _limits(asset: Asset, say: Say) -> Asset:
    codes, whole = _codes(asset), asset_bounds(asset)
    joints: list[Joint] = []
    for joint in asset.joints:
        if ("limits-reversed", at_joint(joint)) in codes:
            joint = replace(joint, limits=joint.limits[::-1])
            say(f"{at_joint(joint)}: limits exchanged, now {joint.limits[0].value:g} to {joint.limits[1].value:g}")
        elif ("limits-missing", at_joint(joint)) in codes:
            far = _TURNS if joint.kind == "hinge" else diagonal(whole) if whole is not None else 1.0
            joint = replace(joint, limits=tuple(Quantity(x, "estimated", note=_LIMITS_NOTE) for x in (-far, far)))
            say(f"{at_joint(joint)}: limits -{far:.3g} to {far:.3g} {'rad' if joint.kind == 'hinge' else 'm'}, wide since nobody said")
        joints.append(joint)
    return replace(asset, joints=tuple(joints))
