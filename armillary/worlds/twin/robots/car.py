"""A car: a body on four wheels, steered in front and driven behind."""

from dataclasses import replace

from armillary.worlds.twin.asset import Asset, Body, Drive, Joint
from armillary.worlds.twin.objects.materials import material
from armillary.worlds.twin.objects.meshes import chamfered, extruded
from armillary.worlds.twin.objects.parts import box, drawn, points, rod
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.quantity import Quantity
from armillary.worlds.twin.robots.wheel import ACROSS, axle, wheel

WHEEL_RADIUS_M = 0.32
WHEELBASE_M = 2.6
TRACK_M = 1.56
STEERING_RAD = 0.6
BRAKES_N_M = 800.0  # on each wheel
EYE = (0.65, 0.0, 1.28)  # chassis_from_camera: before the windscreen


def car(colour: tuple[float, float, float], *, parked: bool = False) -> Asset:
    """A car on the ground z = 0, its origin between its wheels, looking along +x; it is free to move in a scene that lets it.

    "left steering" and "right steering" (rad, left > 0, to STEERING_RAD) are driven to positions, "left rear wheel" and "right rear
    wheel" (rad/s, forward > 0) to speeds. The springs between wheels and body are left out. A `parked` car has
    no drives: its brakes hold it as dry friction.
    """
    bodies, joints = [_chassis()], []
    for name, side in (("left", 1.0), ("right", -1.0)):
        front, rear = ((x, side * TRACK_M / 2, WHEEL_RADIUS_M) for x in (WHEELBASE_M / 2, -WHEELBASE_M / 2))
        knuckle = Body(
            name=f"{name} knuckle",
            shapes=(box(f"{name} knuckle", (0.12, 0.12, 0.2), (0, 0, 0), "paint", role="collider"),),
            pose=Pose(front),
            mass=Quantity(12.0, "estimated"),
            label="car",
        )
        wheels = [wheel(f"{name} {end} wheel", WHEEL_RADIUS_M, 0.2, at, 18.0) for end, at in (("front", front), ("rear", rear))]
        bodies += [knuckle, *wheels]
        steering = Joint(
            name=f"{name} steering",
            kind="hinge",
            parent="chassis",
            child=knuckle.name,
            frame=Pose(front),
            limits=(Quantity(-STEERING_RAD, "estimated"), Quantity(STEERING_RAD, "estimated")),
            damping=Quantity(20.0, "estimated"),
            armature=Quantity(1.0, "estimated"),
            drive=Drive(
                stiffness=Quantity(8000.0, "estimated"), damping=Quantity(800.0, "estimated"), max_force=Quantity(1500.0, "estimated")
            ),
        )
        motor = Drive(stiffness=Quantity(0.0, "estimated"), damping=Quantity(40.0, "estimated"), max_force=Quantity(1800.0, "estimated"))
        joints += [steering, axle(wheels[0], knuckle.name, damping=0.5), axle(wheels[1], "chassis", damping=0.5, drive=motor)]
    materials = (
        material("paint", "steel", colour),
        material("glass", "glass", (0.16, 0.20, 0.25)),
        material("trim", "plastic", (0.14, 0.14, 0.15)),
        material("tyre", "rubber", (0.13, 0.13, 0.14)),
        material("hub", "aluminium", (0.74, 0.75, 0.77)),
        material("front light", "plastic", (1.0, 0.97, 0.86)),
        material("rear light", "plastic", (0.75, 0.08, 0.08)),
    )
    if parked:
        joints = [replace(joint, drive=None, friction=Quantity(BRAKES_N_M, "estimated")) for joint in joints]
    return Asset(name="car", bodies=tuple(bodies), joints=tuple(joints), materials=materials, label="car")


def _chassis() -> Body:
    cabin = points((-1.75, 0.86), (0.85, 0.86), (0.15, 1.40), (-1.15, 1.42))
    roof = points((-1.16, 1.40), (0.14, 1.38), (0.02, 1.45), (-1.05, 1.47))
    lamps = (
        box(f"{name} {side}", (0.05, 0.34, 0.13), (x, y, 0.68), name, role="visual")
        for name, x in (("front light", 2.09), ("rear light", -2.09))
        for side, y in (("left", 0.62), ("right", -0.62))
    )
    arches = (
        rod(f"arch {x} {y}", 0.38, 0.06, (x * WHEELBASE_M / 2, y * 0.825, 0.34), "trim", along=ACROSS, role="visual")
        for x in (-1, 1)
        for y in (-1, 1)
    )
    touched = (  # clear of the front wheels however they are steered
        box("middle", (1.70, 1.70, 0.56), (0, 0, 0.60), "paint", role="collider"),
        box("spine", (4.20, 0.90, 0.56), (0, 0, 0.60), "paint", role="collider"),
        box("nose", (0.38, 1.70, 0.40), (1.91, 0, 0.60), "paint", role="collider"),
        box("tail", (0.38, 1.70, 0.40), (-1.91, 0, 0.60), "paint", role="collider"),
        box("cabin", (2.0, 1.46, 0.56), (-0.5, 0, 1.15), "glass", role="collider"),
    )
    shapes = (
        *touched,
        drawn("lower body", chamfered((2.1, 0.85, 0.28), 0.09), "paint", pose=Pose((0.0, 0.0, 0.60))),
        drawn("bonnet", chamfered((0.65, 0.75, 0.08), 0.07), "paint", pose=Pose((1.35, 0.0, 0.87))),
        *arches,
        drawn("cabin look", extruded(cabin, 1.46), "glass"),
        drawn("roof", extruded(roof, 1.40), "paint"),
        box("pillars", (0.10, 1.48, 0.60), (-0.52, 0, 1.12), "paint", role="visual"),
        box("front bumper", (0.10, 1.66, 0.16), (2.09, 0, 0.42), "trim", role="visual"),
        box("rear bumper", (0.10, 1.66, 0.16), (-2.09, 0, 0.42), "trim", role="visual"),
        box("sills", (2.0, 1.72, 0.10), (0, 0, 0.34), "trim", role="visual"),
        *lamps,
    )
    return Body(name="chassis", shapes=shapes, mass=Quantity(1150.0, "estimated"), label="car")
