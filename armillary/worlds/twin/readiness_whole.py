"""Checks of the asset as a whole: units, size, axes, where it stands, names and labels."""

from collections.abc import Iterator

import numpy as np

from armillary.worlds.twin.asset import Asset
from armillary.worlds.twin.extent import asset_bounds, diagonal, distance
from armillary.worlds.twin.name_words import words_in
from armillary.worlds.twin.readiness_finding import ERROR, WARNING, WHOLE, Finding, at_body, at_shape

SIZE_M = (0.003, 200.0)  # a small screw; a hall. Millimetres read as metres make a mug of 100 m, metres read as millimetres one of 0.1 mm
AWAY = (
    0.5  # of the asset's diagonal that the origin may be outside its box: on the floor, in its middle or on a table under it are all usual
)


def check_whole(asset: Asset) -> Iterator[Finding]:
    """Units, up axis, size and place."""
    if asset.metres_per_unit is None:
        problem, fix = (
            "does not say what its unit of length is",
            "say how many metres a unit is; --fix keeps the size that was read, in metres",
        )
        yield Finding(code="units-missing", severity=WARNING, where=WHOLE, problem=problem, fix=fix, fixable=True)
    elif not asset.metres_per_unit > 0:
        problem = f"its unit of length is {asset.metres_per_unit:g} metres"
        yield Finding(code="units-implausible", severity=ERROR, where=WHOLE, problem=problem, fix="say how many metres a unit is")
    if asset.up_axis is None:
        problem, fix = "does not say which axis points up", "say Z or Y; --fix says Z, as it was read"
        yield Finding(code="up-axis-missing", severity=WARNING, where=WHOLE, problem=problem, fix=fix, fixable=True)
    bounds = asset_bounds(asset)
    if bounds is None:
        return
    size = diagonal(bounds)
    if not SIZE_M[0] <= size <= SIZE_M[1]:
        problem = f"is {size:.3g} m across, outside {SIZE_M[0]:g} to {SIZE_M[1]:g} m"
        yield Finding(code="units-implausible", severity=ERROR, where=WHOLE, problem=problem, fix="correct the unit of length or the scale")
    away = distance(bounds, np.zeros(3))
    if away > AWAY * size:
        yield Finding(
            code="root-away",
            severity=WARNING,
            where=WHOLE,
            problem=f"stands {away:.3g} m from its own origin, and is {size:.3g} m across",
            fix="move it so that the origin is on the ground under it or in its middle",
        )


def check_names(asset: Asset) -> Iterator[Finding]:
    """Shapes without names, and bodies and assets that do not say what they are."""
    if not asset.label and len(asset.bodies) > 1:
        problem, fix = "has no label that says what it is", "give it a label such as 'door'; --fix makes one of its name"
        yield Finding(code="label-missing", severity=WARNING, where=WHOLE, problem=problem, fix=fix, fixable=bool(label_from(asset.name)))
    for body in asset.bodies:
        if body.shapes and not body.label and not (len(asset.bodies) == 1 and asset.label):
            problem, fix = "has no label that says what it is, for segmentation", "give it a label; --fix makes one of its name"
            fixable = bool(label_from(body.name, asset.label, asset.name))
            yield Finding(code="label-missing", severity=WARNING, where=at_body(body), problem=problem, fix=fix, fixable=fixable)
        for shape in body.shapes:
            if not shape.name:
                problem, fix = "has no name to speak of it by", "name it; --fix makes a name of its body's"
                yield Finding(code="name-missing", severity=WARNING, where=at_shape(body, shape), problem=problem, fix=fix, fixable=True)


def label_from(*names: str) -> str:
    """The words of the first name that has any; "" where none does.

    >>> label_from("usd/box_02", "FrontDoor")
    'box'
    """
    for name in names:
        words = [word for word in words_in(name.rsplit("/", 1)[-1]) if len(word) > 1]
        if words:
            return " ".join(words)
    return ""
