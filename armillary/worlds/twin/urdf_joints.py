"""URDF's joints -> Joint."""

from dataclasses import replace
from xml.etree.ElementTree import Element

import numpy as np

from armillary.core import DataError
from armillary.worlds.twin.asset import Joint
from armillary.worlds.twin.axes import z_along
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.quantity import Quantity
from armillary.worlds.twin.xml_files import at_fault, described, numbers

_KINDS = {"fixed": "fixed", "revolute": "hinge", "continuous": "hinge", "prismatic": "slide", "floating": "free", "planar": "slide"}


def joints_of(joint: Element, pose: Pose, parent: str, notes: list[str]) -> tuple[Joint, ...]:
    """The joint at its child's pose (asset_from_link), or a planar one's two slides and hinge; `notes` gains what is not as it was.

    DataError, naming the joint, for an unknown type, an axis without length, or a lower limit above the upper one.
    """
    name, kind = named(joint), joint.get("type", "")
    if kind not in _KINDS:
        raise DataError(f"{described(joint)}: its type must be one of {', '.join(_KINDS)}, received {kind!r}")
    turned = Pose()
    axis = joint.find("axis")
    if kind in ("revolute", "continuous", "prismatic", "planar"):
        with at_fault(f"{described(joint)}, <axis>"):
            turned = z_along((1.0, 0.0, 0.0) if axis is None else numbers(axis, "xyz", (1.0, 0.0, 0.0)))
    dynamics = joint.find("dynamics")
    made = Joint(
        name=name,
        kind=_KINDS[kind],
        child=joint.find("child").get("link"),
        parent=parent,
        frame=pose.then(turned),
        limits=_limits(joint, kind, notes),
        damping=_dynamic(dynamics, "damping"),
        friction=_dynamic(dynamics, "friction"),
    )
    if kind != "planar":
        return (made,)
    notes.append(f"joint {name!r} is planar: here two slides, {name}_x and {name}_y, and a hinge, {name}_turn")
    across = Pose.about((0.0, 1.0, 0.0), np.pi / 2)
    ways = (("x", "slide", across), ("y", "slide", Pose.about((1.0, 0.0, 0.0), -np.pi / 2)), ("turn", "hinge", Pose()))
    return tuple(replace(made, name=f"{name}_{end}", kind=own, frame=made.frame.then(way)) for end, own, way in ways)


def _limits(joint: Element, kind: str, notes: list[str]) -> tuple[Quantity, Quantity] | None:
    limit = joint.find("limit")
    if kind not in ("revolute", "prismatic"):
        return None
    if limit is None or (limit.get("lower") is None and limit.get("upper") is None):
        notes.append(f"joint {joint.get('name')!r} has no lower and upper limit; URDF then means 0 and 0, here it is not limited")
        return None
    low, high = (numbers(limit, end, (0.0,), 1)[0] for end in ("lower", "upper"))
    if low > high:
        raise DataError(f"{described(joint)}: its lower limit {low:g} is above its upper limit {high:g}; exchange them")
    return tuple(Quantity(at, "default" if limit.get(end) is None else "datasheet") for at, end in ((low, "lower"), (high, "upper")))


def _dynamic(dynamics: Element | None, name: str) -> Quantity | None:
    if dynamics is None or dynamics.get(name) is None:
        return None
    return Quantity(numbers(dynamics, name, None, 1)[0], "datasheet")


def origin(element: Element) -> Pose:
    """Where an element's <origin> puts it; nowhere else without one."""
    place = element.find("origin")
    if place is None:
        return Pose()
    roll, pitch, yaw = numbers(place, "rpy", (0.0, 0.0, 0.0))
    turned = Pose.about((0.0, 0.0, 1.0), yaw).then(Pose.about((0.0, 1.0, 0.0), pitch)).then(Pose.about((1.0, 0.0, 0.0), roll))
    x, y, z = numbers(place, "xyz", (0.0, 0.0, 0.0))
    return Pose((x, y, z), turned.turn)


def named(element: Element) -> str:
    """The element's name. DataError if it has none."""
    name = element.get("name", "")
    if not name:
        raise DataError(f"{described(element)} has no name; give it one")
    return name
