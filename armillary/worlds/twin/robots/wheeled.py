"""A robot on two driven wheels between two balls that roll along."""

from armillary.worlds.twin.asset import Asset, Body, Drive, Joint
from armillary.worlds.twin.objects.materials import material
from armillary.worlds.twin.objects.meshes import lathe
from armillary.worlds.twin.objects.parts import box, drawn, globe, points, rod, soft_box
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.quantity import Quantity
from armillary.worlds.twin.robots.wheel import axle, wheel

WHEEL_RADIUS_M = 0.06
BALL_RADIUS_M = 0.03
TRACK_M = 0.33  # from wheel to wheel
TORQUE_N_M = 4.0  # of each motor
TOP_SPEED_RAD_S = 16.0  # what the motors reach without a load
EYE = (0.13, 0.0, 0.52)  # chassis_from_camera: in the middle of the head's window


def wheeled_robot(colour: tuple[float, float, float] = (0.16, 0.52, 0.72)) -> Asset:
    """The robot on the ground z = 0, looking along +x; it is free to move in a scene that lets it.

    "left wheel" and "right wheel" are driven to speeds (rad/s, forward > 0, up to TOP_SPEED_RAD_S). Its body "chassis"
    carries a head with a window at EYE.
    """
    wheels = [
        wheel(name, WHEEL_RADIUS_M, 0.03, (0.0, side * TRACK_M / 2, WHEEL_RADIUS_M), 0.35)
        for name, side in (("left wheel", 1.0), ("right wheel", -1.0))
    ]
    motor = Drive(
        stiffness=Quantity(0.0, "estimated"),
        damping=Quantity(TORQUE_N_M / TOP_SPEED_RAD_S, "estimated"),
        max_force=Quantity(TORQUE_N_M, "estimated"),
    )
    balls = [
        Body(name=name, shapes=(globe(name, BALL_RADIUS_M, (0, 0, 0), "tyre"),), pose=Pose((x, 0.0, BALL_RADIUS_M + lift)), label="caster")
        for name, x, lift in (("front ball", 0.105, 0.001), ("rear ball", -0.105, 0.0))  # only one touches: the wheels keep their grip
    ]
    sockets = (
        Joint(name=ball.name, kind="ball", parent="chassis", child=ball.name, frame=ball.pose, damping=Quantity(1e-4, "estimated"))
        for ball in balls
    )
    materials = (
        material("shell", "plastic", (0.93, 0.93, 0.92)),
        material("casing", "foam", (0.93, 0.93, 0.92)),
        material("accent", "plastic", colour),
        material("dark", "plastic", (0.17, 0.18, 0.20)),
        material("tyre", "rubber", (0.15, 0.15, 0.16)),
        material("hub", "aluminium", (0.75, 0.76, 0.78)),
    )
    return Asset(
        name="wheeled_robot",
        bodies=(_chassis(), *wheels, *balls),
        joints=(*(axle(one, "chassis", damping=0.01, drive=motor) for one in wheels), *sockets),
        materials=materials,
        label="wheeled robot",
    )


def _chassis() -> Body:
    deck = points((0, 0.035), (0.12, 0.035), (0.15, 0.055), (0.15, 0.11), (0.13, 0.135), (0, 0.135))
    band = points((0, 0.075), (0.1515, 0.075), (0.1515, 0.09), (0, 0.09))
    shapes = (
        drawn("deck look", lathe(deck), "shell"),
        drawn("band", lathe(band), "accent"),
        rod("deck", 0.15, 0.09, (0, 0, 0.09), "shell", role="collider"),
        rod("mast", 0.022, 0.32, (0, 0, 0.29), "dark"),
        *soft_box("shoulder", (0.10, 0.14, 0.05), (0, 0, 0.16), "accent", cut=0.012),
        *soft_box("head", (0.14, 0.22, 0.13), (0.02, 0, 0.52), "casing", cut=0.025),
        box("window", (0.004, 0.16, 0.075), (0.091, 0, 0.525), "dark", role="visual"),
        *(rod(f"eye {k}", 0.014, 0.004, (0.0935, (k - 0.5) * 0.08, 0.53), "accent", along=(1, 0, 0), role="visual") for k in range(2)),
    )
    return Body(name="chassis", shapes=shapes, label="wheeled robot")
