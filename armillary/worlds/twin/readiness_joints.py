"""Checks of joints: limits, anchors, losses and drives."""

import math
from collections.abc import Iterator

import numpy as np

from armillary.worlds.twin.asset import WORLD, Asset, Joint
from armillary.worlds.twin.extent import asset_bounds, body_bounds, diagonal, distance
from armillary.worlds.twin.name_words import words_in
from armillary.worlds.twin.readiness_finding import ERROR, WARNING, Finding, at_joint

HINGE_SPAN = 4.0 * math.pi + 0.1  # rad: wrists of robots turn twice round; 90 read as radians would be 14 turns
SLIDE_SPAN = 4.0  # of the asset's diagonal: a telescope of five tubes comes to 4
ANCHOR = 1.0  # of the larger body's diagonal that an anchor may be away from both
ENDLESS = frozenset(
    (
        "wheel",
        "wheels",
        "rotor",
        "propeller",
        "caster",
        "castor",
        "roller",
        "spinner",
        "turntable",
        "fan",
        "crank",
        "gyro",
        "pulley",
        "gear",
    )
)


def check_joints(asset: Asset) -> Iterator[Finding]:
    """Of each joint."""
    whole = asset_bounds(asset)
    size = diagonal(whole) if whole is not None else None
    for joint in asset.joints:
        if joint.kind in ("hinge", "slide"):
            yield from _limits(asset, joint, size)
        if joint.kind in ("hinge", "ball"):
            yield from _anchor(asset, joint)
        yield from _losses(joint)
        yield from _drive(joint)


def endless(asset: Asset, joint: Joint) -> bool:
    """Whether it is meant to turn for ever: its names or labels say so, or a motor holds its speed and no position."""
    if joint.kind != "hinge":
        return False
    body = asset.body(joint.child)
    holds_speed = joint.drive is not None and joint.drive.stiffness.value == 0 and joint.drive.damping.value > 0
    return holds_speed or bool(ENDLESS & set(words_in(f"{joint.name} {body.name} {body.label}")))


def _limits(asset: Asset, joint: Joint, size: float | None) -> Iterator[Finding]:
    def found(code: str, severity: str, problem: str, fix: str, fixable: bool) -> Finding:
        return Finding(code=code, severity=severity, where=at_joint(joint), problem=problem, fix=fix, fixable=fixable)

    unit = "rad" if joint.kind == "hinge" else "m"
    if joint.limits is None:
        if not endless(asset, joint):
            fix = "say how far it goes; --fix says very far, so that it is written down"
            yield found("limits-missing", WARNING, f"a {joint.kind} without limits goes through everything", fix, True)
        return
    low, high = (limit.value for limit in joint.limits)
    if low >= high:
        yield found(
            "limits-reversed",
            ERROR,
            f"limits {low:g} to {high:g} {unit} leave it no way to go",
            "give the lower one first" if low > high else "give two different limits, or make the joint fixed",
            low > high,
        )
        return
    most = HINGE_SPAN if joint.kind == "hinge" else SLIDE_SPAN * size if size else math.inf
    if high - low > most:
        fix = "give limits in " + ("radians, not degrees" if joint.kind == "hinge" else "metres")
        yield found("limits-too-wide", ERROR, f"limits {low:g} to {high:g} {unit} are wider than {most:.3g} {unit}", fix, False)


def _anchor(asset: Asset, joint: Joint) -> Iterator[Finding]:
    at = np.array(joint.frame.position)
    bodies = [asset.body(name) for name in (joint.child, joint.parent) if name != WORLD]
    boxes = [box for box in (body_bounds(body, body.pose) for body in bodies) if box is not None]
    if not boxes:
        return
    away, most = min(distance(box, at) for box in boxes), ANCHOR * max(diagonal(box) for box in boxes)
    if away > most:
        yield Finding(
            code="anchor-away",
            severity=WARNING,
            where=at_joint(joint),
            problem=f"its anchor {tuple(float(x) for x in at.round(4))} m is {away:.3g} m from the nearer of the bodies that it joins",
            fix="move the anchor to where the bodies meet (in the asset's frame, in metres)",
        )


def _losses(joint: Joint) -> Iterator[Finding]:
    for name in ("damping", "friction", "armature"):
        quantity = getattr(joint, name)
        if quantity is not None and quantity.value < 0:
            yield Finding(
                code="losses-negative",
                severity=ERROR,
                where=at_joint(joint),
                problem=f"{name} {quantity.value:g} is negative, which makes energy from nothing",
                fix=f"give a {name} of 0 or more",
            )


def _drive(joint: Joint) -> Iterator[Finding]:
    drive = joint.drive
    if drive is None:
        return
    stiffness, damping = drive.stiffness.value, drive.damping.value
    gains = f"stiffness {stiffness:g} and damping {damping:g}"
    if stiffness < 0 or damping < 0:
        problem, fix, severity = f"{gains}: a negative one drives it away from its target", "give gains of 0 or more", ERROR
        yield Finding(code="drive-gains", severity=severity, where=at_joint(joint), problem=problem, fix=fix)
    elif stiffness == 0 and damping == 0:
        problem, fix, severity = (
            f"{gains}: the motor holds neither place nor speed",
            "give it a stiffness or a damping, unless forces command it",
            WARNING,
        )
        yield Finding(code="drive-gains", severity=severity, where=at_joint(joint), problem=problem, fix=fix)
    # Undamped and unbounded is a passive spring, which needs no greatest force.
    if drive.max_force is None and (damping != 0 or stiffness <= 0):
        problem, fix = "the motor has no greatest force, so it is as strong as it takes", "give max_force, which its datasheet has"
        yield Finding(code="drive-unbounded", severity=WARNING, where=at_joint(joint), problem=problem, fix=fix)
    elif drive.max_force is not None and drive.max_force.value <= 0:
        problem, fix = f"the motor's greatest force is {drive.max_force.value:g}", "give a max_force above 0, which its datasheet has"
        yield Finding(code="drive-unbounded", severity=ERROR, where=at_joint(joint), problem=problem, fix=fix)
