"""Moves of the hand, and the expert that carries them out and asks for more."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Generator, Tensor

from armillary.core import Policy
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.robots.arm import OPENING_M
from armillary.worlds.twin.tasks.hand import Hand, Joints, rotation_vector
from armillary.worlds.twin.tasks.task import TaskWorld
from armillary.worlds.twin.tasks.truth import Truth
from armillary.worlds.twin.world import TwinState

TURN_RAD_S = 1.8  # how fast the hand turns at most


@dataclass(frozen=True, kw_only=True)
class Move:
    """The fingertips go straight to `tip` (world_from_tip), then wait; `opening` (m of each finger) is told from the beginning."""

    tip: Pose
    opening: float = OPENING_M
    speed_m_s: float = 0.3
    wait_s: float = 0.1


Planner = Callable[[Truth, Hand, Pose], tuple[Move, ...]]  # from the truth, the hand and where it was told to be to what comes next


@dataclass(frozen=True, kw_only=True)
class Course:
    """How far one row has come: the moves left, the pose and joints told last, the pose the move began at, the seconds since."""

    moves: tuple[Move, ...]
    told: Pose
    joints: Joints
    began: Pose
    seconds: float = 0.0


class HandExpert(Policy[tuple[Course | None, ...]]):
    """Carries out moves, and asks `plan` for more when none are left. It sees the exact state, `TwinState.physics`.

    `plan(truth, hand, told)` gives the next moves; none: the hand stays where it is.
    """

    def __init__(self, world: TaskWorld, plan: Planner):
        self.world, self.plan, self.hand = world, plan, Hand(world.compiled)
        self._targets = world.targets.double().numpy()

    def start(self, batch_size: int) -> tuple[Course | None, ...]:
        """Nothing was planned yet."""
        return (None,) * batch_size

    def act(
        self, observation: Float64[Tensor, "b s"], memory: tuple[Course | None, ...], rng: Generator
    ) -> tuple[Float[Tensor, "b a"], tuple[Course | None, ...]]:
        """The next command of every drive."""
        state = TwinState(physics=observation)
        actions, courses = [], []
        for row, course in enumerate(memory):
            truth = Truth(self.world, state, row)
            if course is None:
                joints = self.hand.of(truth.positions)
                tip = self.hand.tip(joints)
                course = Course(moves=(), told=tip, joints=joints, began=tip)
            if not course.moves:
                course = replace(course, moves=self.plan(truth, self.hand, course.told), began=course.told, seconds=0.0)
            course, opening = self._onwards(course, truth)
            actions.append(self.hand.command(self._targets, course.joints, opening))
            courses.append(course)
        return torch.from_numpy(np.stack(actions)).float(), tuple(courses)

    def _onwards(self, course: Course, truth: Truth) -> tuple[Course, float]:
        """One step further, and how far the fingers are to be open."""
        if not course.moves:
            return course, truth.position(self.hand.fingers[0])
        move, seconds = course.moves[0], course.seconds + self.world.spec.seconds_per_step
        lasts = duration_s(course.began, move)
        told = between(course.began, move.tip, min(seconds / lasts, 1.0) if lasts else 1.0)
        joints = self.hand.solve(told, course.joints).joints
        if seconds >= lasts + move.wait_s - 1e-9:
            return replace(course, moves=course.moves[1:], told=told, joints=joints, began=told, seconds=0.0), move.opening
        return replace(course, told=told, joints=joints, seconds=seconds), move.opening


def duration_s(began: Pose, move: Move) -> float:
    """How long the way takes."""
    way = math.dist(began.position, move.tip.position)
    turn = float(np.linalg.norm(rotation_vector(move.tip.rotation() @ began.rotation().T)))
    return max(way / move.speed_m_s, turn / TURN_RAD_S)


def between(first: Pose, last: Pose, share: float) -> Pose:
    """The pose a share of the way from one to another, straight and turning evenly about one axis."""
    vector = rotation_vector(last.rotation() @ first.rotation().T)
    angle = float(np.linalg.norm(vector))
    place = tuple(a + share * (b - a) for a, b in zip(first.position, last.position, strict=True))
    turned = Pose.about(tuple(vector), share * angle).then(Pose(turn=first.turn)) if angle > 1e-9 else first
    return Pose(place, turned.turn)
