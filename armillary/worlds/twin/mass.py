"""What a body weighs and where: from its own numbers, else from its shapes and their materials."""

import numpy as np
from jaxtyping import Float64

from armillary.worlds.twin.asset import Asset, Body
from armillary.worlds.twin.geometry import Solid


def volume_m3(body: Body) -> float:
    """Of the shapes that collide, or of those that are drawn where none collides; overlaps count twice."""
    return sum(solid.volume for _, solid in _solids(body))


def mass_kg(asset: Asset, body: Body) -> float | None:
    """The body's own mass, else that of its solids; None where a solid's density is unknown or there is no solid."""
    if body.mass is not None:
        return body.mass.value
    parts = _solids(body)
    densities = [asset.material(shape.material).density if shape.material else None for shape, _ in parts]
    if not parts or any(density is None for density in densities):
        return None
    return sum(density.value * solid.volume for density, (_, solid) in zip(densities, parts, strict=True))


def mass_matrix(asset: Asset, body: Body) -> tuple[float, Float64[np.ndarray, "3"], Float64[np.ndarray, "3 3"]] | None:
    """(mass kg, centre m, inertia kg m2 about the centre, in the body's axes); None where the mass is unknown.

    A given inertia counts as given. Otherwise the mass is spread over the solids by their densities, or evenly where one is unknown.
    """
    mass = mass_kg(asset, body)
    if mass is None:
        return None
    if body.inertia is not None:
        return mass, np.array(body.inertia.frame.position), body.inertia.matrix()
    parts = _solids(body)
    if not parts:
        return mass, np.zeros(3), np.zeros((3, 3))
    densities = [asset.material(shape.material).density if shape.material else None for shape, _ in parts]
    even = any(density is None for density in densities)
    weights = np.array([solid.volume * (1.0 if even else density.value) for (_, solid), density in zip(parts, densities, strict=True)])
    if not weights.sum() > 0:  # nothing has a weight, and the body none either
        return mass, np.zeros(3), np.zeros((3, 3))
    weights *= mass / weights.sum()
    centres = np.stack([shape.pose.apply(solid.centre) for shape, solid in parts])
    centre = (weights[:, None] * centres).sum(axis=0) / mass
    inertia = np.zeros((3, 3))
    for (shape, solid), weight, at in zip(parts, weights, centres - centre, strict=True):
        turning = shape.pose.rotation()
        inertia += turning @ solid.inertia @ turning.T * weight / solid.volume
        inertia += weight * (at @ at * np.eye(3) - np.outer(at, at))
    return mass, centre, inertia


def _solids(body: Body) -> list[tuple]:
    """(shape, its solid) of the shapes that count."""
    colliding = [shape for shape in body.shapes if shape.role != "visual"]
    found: list[tuple] = []
    for shape in colliding or body.shapes:
        solid: Solid | None = shape.geometry.solid()
        if solid is not None:
            found.append((shape, solid))
    return found
