"""Mimic: one demonstration carried over to other places, thing by thing, as MimicGen does it (arXiv:2310.17596).

What the hand did near a thing is kept in that thing's frame. Where the thing stands elsewhere, the hand goes there first, and then does
the same around it. Whether that succeeds is for the simulation to say.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from armillary.core import DataError
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.tasks.attempt import Attempt
from armillary.worlds.twin.tasks.hand import Hand
from armillary.worlds.twin.tasks.moves import Move
from armillary.worlds.twin.tasks.task import Staged, TaskWorld
from armillary.worlds.twin.tasks.truth import Truth

NEAR_M = 0.15  # from where the hand acts: what it does from there on is about the thing
MOVED_M = 0.002  # of the fingers, in a step
BRIDGE_M_S = 0.35
BRIDGE_S = 2.0  # a way to a thing, at most
UP = (0.0, 0.0, 1.0)
TURNS = tuple(number * math.pi / 6.0 for number in range(-5, 7))  # about the upright
TURN_COST = 0.02  # for each radian, in what the joints may miss
ENOUGH = 0.01  # of a miss that is none
HALF_TURN = Pose.about(UP, math.pi)  # of a hand whose two fingers are alike


@dataclass(frozen=True, kw_only=True)
class Part:
    """What the hand did about one thing, a step of `seconds_per_step` each: thing_from_tip, and the opening (m) that was told."""

    tips: tuple[Pose, ...]
    openings: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Demonstration:
    """A part for each stage of the task."""

    parts: tuple[Part, ...]
    seconds_per_step: float

    @property
    def enough_s(self) -> float:
        """Time to go there and do it once, and once more where it failed at first."""
        return 2.0 * (BRIDGE_S * len(self.parts) + self.seconds_per_step * sum(len(part.tips) for part in self.parts))


def demonstration(world: TaskWorld, attempt: Attempt) -> Demonstration:
    """What an attempt that did its task shows. DataError if the task has no stages, or the attempt failed."""
    task = world.task
    if not isinstance(task, Staged):
        raise DataError(f"the task {task.words!r} has no stages, so that its demonstrations cannot be carried over to other places")
    if not attempt.done:
        raise DataError(f"only what succeeded can be shown; the attempt at {task.words!r} was not done after {len(attempt.actions)} steps")
    truths, hand = [Truth(world, state) for state in attempt.states], Hand(world.compiled)
    told = [hand.told(action.double().numpy()) for action in attempt.actions]
    tips, openings = [hand.tip(joints) for joints, _ in told], [opening for _, opening in told]
    parts, first = [], 0
    for stage in task.stages():
        last = next((step for step in range(first, len(tips)) if stage.over(truths[step + 1])), len(tips) - 1)
        begin = _comes_near(truths, tips, openings, stage.thing, first, last)
        to_thing = Pose.of_matrix(truths[begin].thing(stage.thing)).inverse()
        span = slice(begin, last + 1)
        parts.append(Part(tips=tuple(to_thing.then(tip) for tip in tips[span]), openings=tuple(openings[span])))
        first = min(last + 1, len(tips) - 1)
    return Demonstration(parts=tuple(parts), seconds_per_step=world.spec.seconds_per_step)


def _comes_near(truths: Sequence[Truth], tips: Sequence[Pose], openings: Sequence[float], thing: str, first: int, last: int) -> int:
    """The step of a stage at which the hand comes near to where it acts: where the fingers first move, or else where the stage ends."""
    act = next((step for step in range(first + 1, last + 1) if abs(openings[step] - openings[step - 1]) > MOVED_M), last)
    there = Pose.of_matrix(truths[act].thing(thing)).inverse().then(tips[act]).position
    for step in range(act, first, -1):
        here = Pose.of_matrix(truths[step].thing(thing)).inverse().then(tips[step]).position
        if math.dist(here, there) > NEAR_M:
            return step + 1
    return first


def plan_mimic(shown: Demonstration, task: Staged, truth: Truth, hand: Hand, told: Pose) -> tuple[Move, ...]:
    """What comes next: the part of the first stage that is not over, around where its thing is now."""
    stages = task.stages()
    number = next((number for number, stage in enumerate(stages) if not stage.over(truth)), len(stages) - 1)
    part, thing = shown.parts[number], Pose.of_matrix(truth.thing(stages[number].thing))
    tips = _within_reach(thing, part.tips, hand, truth)
    bridge = _bridge(told, tips[0], part.openings[0])
    return (*bridge, *_steps(tips, part.openings, shown.seconds_per_step))


def _within_reach(thing: Pose, shown: Sequence[Pose], hand: Hand, truth: Truth) -> list[Pose]:
    """The way about a thing as it was shown; about the upright turned as little as need be where the arm does not get there.

    What is round, or only put down on, does not mind; of everything else the simulation says whether it went well.
    """
    best, least = [], math.inf
    for turn in sorted(TURNS, key=abs):
        turned = Pose(thing.position).then(Pose.about(UP, turn)).then(Pose(turn=thing.turn))
        way = [turned.then(tip) for tip in shown]
        for one in (way, [tip.then(HALF_TURN) for tip in way]):
            missed = _missed(one, hand, truth) + TURN_COST * abs(turn)
            if missed < least:
                best, least = one, missed
        if least < TURN_COST * abs(turn) + ENOUGH:
            break
    return best


def _missed(way: list[Pose], hand: Hand, truth: Truth) -> float:
    """How far the joints stay away from a few poses of a way, m and rad together; half way through ties are decided by the wrist."""
    joints, missed = hand.of(truth.positions), 0.0
    for tip in way[:: max(len(way) // 4, 1)]:
        solved = hand.solve(tip, joints)
        joints = solved.joints
        missed += (0.0 if solved.reaches else solved.off_m + solved.off_rad) + 1e-3 * float(np.abs(joints).max())
    return missed


def _bridge(told: Pose, first: Pose, opening: float) -> tuple[Move, ...]:
    """Up to the higher of both places, across, and down."""
    height = max(told.position[2], first.position[2])
    up = replace(told, position=(*told.position[:2], height))
    over = replace(first, position=(*first.position[:2], height))
    return tuple(Move(tip=tip, opening=opening, speed_m_s=BRIDGE_M_S, wait_s=0.0) for tip in (up, over, first))


def _steps(tips: Sequence[Pose], openings: Sequence[float], seconds_per_step: float) -> tuple[Move, ...]:
    """A move a step, as fast as it was shown."""
    before: Float64[np.ndarray, "t 3"] = np.array([tips[0].position, *(tip.position for tip in tips[:-1])])
    lengths = np.linalg.norm(np.array([tip.position for tip in tips]) - before, axis=1)
    speeds = np.maximum(1.01 * lengths / seconds_per_step, 1e-3)  # a little more, so that rounding never makes two steps of one
    return tuple(
        Move(tip=tip, opening=opening, speed_m_s=float(speed), wait_s=0.0)
        for tip, opening, speed in zip(tips, openings, speeds, strict=True)
    )
