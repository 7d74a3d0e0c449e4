"""Drawer: open a drawer by its handle."""

import math
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from armillary.worlds.twin.asset import Joint
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.scenes.kitchen import drawers_of, handle_of, kitchen
from armillary.worlds.twin.tasks.hand import Hand, rotation_vector
from armillary.worlds.twin.tasks.moves import Move
from armillary.worlds.twin.tasks.reach import tip_place
from armillary.worlds.twin.tasks.task import Task
from armillary.worlds.twin.tasks.truth import Truth

OPEN_M, OPEN_SHARE = 0.15, 0.8  # how far it is to come out: so much, or this share of its way where that is less
AT_REST_M_S = 0.02
AWAY_M = 0.04  # from the handle: where the hand has let go of it
SCALE_M = 0.2  # of the hand's distance from the handle, which progress falls by a factor e over
COMING = 0.2  # the share of progress that is for coming to the handle
AJAR_M = 0.03  # how far other drawers are open at most
ORDINALS = ("first", "second", "third", "fourth")

BEFORE_M = 0.07  # the handle: where the hand comes from and goes back to
OPENING_M = 0.025  # of each finger around the handle
GRIP_M = (0.003, 0.010)  # of each finger, where the handle is between them
HELD_M = 0.015  # from fingertips to handle, where they hold it
STEP_M = 0.05  # how far it is pulled before the next look
MORE_M = 0.015  # further than it has to come out
PULL_M_S, NEARING_M_S, TRAVEL_M_S = 0.05, 0.12, 0.3


@dataclass(frozen=True, kw_only=True)
class Drawer(Task):
    """The body `drawer` of the thing "cabinet" is to be opened."""

    drawer: str

    def progress(self, truth: Truth) -> float:
        """How much of OPEN_M it is open, and before that a little for a hand at its handle."""
        opened = min(max(truth.position(self.slide), 0.0) / self.far_m, 1.0)
        near = math.exp(-float(np.linalg.norm(self.handle(truth) - tip_place(truth))) / SCALE_M)
        return opened + (1.0 - opened) * COMING * near

    def done(self, truth: Truth) -> bool:
        """It is open, rests, and the hand has let go."""
        away = float(np.linalg.norm(self.handle(truth) - tip_place(truth))) > AWAY_M
        return truth.position(self.slide) >= self.far_m and abs(truth.speed(self.slide)) < AT_REST_M_S and away

    @property
    def slide(self) -> str:
        """The joint's name in the scene."""
        return f"cabinet/{self._joint().name}"

    @property
    def far_m(self) -> float:
        """How far it is to come out."""
        low, high = (limit.value for limit in self._joint().limits)
        return min(OPEN_M, OPEN_SHARE * (high - low))

    def handle(self, truth: Truth) -> Float64[np.ndarray, "3"]:
        """The middle of the handle, m."""
        chest = self.scene.thing("cabinet").asset
        place = chest.body(self.drawer).pose.inverse().apply(np.array(handle_of(chest, self.drawer)))
        return Pose.of_matrix(truth.body(f"cabinet/{self.drawer}")).apply(place)

    def out(self, truth: Truth) -> Float64[np.ndarray, "3"]:
        """The direction that it opens in."""
        return truth.thing("cabinet")[:3, :3] @ self._joint().frame.rotation()[:, 2]

    def _joint(self) -> Joint:
        return self.scene.thing("cabinet").asset.joint_to(self.drawer)


def draw_drawer(rng: np.random.Generator) -> Drawer:
    """A kitchen and one of its drawers; each of the others is shut or a little open."""
    scene = kitchen(rng)
    chest = scene.thing("cabinet").asset
    drawers = drawers_of(chest)[::-1]
    number = int(rng.integers(len(drawers)))
    ajar = {f"cabinet/{chest.joint_to(name).name}": float(rng.uniform(0.0, AJAR_M)) for name in drawers if rng.random() < 0.5}
    task = Drawer(scene=scene, words=words_for(number), time_limit_s=20.0, drawer=drawers[number])
    return replace(task, layout={slide: far for slide, far in ajar.items() if slide != task.slide})


def words_for(number: int) -> str:
    """What is to be done with the drawer that `number` others are above.

    >>> words_for(0), words_for(1)
    ('Open the top drawer.', 'Open the second drawer from the top.')
    """
    return f"Open the {ORDINALS[number]} drawer from the top." if number else "Open the top drawer."


def plan_drawer(task: Drawer, truth: Truth, hand: Hand, told: Pose) -> tuple[Move, ...]:
    """To the handle, the fingers above and below it; shut them; pull a little and look again; let go and back off."""
    handle, out, tip = task.handle(truth), task.out(truth), tip_place(truth)
    away = float(np.linalg.norm(handle - tip))
    left = task.far_m + MORE_M - truth.position(task.slide)
    if left < 0.5 * MORE_M:
        back = replace(told, position=tuple(np.array(told.position) + BEFORE_M * out))
        let_go = Move(tip=told, opening=OPENING_M, wait_s=0.3), Move(tip=back, opening=OPENING_M, speed_m_s=TRAVEL_M_S)
        return let_go if away < BEFORE_M / 2 else ()
    before = handle + BEFORE_M * out
    turn, level = _turned(out, before, told, hand, truth)
    if away < HELD_M and GRIP_M[0] < truth.position(hand.fingers[0]) < GRIP_M[1]:
        onwards = handle + out * (float((tip - handle) @ out) + min(left, STEP_M))
        return (Move(tip=replace(turn, position=tuple(onwards)), opening=0.0, speed_m_s=PULL_M_S, wait_s=0.0),)
    there = replace(turn, position=tuple(handle))
    return (
        *(Move(tip=one, opening=OPENING_M, speed_m_s=TRAVEL_M_S, wait_s=0.0) for one in level),
        Move(tip=replace(turn, position=tuple(before)), opening=OPENING_M, speed_m_s=TRAVEL_M_S),
        Move(tip=there, opening=OPENING_M, speed_m_s=NEARING_M_S, wait_s=0.3),
        Move(tip=there, opening=0.0, wait_s=0.4),
    )


def _turned(
    out: Float64[np.ndarray, "3"], before: Float64[np.ndarray, "3"], told: Pose, hand: Hand, truth: Truth
) -> tuple[Pose, tuple[Pose, ...]]:
    """How the hand is turned that points at the drawer, its fingers one above the other, and where it goes on the way there.

    That is nowhere if it is turned so already. Else it first points straight away from the arm's foot, its fingers side by side, which it
    does without turning about itself; then its wrist rolls to the side where the joints have more room. (Any other way goes past where
    forearm and hand are in line, and there the wrist may flip over.)
    """
    upright = {side: _pointing(out, np.array([0.0, 0.0, side])) for side in (1.0, -1.0)}
    for turn in upright.values():
        if np.linalg.norm(rotation_vector(turn.rotation() @ told.rotation().T)) < 0.5:
            return turn, ()
    foot = truth.place("arm")
    back = np.array([*(foot - np.array(told.position))[:2], 0.0])
    back /= np.linalg.norm(back)
    place = foot - float(np.linalg.norm((before - foot)[:2])) * back
    beside = np.cross([0.0, 0.0, 1.0], back)
    level = _pointing(back, beside if told.rotation()[:, 1] @ beside > 0 else -beside)
    level = replace(level, position=(place[0], place[1], before[2]))
    joints = hand.solve(level, hand.of(truth.positions)).joints
    rolled = {side: replace(_pointing(back, np.array([0.0, 0.0, side])), position=level.position) for side in upright}

    def missed(side: float) -> float:
        first = hand.solve(rolled[side], joints)
        last = hand.solve(replace(upright[side], position=tuple(before + OPEN_M * out)), first.joints)
        return sum(one.off_m + one.off_rad + 1e-3 * float(np.abs(one.joints).max()) for one in (first, last))

    side = min(upright, key=missed)
    return upright[side], (level, rolled[side])


def _pointing(out: Float64[np.ndarray, "3"], fingers: Float64[np.ndarray, "3"]) -> Pose:
    """The turn of a hand that points against `out` and opens its fingers along `fingers`."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([np.cross(fingers, -out), fingers, -out], axis=1)
    return Pose.of_matrix(matrix)
