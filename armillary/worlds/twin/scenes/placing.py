"""Putting things where there is room: footprints as turned rectangles on the ground, drawn until none overlap."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from armillary.core import WorldError
from armillary.worlds.twin.asset import Asset
from armillary.worlds.twin.extent import Bounds, asset_bounds
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.scenes.stage import yawed

TRIES = 100  # spots for a thing
LAYOUTS = 20  # before things do not fit together


@dataclass(frozen=True)
class Footprint:
    """A rectangle on the ground: its middle and half sizes (m), turned by `yaw` (rad)."""

    middle: tuple[float, float]
    half: tuple[float, float]
    yaw: float = 0.0

    def corners(self) -> Float64[np.ndarray, "4 2"]:
        """Around, anticlockwise."""
        along, across = self.sides()
        signs = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], dtype=np.float64)
        return np.array(self.middle) + signs[:, :1] * self.half[0] * along + signs[:, 1:] * self.half[1] * across

    def sides(self) -> Float64[np.ndarray, "2 2"]:
        """The directions of its sides."""
        return np.array([[math.cos(self.yaw), math.sin(self.yaw)], [-math.sin(self.yaw), math.cos(self.yaw)]])

    def overlaps(self, other: "Footprint") -> bool:
        """Whether the two share some area: no line along any of their sides keeps them apart."""
        if math.dist(self.middle, other.middle) >= math.hypot(*self.half) + math.hypot(*other.half):
            return False  # nor do the circles around them meet
        for axis in (*self.sides(), *other.sides()):
            mine, theirs = self.corners() @ axis, other.corners() @ axis
            if mine.max() <= theirs.min() or theirs.max() <= mine.min():
                return False
        return True


def footprint(bounds: Bounds, x: float, y: float, yaw: float, *, gap: float = 0.0) -> Footprint:
    """Of a thing with these bounds (m, in its own frame) that stands at (x, y), `gap` m wider all round."""
    low, high = bounds[:, :2]
    middle, half = (low + high) / 2, (high - low) / 2 + gap
    cos, sin = math.cos(yaw), math.sin(yaw)
    at = (float(x + cos * middle[0] - sin * middle[1]), float(y + sin * middle[0] + cos * middle[1]))
    return Footprint(at, (float(half[0]), float(half[1])), float(yaw))


Spot = tuple[float, float, float]  # x m, y m, yaw rad


def settle(draw: Callable[[], Spot | None], bounds: Bounds, taken: list[Footprint], *, gap: float) -> Pose | None:
    """A drawn spot where a thing with these bounds stands on z = 0 clear of `taken`, which gains it; None if none was found.

    `draw` may give None for a spot that will not do.
    """
    for _ in range(TRIES):
        spot = draw()
        mine = footprint(bounds, *spot, gap=gap) if spot else None
        if mine is not None and not any(mine.overlaps(other) for other in taken):
            taken.append(mine)
            return yawed(spot[0], spot[1], 0.0, spot[2])
    return None


def anywhere(
    rng: np.random.Generator, bounds: Bounds, low: tuple[float, float], high: tuple[float, float], *, gap: float
) -> Callable[[], Spot | None]:
    """Draws spots for `settle`, anyhow turned, wholly between the corners `low` and `high` (m)."""

    def draw() -> Spot | None:
        yaw = float(rng.uniform(-math.pi, math.pi))
        corners = footprint(bounds, 0.0, 0.0, yaw, gap=gap).corners()
        near, far = np.array(low) - corners.min(axis=0), np.array(high) - corners.max(axis=0)
        if (near > far).any():
            return None
        x, y = rng.uniform(near, far)
        return float(x), float(y), yaw

    return draw


def scatter(
    rng: np.random.Generator,
    assets: Sequence[Asset],
    low: tuple[float, float],
    high: tuple[float, float],
    *,
    gap: float = 0.015,
    taken: Sequence[Footprint] = (),
) -> list[Pose]:
    """A pose on z = 0 for each asset, wholly between the corners `low` and `high` (m) and apart by at least twice `gap`.

    The largest are placed first; the poses come in the order of the assets. WorldError where they do not fit.
    """
    every = [asset_bounds(asset) for asset in assets]
    order = sorted(range(len(assets)), key=lambda number: -float(np.prod(np.diff(every[number][:, :2], axis=0))))
    for _ in range(LAYOUTS):
        around, found = list(taken), {}
        for number in order:
            pose = settle(anywhere(rng, every[number], low, high, gap=gap), every[number], around, gap=gap)
            if pose is None:
                break
            found[number] = pose
        else:
            return [found[number] for number in range(len(assets))]
    raise WorldError(f"no room for {assets[number].name!r} between {low} and {high} beside {len(found)} others; ask for fewer")
