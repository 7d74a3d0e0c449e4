"""The expert that drives to a thing: it plans a way from the truth, follows it, and plans anew where it lost the way or is held."""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Generator, Tensor

from armillary.core import Policy
from armillary.worlds.twin.robots.wheeled import TRACK_M, WHEEL_RADIUS_M
from armillary.worlds.twin.tasks.floor_plan import Points, gap_m
from armillary.worlds.twin.tasks.go_to import NEAR_M, Spot, wrapped
from armillary.worlds.twin.tasks.rooms_plan import LEAF, ROBOT_M
from armillary.worlds.twin.tasks.task import TaskWorld
from armillary.worlds.twin.tasks.truth import Truth
from armillary.worlds.twin.world import TwinState

FAST_M_S, PUSHING_M_S, BACK_M_S = 0.7, 0.35, -0.25
SLOWEST_M_S = 0.08  # at the end of the way
FASTER_M_S2 = 0.9
TURN_RAD_S, TURN_PER_S = 2.2, 3.0  # at most; per radian off
TURN_FIRST_RAD = 0.8  # off the way by more than this it turns where it is
DOOR_M = 0.3  # between its edge and the door's leaf
AHEAD_M = 0.3  # the point of the way that it steers to
LOST_M = 0.25  # from the way
REACH_M = 0.25  # from the thing the way ends here
THERE_M = NEAR_M - 0.04  # where it stops and turns to the thing
FACING_RAD = 0.15  # off the thing, where it stops to turn
HELD_S, MOVED_M, MOVED_RAD = 1.2, 0.04, 0.15  # it is held if it moves less in this time
BACK_S = 0.8


@dataclass(frozen=True, kw_only=True)
class Trip:
    """One row's way, whether it may lead through the door's leaf, how fast it was told to go, until when it backs off, and where and when
    it was last seen to move."""

    way: Points
    yields: bool = True
    speed_m_s: float = 0.0
    back_until_s: float = 0.0
    moved_at: tuple[float, float, float] = (math.inf, math.inf, 0.0)  # x, y, yaw
    moved_s: float = 0.0


class DriveExpert(Policy[tuple[Trip | None, ...]]):
    """Drives the robot of a GoTo. It sees the exact state, `TwinState.physics`."""

    def __init__(self, world: TaskWorld):
        self.world, self.task = world, world.task
        self._wheels = [world.drives.index(f"robot/{side} wheel") for side in ("left", "right")]
        self._targets = world.targets.double().numpy()

    def start(self, batch_size: int) -> tuple[Trip | None, ...]:
        """Nothing was planned yet."""
        return (None,) * batch_size

    def act(
        self, observation: Float64[Tensor, "b s"], memory: tuple[Trip | None, ...], rng: Generator
    ) -> tuple[Float[Tensor, "b a"], tuple[Trip | None, ...]]:
        """The next speed of both wheels; other drives hold their targets."""
        state, actions, trips = TwinState(physics=observation), [], []
        for row, trip in enumerate(memory):
            truth = Truth(self.world, state, row)
            speed_m_s, turn_rad_s, trip = self._drive(truth, self.task.spot(truth), trip)
            action = self._targets.copy()
            action[self._wheels] = [(speed_m_s + side * turn_rad_s * TRACK_M / 2) / WHEEL_RADIUS_M for side in (-1, 1)]
            actions.append(action)
            trips.append(trip)
        return torch.from_numpy(np.stack(actions)).float(), tuple(trips)

    def _drive(self, truth: Truth, spot: Spot, trip: Trip | None) -> tuple[float, float, Trip]:
        """Forward m/s, left rad/s."""
        if trip is None:
            trip = self._plan(truth, spot, Trip(way=spot.place[None]))
        if spot.far_m <= THERE_M and not self.task.plan.wall_between(spot.place, spot.nearest):
            aside = spot.aside_rad
            return 0.0, _turn(aside) if abs(aside) > FACING_RAD else 0.0, replace(trip, speed_m_s=0.0)
        if truth.seconds >= trip.back_until_s:
            trip = self._watched(truth, spot, trip)
        if truth.seconds < trip.back_until_s:
            return BACK_M_S, 0.0, replace(trip, speed_m_s=0.0, moved_s=truth.seconds)
        off_m = np.linalg.norm(trip.way - spot.place, axis=1)
        if off_m.min() > LOST_M:
            trip = self._plan(truth, spot, trip)
            off_m = np.linalg.norm(trip.way - spot.place, axis=1)
        if len(trip.way) == 1:
            return 0.0, 0.0, trip
        return self._follow(truth, spot, trip, int(off_m.argmin()))

    def _plan(self, truth: Truth, spot: Spot, trip: Trip) -> Trip:
        """A way from here; where there is none it stays where it is, and tries another place once it counts as held."""
        way = self.task.plan.way(self.task.thing, spot.place, _matrices(truth), REACH_M, yields=trip.yields)
        return replace(trip, way=spot.place[None] if way is None else way)

    def _watched(self, truth: Truth, spot: Spot, trip: Trip) -> Trip:
        """Backing off if it is held, then on another way: around the door's leaf if that did not yield, else through it."""
        x, y, yaw = trip.moved_at
        if math.dist((x, y), spot.place) > MOVED_M or abs(wrapped(spot.yaw - yaw)) > MOVED_RAD:
            return replace(trip, moved_at=(*map(float, spot.place), spot.yaw), moved_s=truth.seconds)
        if truth.seconds - trip.moved_s < HELD_S:
            return trip
        trip = self._plan(truth, spot, replace(trip, yields=not trip.yields))
        return replace(trip, back_until_s=truth.seconds + BACK_S)

    def _follow(self, truth: Truth, spot: Spot, trip: Trip, here: int) -> tuple[float, float, Trip]:
        """To a point a little ahead on the way, slower where it bends, before the end, and where the door is to be pushed."""
        along = np.cumsum(np.linalg.norm(np.diff(trip.way[here:], axis=0), axis=1))
        ahead = trip.way[min(here + 1 + int(np.searchsorted(along, AHEAD_M)), len(trip.way) - 1)]
        left_m = float(along[-1]) if len(along) else 0.0
        off = wrapped(math.atan2(*(ahead - spot.place)[::-1]) - spot.yaw)
        most = min(FAST_M_S, math.sqrt(FASTER_M_S2 * left_m) + SLOWEST_M_S)  # braking half as hard as it could
        if gap_m(self.task.plan.leaf(_matrices(truth)), spot.place) < ROBOT_M + DOOR_M:
            most = min(most, PUSHING_M_S)
        wanted = most * max(math.cos(off), 0.0) if abs(off) < TURN_FIRST_RAD else 0.0
        speed_m_s = min(wanted, trip.speed_m_s + FASTER_M_S2 * self.world.spec.seconds_per_step)
        return speed_m_s, _turn(off), replace(trip, speed_m_s=speed_m_s)


def _turn(off: float) -> float:
    return min(max(TURN_PER_S * off, -TURN_RAD_S), TURN_RAD_S)


def _matrices(truth: Truth):
    """Where things, and the leaf, are now."""
    return lambda name: truth.body(name) if name == LEAF else truth.thing(name)
