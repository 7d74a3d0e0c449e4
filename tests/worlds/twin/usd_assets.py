"""An asset with one of everything, and what "the same up to single precision" means."""

from dataclasses import fields, is_dataclass

import numpy as np

from armillary.worlds.twin.asset import Asset, Body, Drive, Inertia, Joint, Material, Shape
from armillary.worlds.twin.geometry import Box, Capsule, Cylinder, Mesh, Plane, Sphere
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.quantity import Quantity

WEDGE = Mesh(
    np.array([[0.0, 0.0, 0.0], [0.3, 0.0, 0.0], [0.0, 0.2, 0.0], [0.0, 0.0, 0.1]]),
    np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]),
)


def one_of_everything() -> Asset:
    """Every geometry, role, kind of joint and source; names that OpenUSD cannot have; numbers that single precision cannot hold."""
    turned = Pose.about((1.0, 2.0, 3.0), 0.7, (0.1, 0.2, 0.3))
    steel = Material(
        name="brushed steel",
        colour=(0.5, 0.25, 0.125, 0.75),
        density=Quantity(7850.123456789, "measured", 7800.0, 7900.0, "weighed twice"),
        friction=Quantity(0.1234567890123, "estimated"),
        restitution=Quantity(0.3, "default"),
        roughness=0.31,
        metallic=0.9,
    )
    inertia = Inertia(tuple(Quantity(value, "measured") for value in (0.0123456789, 0.02, 0.03)), turned)
    shapes = (
        Shape(name="box", geometry=Box((0.1, 0.2, 0.3)), pose=turned, material="brushed steel"),
        Shape(name="ball", geometry=Sphere(0.123456789), role="collider", material="rubber"),
        Shape(name="box", geometry=Cylinder(0.05, 0.4), role="visual", pose=turned),
        Shape(name="3/caps", geometry=Capsule(0.04, 0.2), pose=turned.inverse()),
    )
    drive = Drive(stiffness=Quantity(123.456789), damping=Quantity(4.56789, "datasheet"), target=0.3, max_force=Quantity(87.0, "datasheet"))
    limits = (Quantity(-1.23456789, "measured", -1.3, -1.2), Quantity(2.0, "datasheet"))
    ground = Shape(name="floor", geometry=Plane((3.0, 2.0)), material="rubber")
    return Asset(
        name="one of everything",
        label="machine",
        materials=(steel, Material(name="rubber", friction=Quantity(1.0, "datasheet")), Material(name="unused")),
        bodies=(
            Body(name="base", shapes=shapes, mass=Quantity(12.3456789012, "measured", note="scales"), inertia=inertia, label="base"),
            Body(name="arm/lower", shapes=(Shape(name="wedge", geometry=WEDGE, pose=turned),), pose=turned),
            Body(name="arm.lower", mass=Quantity(0.5), pose=turned.then(turned)),
            Body(name="head", pose=Pose((0.0, 0.0, 2.0)), label="head"),
            Body(name="tail", shapes=(Shape(name="tail", geometry=Box((0.1, 0.1, 0.1))),), pose=Pose((0.0, 1.0, 2.0))),
            Body(name="loose", inertia=inertia),
            Body(name="ground", shapes=(ground,)),
        ),
        joints=(
            Joint(name="shoulder", kind="hinge", child="arm/lower", parent="base", frame=turned, limits=limits, drive=drive),
            Joint(
                name="rail",
                kind="slide",
                child="arm.lower",
                parent="arm/lower",
                frame=turned.then(turned),
                limits=limits,
                drive=drive,
                damping=Quantity(0.1),
                friction=Quantity(0.2, "measured"),
                armature=Quantity(0.003, "datasheet"),
            ),
            Joint(name="neck", kind="ball", child="head", parent="base", frame=turned, limits=(Quantity(0.0), Quantity(0.7))),
            Joint(name="weld", kind="fixed", child="base", frame=Pose()),
            Joint(name="fly", kind="free", child="tail", parent="base"),
        ),
    )


def assert_same(one: object, other: object, where: str = "asset", tolerance: float = 1e-6) -> None:
    """Every field that counts is equal, numbers to `tolerance` (absolute, and as a share of what is above 1), turns up to their sign."""
    assert type(one) is type(other), f"{where}: {one!r} is not {other!r}"
    if isinstance(one, Pose):
        np.testing.assert_allclose(other.matrix(), one.matrix(), rtol=tolerance, atol=tolerance, err_msg=where)
    elif is_dataclass(one):
        for part in fields(one):
            if part.compare:
                assert_same(getattr(one, part.name), getattr(other, part.name), f"{where}.{part.name}", tolerance)
    elif isinstance(one, tuple | list):
        assert len(one) == len(other), f"{where}: {len(one)} is not {len(other)}"
        for place, (a, b) in enumerate(zip(one, other, strict=True)):
            assert_same(a, b, f"{where}[{getattr(a, 'name', place)}]", tolerance)
    elif isinstance(one, float | np.ndarray):
        np.testing.assert_allclose(other, one, rtol=tolerance, atol=tolerance, err_msg=where)
    else:
        assert one == other, f"{where}: {one!r} is not {other!r}"
