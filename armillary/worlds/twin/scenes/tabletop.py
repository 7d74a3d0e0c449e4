"""An arm on a table with a few objects before it."""

from dataclasses import replace

import numpy as np

from armillary.worlds.twin.objects.families import FAMILIES, names
from armillary.worlds.twin.objects.furniture import table_of
from armillary.worlds.twin.objects.materials import wooden
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.robots.arm import arm
from armillary.worlds.twin.scene import Camera, Placed, Scene
from armillary.worlds.twin.scenes.placing import Footprint, scatter
from armillary.worlds.twin.scenes.stage import fixed, ground, lights, loose

TABLE_M = (1.2, 0.9, 0.72)
FOOT = (-0.45, 0.0, TABLE_M[2])  # where the arm stands
AREA_M = ((-0.22, -0.38), (0.42, 0.38))  # the corners of what is strewn with objects
LIFT_M = 0.0005  # above the table at the start: no thing begins inside another
TOO_BIG = ("lamp", "tray")  # to lie among others within reach


def tabletop(
    rng: np.random.Generator, *, count: tuple[int, int] = (4, 6), also: tuple[Placed, ...] = (), clear: tuple[Footprint, ...] = ()
) -> Scene:
    """A table, the arm (ready, its hand open) and `count` (fewest, most) objects of different families that rest on the table apart.

    `also`: things that are there already, whose names no other object takes; `clear`: where no object is put, as where `also` stand.
    The things are "table", "arm" and the objects by their families; cameras "front", "side" and "wrist".
    """
    top = TABLE_M[2]
    taken = (*TOO_BIG, *(thing.name for thing in also))
    families = rng.permutation([name for name in names("hand") if name not in taken])[: int(rng.integers(count[0], count[1] + 1))]
    assets = [FAMILIES[str(family)].draw(rng) for family in families]
    poses = scatter(rng, assets, *AREA_M, taken=[Footprint(FOOT[:2], (0.12, 0.12)), *clear])
    things = [
        loose(str(family), asset, Pose((pose.position[0], pose.position[1], top + LIFT_M), pose.turn))
        for family, asset, pose in zip(families, assets, poses, strict=True)
    ]
    desk = fixed("table", table_of(TABLE_M, wooden(rng)))
    return Scene(
        name="tabletop",
        things=(ground((0.70, 0.71, 0.73)), desk, fixed("arm", arm(), Pose(FOOT)), *also, *things),
        cameras=tabletop_cameras(),
        lights=lights((0.0, 0.0, top), 1.0),
    )


def tabletop_cameras() -> tuple[Camera, ...]:
    """From before the arm, from its right, and from its wrist past the fingers."""
    return (
        Camera.looking("front", at=(-0.10, 0.0, 0.92), eye=(1.45, 0.12, 1.62), fov_y_deg=42.0),
        Camera.looking("side", at=(-0.05, 0.0, 0.90), eye=(0.25, -1.55, 1.40), fov_y_deg=42.0),
        wrist_camera(),
    )


def wrist_camera() -> Camera:
    """The camera "wrist", which rides on the hand of the arm called "arm" and looks away from its foot where the hand points down."""
    return replace(Camera.looking("wrist", at=(-0.01, 0.0, 0.14), eye=(0.095, 0.0, 0.055), fov_y_deg=62.0), on="arm/hand")
