"""Checks of matter: materials, densities, friction, restitution, masses, centres of mass and inertia."""

from collections.abc import Iterator

import numpy as np

from armillary.worlds.twin.asset import Asset, Body, Material
from armillary.worlds.twin.extent import body_bounds, diagonal, shape_bounds
from armillary.worlds.twin.geometry import Plane
from armillary.worlds.twin.mass import mass_kg
from armillary.worlds.twin.material_table import find_materials
from armillary.worlds.twin.quantity import Quantity
from armillary.worlds.twin.readiness_finding import ERROR, WARNING, Finding, at_body, at_material, at_shape
from armillary.worlds.twin.standing import can_move, has_volume

DENSITY = (1.0, 25_000.0)  # kg/m3: air has 1.2, the densest metal 22,600
FRICTION = (0.0, 2.0)  # rubber on dry asphalt reaches 1.2, racing tyres 1.7; more is glue
RESTITUTION = (0.0, 1.0)  # less or more than that would need or make energy
OF_ITS_NAME = 2.0  # a part may be this many times lighter or heavier than its material's range: it is porous, filled or an alloy
TOO_HEAVY = 2.0  # times its densest solid: colliders may be smaller than the thing itself
HOLLOW = 0.01  # of its solid: an empty cardboard box of 0.4 m weighs a hundredth of a full one
TRIANGLE = 0.01  # of the largest moment: files keep few digits
TOO_STIFF = 2.0  # times the inertia of all mass at the farthest corner: colliders may be smaller than the thing itself
TOO_LOOSE = 0.01  # of the inertia of an even block: a heavy motor at one end of a long arm comes to 0.04
OFF_CENTRE = 0.05  # of the diagonal that the centre of mass may lie outside the shapes, which are simplified


def check_materials(asset: Asset) -> Iterator[Finding]:
    """What is unsaid or impossible about each material that something collides with, and impossible about the others."""
    colliding = {shape.material for body in asset.bodies for shape in body.shapes if shape.role != "visual"}
    weighing = {shape.material for body in asset.bodies if body.mass is None and can_move(asset, body) for shape in body.shapes}
    for material in asset.materials:
        if material.name in colliding:
            yield from _unsaid(material, material.name in weighing)
        yield from _impossible(material)
        yield from _against_its_name(material)
    for body in asset.bodies:
        for shape in body.shapes:
            if shape.role != "visual" and not shape.material:
                yield Finding(
                    code="collider-without-material",
                    severity=WARNING,
                    where=at_shape(body, shape),
                    problem="collides, but has no material, so its friction and restitution are the simulator's",
                    fix="give it a material with density, friction and restitution",
                    fixable=True,
                )


def _unsaid(material: Material, weighs: bool) -> Iterator[Finding]:
    missing = [name for name in ("density", "friction", "restitution") if getattr(material, name) is None]
    if len(missing) == 3:
        yield Finding(
            code="material-without-physics",
            severity=ERROR if weighs else WARNING,
            where=at_material(material),
            problem="says how it looks but not its density, friction or restitution",
            fix="measure them or take them from a table",
            fixable=True,
        )
        return
    for name in missing:
        if name != "density" or weighs:
            yield Finding(
                code=f"{name}-missing",
                severity=ERROR if name == "density" else WARNING,
                where=at_material(material),
                problem=f"has no {name}, " + ("which masses follow from" if name == "density" else "so the simulator puts its own in"),
                fix=f"measure its {name} or take it from a table",
                fixable=True,
            )


def _impossible(material: Material) -> Iterator[Finding]:
    for name, (low, high), unit in (("density", DENSITY, " kg/m3"), ("friction", FRICTION, ""), ("restitution", RESTITUTION, "")):
        quantity: Quantity | None = getattr(material, name)
        if quantity is None:
            continue
        if not low <= quantity.value <= high:
            yield Finding(
                code=f"{name}-implausible",
                severity=ERROR,
                where=at_material(material),
                problem=f"{name} {quantity.value:g}{unit} is outside {low:g} to {high:g}{unit}",
                fix="correct it (the unit?); --fix takes a table's",
                fixable=True,
            )
        elif quantity.low < min(low, 0.0) or (name == "restitution" and quantity.high > high):
            yield Finding(
                code="range-impossible",
                severity=WARNING,
                where=at_material(material),
                problem=f"{name} is said to lie between {quantity.low:g} and {quantity.high:g}{unit}, and randomisation draws from there",
                fix=f"keep the range within {low:g} to {high:g}{unit}",
                fixable=True,
            )


def _against_its_name(material: Material) -> Iterator[Finding]:
    rows, density = find_materials(material.name), material.density
    if not rows or density is None or not DENSITY[0] <= density.value <= DENSITY[1]:
        return
    if any(row.density.low / OF_ITS_NAME <= density.value <= row.density.high * OF_ITS_NAME for row in rows):
        return
    yield Finding(
        code="density-against-name",
        severity=ERROR,
        where=at_material(material),
        problem=f"density {density.value:g} kg/m3 is not that of {rows[0].name} ({rows[0].density.low:g} to {rows[0].density.high:g})",
        fix="correct the density, or the material's name",
    )


def check_masses(asset: Asset) -> Iterator[Finding]:
    """Masses that are unknown, not positive, or not those of the shapes and their materials."""
    for body in asset.bodies:
        if body.mass is not None and body.mass.value <= 0:
            yield Finding(
                code="mass-not-positive",
                severity=ERROR,
                where=at_body(body),
                problem=f"mass {body.mass.value:g} kg: nothing weighs so little",
                fix="weigh it; --fix takes volume times density",
                fixable=body_bounds(body) is not None,
            )
        elif body.mass is not None and body.mass.low <= 0:
            yield Finding(
                code="range-impossible",
                severity=WARNING,
                where=at_body(body),
                problem=f"mass is said to lie between {body.mass.low:g} and {body.mass.high:g} kg, and randomisation draws from there",
                fix="keep the range above 0 kg",
                fixable=True,
            )
        elif body.mass is not None:
            yield from _mass_against_volume(asset, body, body.mass.value)
        elif body.shapes and can_move(asset, body) and mass_kg(asset, body) is None:
            yield Finding(
                code="mass-missing",
                severity=ERROR,
                where=at_body(body),
                problem="has no mass, and none follows from its shapes: " + _why_unknown(body),
                fix="weigh it, or say the densities of its materials",
                fixable=True,
            )


def _why_unknown(body: Body) -> str:
    return "a density is not known" if has_volume(body) else "none of them encloses a volume"


def _mass_against_volume(asset: Asset, body: Body, mass: float) -> Iterator[Finding]:
    least, most = _mass_range(asset, body)
    if most is not None and mass > TOO_HEAVY * most:
        problem = f"mass {mass:g} kg, but a solid one of its material (of the densest metal where none is said) weighs {most:.3g} kg"
    elif least is not None and mass < least:
        problem = f"mass {mass:g} kg, but even a hollow one of its material, or full of air, weighs more than {least:.3g} kg"
    else:
        return
    yield Finding(
        code="mass-against-volume",
        severity=ERROR,
        where=at_body(body),
        problem=problem,
        fix="weigh it, and see whether mass, density or the size (the file's unit) is wrong",
    )


def _mass_range(asset: Asset, body: Body) -> tuple[float | None, float | None]:
    """The least that a hollow one of these shapes weighs and the most that a solid one does, kg; None where it cannot be told."""
    least, most = [], []
    for without in ("visual", "collider"):
        shapes = [shape for shape in body.shapes if shape.role != without and not isinstance(shape.geometry, Plane)]
        if not shapes:
            continue
        solids = [shape.geometry.solid() for shape in shapes]
        boxes = [float(np.prod(np.ptp(shape_bounds(shape), axis=0))) for shape in shapes]
        largest = [box if solid is None else solid.volume for solid, box in zip(solids, boxes, strict=True)]
        densities = [asset.material(shape.material).density if shape.material else None for shape in shapes]
        heavy = [DENSITY[1] if density is None else density.high for density in densities]
        # What is hollow still is no lighter than air; where the density is unknown, that is all that can be said.
        light = [DENSITY[0] if density is None else max(DENSITY[0], HOLLOW * density.low) for density in densities]
        most.append(sum(density * volume for density, volume in zip(heavy, largest, strict=True)))
        least.append(sum(density * solid.volume for density, solid in zip(light, solids, strict=True) if solid is not None))
    return min(least, default=None), max(most, default=0.0) or None


def check_inertias(asset: Asset) -> Iterator[Finding]:
    """Inertia that no body has, that no body of this size and mass has, and centres of mass outside the body."""
    for body in asset.bodies:
        if body.inertia is None:
            if body.mass is not None and body.mass.value > 0 and can_move(asset, body) and body.shapes and not has_volume(body):
                yield _inertia(body, "inertia-missing", "has no inertia, and none follows from its shapes, which enclose no volume")
            continue
        moments = sorted(moment.value for moment in body.inertia.moments)
        if moments[0] <= 0:
            yield _inertia(body, "inertia-impossible", f"principal moment {moments[0]:g} kg m2 is not positive")
        elif moments[2] > (moments[0] + moments[1]) + TRIANGLE * moments[2]:
            problem = f"principal moment {moments[2]:g} kg m2 is more than the other two together, which no body has"
            yield _inertia(body, "inertia-impossible", problem)
        else:
            yield from _inertia_against_size(asset, body)
        yield from _centre(body)


def _inertia(body: Body, code: str, problem: str) -> Finding:
    fix = "measure it, or leave it out so that it follows from shapes and mass; --fix does the latter"
    return Finding(code=code, severity=ERROR, where=at_body(body), problem=problem, fix=fix, fixable=body_bounds(body) is not None)


def _inertia_against_size(asset: Asset, body: Body) -> Iterator[Finding]:
    bounds, mass = body_bounds(body), mass_kg(asset, body)
    if bounds is None or mass is None or mass <= 0:
        return
    reach = np.abs(bounds - np.array(body.inertia.frame.position)).max(axis=0) ** 2
    block = (np.ptp(bounds, axis=0) / 2.0) ** 2 / 3.0
    for axis, moment in enumerate(np.diag(body.inertia.matrix())):
        most, even = (mass * float(squares.sum() - squares[axis]) for squares in (reach, block))
        if moment > TOO_STIFF * most:
            problem = f"inertia {moment:.3g} kg m2 about {'xyz'[axis]}, but with all its mass at the corners it would have {most:.3g}"
        elif moment < TOO_LOOSE * even:
            problem = f"inertia {moment:.3g} kg m2 about {'xyz'[axis]}, but an even block of its size and mass has {even:.3g}"
        else:
            continue
        yield _inertia(body, "inertia-against-size", problem)
        return


def _centre(body: Body) -> Iterator[Finding]:
    bounds, centre = body_bounds(body), np.array(body.inertia.frame.position)
    if bounds is None:
        return
    slack = OFF_CENTRE * diagonal(bounds)
    if (centre < bounds[0] - slack).any() or (centre > bounds[1] + slack).any():
        yield Finding(
            code="centre-outside",
            severity=ERROR,
            where=at_body(body),
            problem=f"the centre of mass {tuple(float(x) for x in centre.round(4))} m lies outside its shapes",
            fix="correct it, or leave it out so that it follows from the shapes; --fix does the latter",
            fixable=True,
        )
