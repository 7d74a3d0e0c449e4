"""FloorPlan: how near each place of a floor is to what stands there, and the way of a round robot over it."""

import heapq
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from armillary.worlds.twin.scenes.placing import Footprint

CELL_M = 0.05
ROOMY_M = 0.2  # the room beside the robot from which on more of it is no better
NARROW = 4.0  # times as dear is a metre without such room
GRAZING = 30.0  # times as dear is a metre where only GRAZE_M of error keep the robot from touching
GRAZE_M = 0.03
PUSHING = 4.0  # times as dear is a metre through what can be pushed away
STEPS = tuple((a, b, math.hypot(a, b) * CELL_M) for a in (-1, 0, 1) for b in (-1, 0, 1) if a or b)

Place = Float64[np.ndarray, "2"]  # x, y, m
Points = Float64[np.ndarray, "*n 2"]


@dataclass(frozen=True, kw_only=True)
class FloorPlan:
    """A grid of squares of CELL_M from the corner `low` (m) on: `middles` of the squares, and what a metre costs a robot there, in metres
    of free way; infinite where it cannot be."""

    low: tuple[float, float]
    middles: Float64[np.ndarray, "x y 2"]
    cost: Float64[np.ndarray, "x y"]

    def way(self, start: Place, least_m: Float64[np.ndarray, "x y"], arrived: Callable[[Place], bool]) -> Points | None:
        """The cheapest way (A*) from `start` to where one has `arrived`, smoothed, from square to square; None if there is none.

        `least_m`: at least so far it is from each square to there; only squares where that is 0 are asked about.
        """
        first = tuple(int(part) for part in ((start - np.array(self.low)) / CELL_M).clip(0, np.array(self.cost.shape) - 1))
        so_far, came_from, done = {first: 0.0}, {}, set()
        open_squares = [(float(least_m[first]), first)]
        while open_squares:
            _, here = heapq.heappop(open_squares)
            if least_m[here] == 0.0 and arrived(self.middles[here]):
                return _smooth(self.middles[tuple(np.array(_back(here, came_from)).T)])
            if here in done:
                continue
            done.add(here)
            for a, b, length in STEPS:
                there = here[0] + a, here[1] + b
                if not (0 <= there[0] < least_m.shape[0] and 0 <= there[1] < least_m.shape[1]):
                    continue
                further = so_far[here] + length * float(self.cost[there])
                if further < so_far.get(there, math.inf):
                    so_far[there], came_from[there] = further, here
                    heapq.heappush(open_squares, (further + float(least_m[there]), there))
        return None


def floor_plan(
    low: tuple[float, float], high: tuple[float, float], radius_m: float, standing: Sequence[Footprint], yielding: Sequence[Footprint] = ()
) -> FloorPlan:
    """For a robot of this radius on the floor between two corners (m): around what is `standing`, and rather around what is `yielding`."""
    counts = [math.ceil((b - a) / CELL_M) for a, b in zip(low, high, strict=True)]
    axes = [a + CELL_M * (np.arange(count) + 0.5) for a, count in zip(low, counts, strict=True)]
    middles = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    room = _nearest_m(standing, middles) - radius_m
    cost = 1.0 + (NARROW - 1.0) * ((ROOMY_M - room) / ROOMY_M).clip(0.0, 1.0)
    cost = np.where(_nearest_m(yielding, middles) < radius_m, np.maximum(cost, PUSHING), cost)
    cost = np.where(room < GRAZE_M, GRAZING, cost)
    return FloorPlan(low=low, middles=middles, cost=np.where(room < -GRAZE_M, math.inf, cost))


def apart_m(footprint: Footprint, points: Points) -> Float64[np.ndarray, "*n"]:
    """From each point to the nearest one of a footprint; 0 inside."""
    beside = np.abs((points - np.array(footprint.middle)) @ footprint.sides().T) - np.array(footprint.half)
    return np.linalg.norm(np.maximum(beside, 0.0), axis=-1)


def nearest(footprint: Footprint, point: Place) -> Place:
    """The point of a footprint that is nearest to a point."""
    sides, half = footprint.sides(), np.array(footprint.half)
    return np.array(footprint.middle) + (sides @ (point - np.array(footprint.middle))).clip(-half, half) @ sides


def gap_m(footprint: Footprint, point: Place) -> float:
    """From a point to the nearest one of a footprint; 0 inside."""
    return float(np.linalg.norm(nearest(footprint, point) - point))


def between(first: Place, last: Place) -> Footprint:
    """The straight line from one point to another, as a footprint without a width."""
    along = last - first
    middle = (first + last) / 2
    return Footprint((float(middle[0]), float(middle[1])), (float(np.linalg.norm(along)) / 2, 0.0), math.atan2(along[1], along[0]))


def _nearest_m(footprints: Sequence[Footprint], points: Points) -> Float64[np.ndarray, "*n"]:
    found = np.full(points.shape[:-1], math.inf)
    for one in footprints:
        found = np.minimum(found, apart_m(one, points))
    return found


def _back(last: tuple[int, int], came_from: dict[tuple[int, int], tuple[int, int]]) -> list[tuple[int, int]]:
    way = [last]
    while way[-1] in came_from:
        way.append(came_from[way[-1]])
    return way[::-1]


def _smooth(way: Points, reach: int = 3) -> Points:
    """Each point is the mean of those up to `reach` before and after it; near an end, of as many on both sides as there are."""
    found = np.empty_like(way)
    for number in range(len(way)):
        near = min(reach, number, len(way) - 1 - number)
        found[number] = way[number - near : number + near + 1].mean(axis=0)
    return found
