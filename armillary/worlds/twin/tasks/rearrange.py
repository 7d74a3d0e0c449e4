"""The same table with the same things on it, standing elsewhere."""

from dataclasses import replace

import numpy as np

from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.scene import Scene
from armillary.worlds.twin.scenes.placing import Footprint, scatter
from armillary.worlds.twin.scenes.tabletop import AREA_M, FOOT

FURNITURE = ("ground", "table", "arm")


def rearranged_table(scene: Scene, rng: np.random.Generator) -> Scene:
    """Every thing on the table elsewhere, turned anyhow about the upright, at the height where it stood. WorldError if they do not fit."""
    things = [thing for thing in scene.things if thing.name not in FURNITURE]
    poses = scatter(rng, [thing.asset for thing in things], *AREA_M, taken=[Footprint(FOOT[:2], (0.12, 0.12))])
    moved = {
        thing.name: replace(thing, pose=Pose((*pose.position[:2], thing.pose.position[2]), pose.turn))
        for thing, pose in zip(things, poses, strict=True)
    }
    return replace(scene, things=tuple(moved.get(thing.name, thing) for thing in scene.things))
