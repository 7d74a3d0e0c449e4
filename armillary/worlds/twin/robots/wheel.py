"""A wheel with spokes, and the joint that it turns on."""

import math

from armillary.worlds.twin.asset import Body, Drive, Joint
from armillary.worlds.twin.objects.parts import box, pointing, rod
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.quantity import Quantity

ACROSS = (0.0, 1.0, 0.0)


def wheel(name: str, radius: float, width: float, at: tuple[float, float, float], mass: float) -> Body:
    """A wheel that rolls along x, its middle `at` (m): radius and width in m, mass in kg; of the materials "tyre" and "hub".

    It rolls on the middle of its tread, which is a tenth of its width: as wide as the wheel, a hard tread would scrub in every turn.
    """
    spokes = (
        box(f"{name} spoke {k}", (1.2 * radius, width * 1.08, 0.14 * radius), (0, 0, 0), "tyre", turned=turned, role="visual")
        for k, turned in enumerate(Pose.about(ACROSS, angle) for angle in (0.0, math.pi / 3, 2 * math.pi / 3))
    )
    shapes = (
        rod(name, radius, width, (0, 0, 0), "tyre", along=ACROSS, role="visual"),
        rod(f"{name} tread", radius, 0.1 * width, (0, 0, 0), "tyre", along=ACROSS, role="collider"),
        rod(f"{name} flank", 0.98 * radius, width, (0, 0, 0), "tyre", along=ACROSS, role="collider"),
        rod(f"{name} hub", 0.62 * radius, width * 1.04, (0, 0, 0), "hub", along=ACROSS, role="visual"),
        *spokes,
    )
    return Body(name=name, shapes=shapes, pose=Pose(at), mass=Quantity(mass, "estimated"), label="wheel")


def axle(turning: Body, parent: str, *, damping: float, drive: Drive | None = None) -> Joint:
    """The joint, of the wheel's name, by which it turns on `parent`; positive is forward. `damping` in N m s/rad."""
    return Joint(
        name=turning.name,
        kind="hinge",
        parent=parent,
        child=turning.name,
        frame=turning.pose.then(pointing(ACROSS)),
        damping=Quantity(damping, "estimated"),
        drive=drive,
    )
