"""How a body stands in its asset: whether it can move, which others are one piece with it, and what it merely connects."""

import numpy as np

from armillary.worlds.twin.asset import WORLD, Asset, Body
from armillary.worlds.twin.geometry import Plane

SAME_PLACE_M = 1e-6  # how far a body that hangs on several joints may be from the steps between them, which files place where it is


def can_move(asset: Asset, body: Body) -> bool:
    """Whether it needs a mass: not where fixed joints hold it to the world, nor where it is a plane, which never moves."""
    if any(isinstance(shape.geometry, Plane) for shape in body.shapes):
        return False
    joint = asset.joint_to(body.name)
    while joint is not None and joint.kind == "fixed":
        if joint.parent == WORLD:
            return False
        joint = asset.joint_to(joint.parent)
    return True


def has_volume(body: Body) -> bool:
    """Whether a mass and an inertia can follow from its shapes: one that collides encloses a volume, or one drawn where none collides."""
    colliding = [shape for shape in body.shapes if shape.role != "visual"]
    return any(shape.geometry.solid() is not None for shape in colliding or body.shapes)


def is_frame(asset: Asset, body: Body) -> bool:
    """Whether a body without shapes stands for a place only: fixed to another, or a massless step between the joints of one body."""
    joint = asset.joint_to(body.name)
    if body.shapes or joint is None:
        return False
    if joint.kind == "fixed":
        return True
    onward = [asset.body(one.child) for one in asset.joints if one.parent == body.name]
    if body.mass is not None or len(onward) != 1:
        return False
    return bool(np.linalg.norm(np.array(onward[0].pose.position) - np.array(body.pose.position)) <= SAME_PLACE_M)


def piece(asset: Asset, name: str) -> str:
    """The body that stands for all that fixed joints and frames make one piece with the body `name`; WORLD for what is fixed to it."""
    while name != WORLD:
        joint = asset.joint_to(name)
        if joint is None or not (joint.kind == "fixed" or is_frame(asset, asset.body(name))):
            return name
        name = joint.parent
    return WORLD
