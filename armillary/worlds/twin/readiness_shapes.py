"""Checks of shapes: bodies without any, colliders that are missing, elsewhere, damaged, too fine, or inside one another."""

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from jaxtyping import Float64

from armillary.worlds.twin.asset import WORLD, Asset, Body, Shape
from armillary.worlds.twin.extent import Bounds, body_bounds, diagonal, overlap
from armillary.worlds.twin.geometry import Mesh, Plane
from armillary.worlds.twin.readiness_finding import ERROR, WARNING, Finding, at_body, at_shape
from armillary.worlds.twin.readiness_mesh import degenerate, weld
from armillary.worlds.twin.standing import can_move, is_frame, piece

SHARED = 0.5  # of their joint volume that the boxes of collider and drawn shape must share, both grown as below
MARGIN = 0.05  # of the diagonal, on every side: a handle that sticks out of a door need not collide
FINE = 10_000  # faces: contacts search them all; a convex piece is served well by 64
INSIDE = 0.6  # boxes are shrunk to this share before they count as inside one another: neighbours touch, and boxes are bigger than shapes


def check_shapes(asset: Asset) -> Iterator[Finding]:
    """Of each body alone."""
    for body in asset.bodies:
        if not body.shapes:
            yield from _empty(asset, body)
            continue
        colliders = [shape for shape in body.shapes if shape.role != "visual"]
        if not colliders:
            yield Finding(
                code="collider-missing",
                severity=ERROR if can_move(asset, body) else WARNING,
                where=at_body(body),
                problem="is drawn but collides with nothing",
                fix="add colliders; --fix takes closed meshes as they are and fits a box, cylinder or ball to the others",
                fixable=True,
            )
        yield from _elsewhere(body)
        for shape in colliders:
            if isinstance(shape.geometry, Mesh):
                yield from _mesh(asset, body, shape, shape.geometry)


def _empty(asset: Asset, body: Body) -> Iterator[Finding]:
    if not is_frame(asset, body):
        yield Finding(
            code="body-without-shapes",
            severity=WARNING,
            where=at_body(body),
            problem="has no shape: it is neither drawn nor touched",
            fix="give it shapes, or fix it to another body if it only marks a place",
        )


def _elsewhere(body: Body) -> Iterator[Finding]:
    colliding, drawn = body_bounds(body, without="visual"), body_bounds(body, without="collider")
    if colliding is None or drawn is None:
        return
    grow = MARGIN * max(diagonal(colliding), diagonal(drawn)) * np.array([[-1.0], [1.0]])
    shared = overlap(colliding + grow, drawn + grow)
    if shared < SHARED:
        yield Finding(
            code="collider-elsewhere",
            severity=ERROR,
            where=at_body(body),
            problem=f"what collides and what is drawn share {shared:.0%} of their box: {_words(colliding)} against {_words(drawn)}",
            fix="move or scale its colliders to where it is drawn",
        )


def _words(bounds: Bounds) -> str:
    """Size and place."""
    size, centre = np.ptp(bounds, axis=0), bounds.mean(axis=0)
    return f"{' x '.join(f'{x:.3g}' for x in size)} m at ({', '.join(f'{x:.3g}' for x in centre)})"


def _mesh(asset: Asset, body: Body, shape: Shape, mesh: Mesh) -> Iterator[Finding]:
    def found(code: str, severity: str, problem: str, fix: str, fixable: bool) -> Finding:
        return Finding(code=code, severity=severity, where=at_shape(body, shape), problem=problem, fix=fix, fixable=fixable)

    if len(mesh.faces) > FINE:
        problem = f"collides with {len(mesh.faces):,} faces, more than {FINE:,}"
        yield found("collider-too-fine", WARNING, problem, "let a convex hull, a few convex pieces or a primitive collide instead", False)
    flat = int(degenerate(mesh).sum())
    if flat:
        problem = f"{flat} of its {len(mesh.faces)} faces have no area"
        yield found("mesh-degenerate", WARNING, problem, "remove these faces and merge their vertices", True)
    if not can_move(asset, body) or mesh.solid() is not None:
        return
    welded = weld(mesh)
    if mesh.closed() or welded.closed():
        if welded.solid() is None:
            yield found("mesh-inside-out", ERROR, "its faces look inwards, so it has no volume", "turn every face over", True)
        else:
            problem = "its faces share no vertices, so it encloses nothing"
            yield found("mesh-unwelded", WARNING, problem, "merge the vertices that are at one place", True)
    else:
        problem = "is not closed, or its faces disagree about outside, so it has no volume"
        yield found("mesh-open", ERROR, problem, "close it; --fix lets a box, cylinder or ball around it collide instead", True)


def check_overlaps(asset: Asset) -> Iterator[Finding]:
    """Bodies that are deep inside one another where every joint is at 0, and not joined to each other: they would burst apart."""
    pieces = {body.name: piece(asset, body.name) for body in asset.bodies}
    joined = {(pieces[joint.child], pieces[joint.parent] if joint.parent else WORLD) for joint in asset.joints}
    boxes = {body.name: _boxes(body) for body in asset.bodies}
    for first, second in combinations(asset.bodies, 2):
        one, other = pieces[first.name], pieces[second.name]
        if one == other or (one, other) in joined or (other, one) in joined:
            continue
        if any(_inside(a, b) for a in boxes[first.name] for b in boxes[second.name]):
            yield Finding(
                code="colliders-overlap",
                severity=WARNING,
                where=at_body(second),
                problem=f"is inside {at_body(first)} where every joint is at 0, and no joint connects them",
                fix="move them apart or make their colliders smaller",
            )


def _boxes(body: Body) -> list[tuple]:
    """(centre, axes as columns, half sizes) in the asset's frame of the boxes around each collider, shrunk to what surely is inside."""
    found = []
    for shape in body.shapes:
        if shape.role != "visual" and not isinstance(shape.geometry, Plane):
            low, high = shape.geometry.bounds()
            placed = body.pose.then(shape.pose)
            found.append((placed.apply((low + high) / 2.0), placed.rotation(), INSIDE * (high - low) / 2.0))
    return found


def _inside(one: tuple, other: tuple) -> bool:
    """Whether two boxes share a point: no axis keeps them apart (the separating axis theorem: faces, and edges crossed with edges)."""
    (centre, axes, half), (centre_2, axes_2, half_2) = one, other
    between = centre_2 - centre
    if np.linalg.norm(between) > np.linalg.norm(half) + np.linalg.norm(half_2):
        return False
    crossed = np.cross(axes.T[:, None], axes_2.T[None]).reshape(-1, 3)
    tried: Float64[np.ndarray, "15 3"] = np.concatenate([axes.T, axes_2.T, crossed])
    reach = np.abs(tried @ axes) @ half + np.abs(tried @ axes_2) @ half_2
    # parallel edges give a zero axis, which separates nothing
    return bool((np.abs(tried @ between) <= reach + 1e-12).all())
