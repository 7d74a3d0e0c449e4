"""Grasp: lift a thing from the table and hold it."""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from armillary.core import WorldError
from armillary.worlds.twin.grasps_surface import Touch
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.scene import Scene
from armillary.worlds.twin.scenes.tabletop import tabletop
from armillary.worlds.twin.tasks.grasp_choice import (
    TRIED,
    clear_moves,
    grasps_among,
    held,
    loose_things,
    raised,
    taking,
    taking_moves,
    takings,
    within_reach,
)
from armillary.worlds.twin.tasks.hand import Hand
from armillary.worlds.twin.tasks.moves import Move
from armillary.worlds.twin.tasks.reach import tip_place
from armillary.worlds.twin.tasks.rearrange import rearranged_table
from armillary.worlds.twin.tasks.task import Stage, Staged, Task
from armillary.worlds.twin.tasks.truth import Truth

HIGH_M = 0.10  # above where it lay
STILL_M_S = 0.02
STILL_RAD_S = 0.3
SCALE_M = 0.2  # of the distance that progress falls by a factor e over
CHOICES = 6  # grasps that a thing must offer
SCENES = 20  # drawn before there is nothing to take


@dataclass(frozen=True, kw_only=True)
class Grasping(Task, Staged):
    """`thing` is to be lifted by HIGH_M and held by both fingers, at rest."""

    thing: str

    def progress(self, truth: Truth) -> float:
        """40 % for the fingertips at the thing, 60 % for its height."""
        thing_from_tip = Pose.of_matrix(truth.thing(self.thing)).inverse().apply(tip_place(truth)[None])
        near = math.exp(-max(float(self.touch.depth(thing_from_tip)[0]), 0.0) / SCALE_M)
        return 0.4 * near + 0.6 * min(max(self.height_m(truth) / HIGH_M, 0.0), 1.0)

    def done(self, truth: Truth) -> bool:
        """High enough, at rest, and between the fingers."""
        still = truth.pace(self.thing) < STILL_M_S and truth.spin(self.thing) < STILL_RAD_S
        return self.height_m(truth) > HIGH_M and still and held(truth, self.touch, self.thing)

    def stages(self) -> tuple[Stage, ...]:
        """One: to take it and lift it."""
        return (Stage(thing=self.thing, over=self.done),)

    def rearranged(self, rng: np.random.Generator) -> "Grasping":
        """The same table laid anew, the thing within reach. WorldError if none of SCENES tables will do."""
        return replace(self, scene=rearranged_within_reach(self.scene, (self.thing,), rng))

    def height_m(self, truth: Truth) -> float:
        """Of the thing's middle above where it lay."""
        before, now = self.scene.thing(self.thing).pose, Pose.of_matrix(truth.thing(self.thing))
        return float((now.apply(self.touch.middle) - before.apply(self.touch.middle))[2])

    @cached_property
    def touch(self) -> Touch:
        """What of the thing can be touched."""
        return Touch(self.scene.thing(self.thing).asset)


def rearranged_within_reach(scene: Scene, names: tuple[str, ...], rng: np.random.Generator) -> Scene:
    """The same things elsewhere on the table, those of these names within reach. WorldError if none of SCENES tables will do."""
    for _ in range(SCENES):
        moved = rearranged_table(scene, rng)
        if within_reach(np.array([moved.thing(name).pose.position for name in names])):
            return moved
    raise WorldError(f"{' and '.join(names)} did not come to lie within reach on any of {SCENES} tables")


def draw_grasp(rng: np.random.Generator) -> Grasping:
    """A table with things on it, one of which the hand can take."""
    for _ in range(SCENES):
        scene = tabletop(rng)
        for name in map(str, rng.permutation(loose_things(scene))):
            if can_take(scene, name, rng):
                return Grasping(scene=scene, words=f"Lift the {scene.thing(name).asset.label}.", time_limit_s=20.0, thing=name)
    raise WorldError(f"no thing can be taken on any of {SCENES} tables")


def can_take(scene: Scene, name: str, rng: np.random.Generator) -> bool:
    """Whether a thing lies within reach and has some places for the fingers, clear of what stands beside it."""
    poses = {thing.name: thing.pose for thing in scene.things if thing.name not in ("ground", "table", "arm")}
    return within_reach(np.array([poses[name].position])) and len(grasps_among(scene, poses, name, rng)) >= CHOICES


def plan_grasp(task: Grasping, truth: Truth, hand: Hand, told: Pose) -> tuple[Move, ...]:
    """Take it by the best grasp that the arm reaches; higher where it is held already, and again where it was lost."""
    if held(truth, task.touch, task.thing) and task.height_m(truth) > 0.02:
        return (Move(tip=raised(told, 0.03), opening=0.0, speed_m_s=0.1, wait_s=0.5),)
    world_from_thing = Pose.of_matrix(truth.thing(task.thing))
    for grasp in takings(task.scene, truth, task.thing)[:TRIED]:
        found = taking(grasp, world_from_thing, hand, hand.of(truth.positions))
        if found is not None:
            return taking_moves(found, told)
    return clear_moves(told, told)
