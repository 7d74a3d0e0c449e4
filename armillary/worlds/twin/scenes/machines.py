"""A seesaw and a gyroscope: the two physics scenes with joints."""

import math
from dataclasses import replace

from armillary.worlds.twin.asset import WORLD, Asset, Body, Drive, Joint
from armillary.worlds.twin.objects.materials import Colour, material
from armillary.worlds.twin.objects.meshes import extruded, lathe, turned_loop
from armillary.worlds.twin.objects.parts import bar, box, drawn, globe, pointing, points, rod, soft_box
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.quantity import Quantity

ACROSS, ALONG = (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)
ARM_M = 0.13  # from the gyroscope's pivot to the middle of its wheel
PIVOT_M = 0.26  # above the ground
WHEEL_THICK_M = 0.016


def seesaw_of(half: float, height: float, colour: Colour, wood: Colour) -> tuple[Asset, float]:
    """A seesaw of half length `half` whose axle is `height` m above the ground, and the angle (rad) by which it can tilt either way.

    Its joint is at 0 with the -x end low, and at twice that angle with the +x end low.
    """
    tilt = math.asin((height - 0.02) / half)
    wedge = points((-0.7 * height, 0.0), (0.7 * height, 0.0), (0.02, height - 0.014), (-0.02, height - 0.014))
    stand = Body(
        name="stand",
        shapes=(
            drawn("wedge", extruded(wedge, 0.14), "stand"),
            *(
                box(
                    f"step {k}",
                    ((1.2 - 0.3 * k) * height, 0.14, 0.22 * height),
                    (0, 0, (0.11 + 0.22 * k) * height),
                    "stand",
                    role="collider",
                )
                for k in range(4)
            ),
            rod("axle", 0.010, 0.18, (0, 0, height - 0.012), "metal", along=ACROSS, role="visual"),
        ),
        label="seesaw stand",
    )
    plank = Body(
        name="plank",
        shapes=(
            *soft_box("plank", (2 * half, 0.15, 0.024), (0, 0, 0), "plank", cut=0.004),
            *(box(f"stripe {k}", (0.03, 0.151, 0.0245), ((k - 0.5) * 1.1 * half, 0, 0), "stand", role="visual") for k in range(2)),
        ),
        pose=Pose.about(ACROSS, -tilt, (0.0, 0.0, height)),
        label="seesaw",
    )
    joints = (
        Joint(name="ground", kind="fixed", parent=WORLD, child="stand"),
        Joint(
            name="axle",
            kind="hinge",
            parent="stand",
            child="plank",
            frame=Pose((0.0, 0.0, height)).then(pointing(ACROSS)),
            limits=(Quantity(0.0, "estimated"), Quantity(2 * tilt, "estimated")),
            damping=Quantity(0.02, "estimated"),
        ),
    )
    materials = (material("plank", "wood", colour), material("stand", "wood", wood), material("metal", "steel", (0.6, 0.61, 0.63)))
    return Asset(name="seesaw", bodies=(stand, plank), joints=joints, materials=materials, label="seesaw"), tilt


def gyroscope_of(radius: float, speed: float, colour: Colour) -> Asset:
    """A gyroscope whose wheel (radius m) a strong motor brings to `speed` (rad/s) within a tenth of a second and keeps there.

    "turn" is the joint about the upright pivot, "nod" that of the arm (rad, down > 0), "spin" the wheel's. With the wheel's moment I about
    its axle it goes round at about mass g ARM_M / (I speed), where the mass and its lever are those of arm and wheel together.
    """
    fork = Body(
        name="fork",
        shapes=(globe("knuckle", 0.013, (0, 0, 0), "dark"),),
        pose=Pose((0.0, 0.0, PIVOT_M)),
        mass=Quantity(0.02, "estimated"),
        label="gyroscope",
    )
    end = ARM_M + 0.03
    arm = Body(
        name="arm",
        shapes=(bar("arm", 0.005, (0.016, 0, 0), (end, 0, 0), "steel"), globe("tip", 0.008, (end, 0, 0), "dark")),
        pose=fork.pose,
        mass=Quantity(0.06, "estimated"),
        label="gyroscope",
    )
    bodies = (_post(), fork, arm, _spinning(radius))
    joints = (
        Joint(name="ground", kind="fixed", parent=WORLD, child="stand"),
        _pivot("turn", "stand", fork, (0.0, 0.0, 1.0), 1e-4),
        replace(_pivot("nod", "fork", arm, ACROSS, 0.03), limits=(Quantity(-1.2, "estimated"), Quantity(1.2, "estimated"))),
        _pivot(
            "spin",
            "arm",
            bodies[3],
            ALONG,
            1e-6,
            Drive(
                stiffness=Quantity(0.0, "estimated"),
                damping=Quantity(0.1, "estimated"),
                target=speed,
                max_force=Quantity(40.0, "estimated"),
            ),
        ),
    )
    materials = (
        material("steel", "steel", (0.72, 0.73, 0.75)),
        material("dark", "steel", (0.24, 0.25, 0.28)),
        material("wheel", "steel", colour),
        material("mark", "plastic", (0.96, 0.94, 0.88)),
    )
    return Asset(name="gyroscope", bodies=bodies, joints=joints, materials=materials, label="gyroscope")


def _post() -> Body:
    return Body(
        name="stand",
        shapes=(
            drawn("base", lathe(points((0, 0), (0.10, 0), (0.10, 0.012), (0.03, 0.022), (0, 0.022))), "dark"),
            rod("base collider", 0.10, 0.015, (0, 0, 0.0075), "dark", role="collider"),
            rod("post", 0.009, PIVOT_M - 0.03, (0, 0, (PIVOT_M - 0.03) / 2), "steel"),
        ),
        label="gyroscope stand",
    )


def _spinning(radius: float) -> Body:
    half = WHEEL_THICK_M / 2
    rim = turned_loop(points((0.72 * radius, -half), (radius, -half), (radius, half), (0.72 * radius, half)))
    shapes = (
        rod("wheel", radius, WHEEL_THICK_M, (0, 0, 0), "wheel", along=ALONG, role="collider"),
        drawn("rim", rim, "wheel", pose=pointing(ALONG)),
        rod("hub", 0.16 * radius, 2.4 * WHEEL_THICK_M, (0, 0, 0), "dark", along=ALONG, role="visual"),
        *(
            box(f"spoke {k}", (0.5 * WHEEL_THICK_M, 1.6 * radius, 0.1 * radius), (0, 0, 0), "dark", turned=turned, role="visual")
            for k, turned in enumerate(Pose.about(ALONG, k * math.pi / 3) for k in range(3))
        ),
        box("mark", (1.04 * WHEEL_THICK_M, 0.26 * radius, 0.10 * radius), (0, 0.86 * radius, 0), "mark", role="visual"),
    )
    return Body(name="wheel", shapes=shapes, pose=Pose((ARM_M, 0.0, PIVOT_M)), label="gyroscope wheel")


def _pivot(name: str, parent: str, child: Body, axis: tuple[float, float, float], damping: float, drive: Drive | None = None) -> Joint:
    return Joint(
        name=name,
        kind="hinge",
        parent=parent,
        child=child.name,
        frame=child.pose.then(pointing(axis)),
        damping=Quantity(damping, "estimated"),
        drive=drive,
    )
