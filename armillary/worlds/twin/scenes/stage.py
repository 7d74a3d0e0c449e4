"""What every scene stands on and is seen by: the ground, lights that aim at it, and cameras around it."""

import math

from armillary.worlds.twin.asset import WORLD, Asset, Body, Joint, Shape
from armillary.worlds.twin.geometry import Plane
from armillary.worlds.twin.objects.materials import Colour, material
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.scene import Camera, Light, Placed

Place = tuple[float, float, float]
PALE = (0.80, 0.79, 0.77)


def ground(colour: Colour = PALE, *, substance: str = "concrete", half_sizes: tuple[float, float] = (40.0, 40.0)) -> Placed:
    """A floor at z = 0, drawn so far (m)."""
    floor = Shape(name="floor", geometry=Plane(half_sizes), material="floor")
    body = Body(name="floor", shapes=(floor,), label="floor")
    return fixed("ground", Asset(name="ground", bodies=(body,), materials=(material("floor", substance, colour),), label="floor"))


def fixed(name: str, asset: Asset, pose: Pose = Pose()) -> Placed:
    """A thing that stays where it is put, its roots fixed to the world."""
    return Placed(name=name, asset=asset, pose=pose)


def loose(name: str, asset: Asset, pose: Pose = Pose()) -> Placed:
    """A thing that can be moved."""
    return Placed(name=name, asset=asset, pose=pose, moves=True)


def yawed(x: float, y: float, z: float, yaw: float = 0.0) -> Pose:
    """At a place (m), turned by `yaw` (rad) about z."""
    return Pose.about((0.0, 0.0, 1.0), yaw, (float(x), float(y), float(z)))


def lights(at: Place, reach: float, *, slant: float = 1.0, sun: float = 0.57) -> tuple[Light, ...]:
    """A sun with shadows from one side and a soft sky light from the other; both aim at `at` from a few times `reach` (m) away.

    Shadows are 0.64 `slant` as long as things are high; `sun` is its strength.
    """
    suns = (
        ("sun", (-0.40 * slant, 0.50 * slant, -1.0), (1.02 * sun, sun, 0.95 * sun), True),
        ("sky", (0.60, 0.45, -0.60), (0.20, 0.21, 0.24), False),
    )
    return tuple(
        Light(
            name=name,
            position=tuple(a - 2.0 * reach * d / math.hypot(*direction) for a, d in zip(at, direction, strict=True)),
            direction=direction,
            colour=colour,
            shadows=shadows,
        )
        for name, direction, colour, shadows in suns
    )


def four_cameras(at: Place, distance: float, *, fov_y_deg: float = 40.0) -> tuple[Camera, ...]:
    """Cameras "front", "left", "right" and "top", each `distance` m from the place they look at."""
    views = {"front": (0.0, -1.0, 0.32), "left": (-0.86, -0.62, 0.42), "right": (0.86, -0.62, 0.42), "top": (0.0, -0.42, 1.0)}
    return tuple(
        Camera.looking(
            name,
            at=at,
            eye=tuple(a + distance * part / math.hypot(*view) for a, part in zip(at, view, strict=True)),
            fov_y_deg=fov_y_deg,
        )
        for name, view in views.items()
    )


def welded(asset_name: str, shapes: tuple[Shape, ...], materials: tuple, label: str) -> Asset:
    """An asset of one body that is fixed to the world wherever it is put."""
    body = Body(name=asset_name, shapes=shapes, label=label)
    mount = Joint(name="mount", kind="fixed", parent=WORLD, child=asset_name)
    return Asset(name=asset_name, bodies=(body,), joints=(mount,), materials=materials, label=label)
