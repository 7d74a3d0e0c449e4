"""Reach: bring the fingertips to a mark in the air."""

import math
from dataclasses import dataclass, replace

import numpy as np

from armillary.worlds.twin.objects.materials import material
from armillary.worlds.twin.objects.parts import globe
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.robots.arm import TIP
from armillary.worlds.twin.scenes.stage import fixed, welded
from armillary.worlds.twin.scenes.tabletop import FOOT, TABLE_M, tabletop
from armillary.worlds.twin.tasks.hand import DOWN, Hand
from armillary.worlds.twin.tasks.moves import Move
from armillary.worlds.twin.tasks.task import Stage, Staged, Task
from armillary.worlds.twin.tasks.truth import Truth

NEAR_M = 0.015  # where the mark counts as reached
SCALE_M = 0.2  # of the distance that progress falls by a factor e over
REACH_M = (0.30, 0.62)  # nearest and farthest from the arm's foot, over the table
ABOVE_M = (0.10, 0.45)  # the table: clear of what lies there
ASIDE_RAD = 0.9  # to either side of straight ahead


@dataclass(frozen=True, kw_only=True)
class Reach(Task, Staged):
    """The thing "mark" is where the fingertips are to be."""

    def progress(self, truth: Truth) -> float:
        """1 at the mark."""
        return math.exp(-max(_miss_m(truth) - NEAR_M, 0.0) / SCALE_M)

    def done(self, truth: Truth) -> bool:
        """Within NEAR_M."""
        return _miss_m(truth) < NEAR_M

    def stages(self) -> tuple[Stage, ...]:
        """To the mark."""
        return (Stage(thing="mark", over=self.done),)

    def rearranged(self, rng: np.random.Generator) -> "Reach":
        """The mark elsewhere."""
        mark = replace(self.scene.thing("mark"), pose=Pose(_draw_place(rng)))
        return replace(self, scene=self.scene.with_thing(mark))


def draw_reach(rng: np.random.Generator) -> Reach:
    """A table with things on it, and a mark above them."""
    scene = tabletop(rng)
    place = _draw_place(rng)
    ball = welded(
        "mark", (globe("mark", NEAR_M, (0, 0, 0), "mark", role="visual"),), (material("mark", "plastic", (0.9, 0.15, 0.2)),), "mark"
    )
    scene = replace(scene, things=(*scene.things, fixed("mark", ball, Pose(place))))
    return Reach(scene=scene, words="Bring the fingertips to the red mark.", time_limit_s=6.0)


def plan_reach(task: Reach, truth: Truth, hand: Hand, told: Pose) -> tuple[Move, ...]:
    """Straight there, the hand pointing down."""
    return (Move(tip=replace(DOWN, position=tuple(truth.place("mark"))), wait_s=0.3),)


def _draw_place(rng: np.random.Generator) -> tuple[float, float, float]:
    """Where the mark is, m."""
    far, aside, above = rng.uniform(*REACH_M), rng.uniform(-ASIDE_RAD, ASIDE_RAD), rng.uniform(*ABOVE_M)
    return FOOT[0] + far * math.cos(aside), FOOT[1] + far * math.sin(aside), TABLE_M[2] + above


def tip_place(truth: Truth) -> np.ndarray:
    """Where the fingertips meet, m."""
    return (truth.body("arm/hand") @ np.array([*TIP, 1.0]))[:3]


def _miss_m(truth: Truth) -> float:
    return float(np.linalg.norm(tip_place(truth) - truth.place("mark")))
