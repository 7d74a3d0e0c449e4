"""A road, straight or bent, with houses and trees along it, cars at its side, and a car that can be driven past cones."""

import math
from dataclasses import replace

import numpy as np

from armillary.worlds.twin.objects.materials import bright, several
from armillary.worlds.twin.robots.car import EYE, car
from armillary.worlds.twin.scene import Camera, Placed, Scene
from armillary.worlds.twin.scenes.stage import fixed, ground, lights, loose, yawed
from armillary.worlds.twin.scenes.street import KERB_HEIGHT_M, KERB_M, LANE_M, PAVEMENT_M, Path, cone, house, road_of, street_lamp, tree

LENGTH_M = 70.0
START_M = 6.0  # along the road, where the car stands
LIFT_M = 0.002
HOUSES = ((0.86, 0.78, 0.66), (0.78, 0.52, 0.42), (0.70, 0.74, 0.78), (0.88, 0.84, 0.76), (0.62, 0.66, 0.58))


def road(rng: np.random.Generator) -> Scene:
    """The things are "car" in the right lane, "parked car K", "cone K", "road", and what stands beside it.

    Cameras: "chase" and "driver" ride on the car, "beside" and "above" stand still.
    """
    path = Path(LENGTH_M, float(rng.choice((0.0, 1.0))) * float(rng.choice((-1.0, 1.0)) * rng.uniform(1 / 120.0, 1 / 60.0)))
    colours = several(rng, 3)
    own = _on(path, "car", car(bright(rng, leave_out=("charcoal", "navy", "white"))), START_M, -LANE_M / 2)
    x, y, _ = path.at(0.35 * LENGTH_M)
    return Scene(
        name="road",
        things=(
            ground((0.46, 0.58, 0.36), substance="asphalt", half_sizes=(200.0, 200.0)),
            fixed("road", road_of(path)),
            own,
            *_obstacles(rng, path, colours),
            *_beside(rng, path),
        ),
        cameras=_cameras(path),
        lights=lights((x, y, 0.0), 30.0),
        ambient=0.4,
    )


def _on(path: Path, name: str, asset, along: float, aside: float) -> Placed:
    """A thing on the road that looks along it."""
    x, y, heading = path.at(along, aside)
    return loose(name, asset, yawed(x, y, LIFT_M, heading))


def _obstacles(rng: np.random.Generator, path: Path, colours: list) -> list[Placed]:
    """Cars parked on the left, and a row of cones that narrows the right lane."""
    parked = [
        _on(path, f"parked car {k}", car(colour, parked=True), float(22.0 + 14.0 * k + rng.uniform(0.0, 5.0)), LANE_M - 1.1)
        for k, colour in enumerate(colours[: int(rng.integers(1, 4))])
    ]
    start = float(rng.uniform(20.0, 36.0))
    cones = [_on(path, f"cone {k}", cone(), start + 1.6 * k, -LANE_M + 0.5 + 0.28 * k) for k in range(int(rng.integers(3, 6)))]
    return parked + cones


def _beside(rng: np.random.Generator, path: Path) -> list[Placed]:
    """Lamps and trees on the pavements, houses behind them."""
    edge = LANE_M + KERB_M + PAVEMENT_M
    found = []
    for side, name in ((1, "left"), (-1, "right")):
        turn = 0.0 if side > 0 else math.pi  # what faces -y then faces the road
        for k in range(6):
            along, step = 4.0 + 12.0 * k, (edge + 5.0) * side
            x, y, heading = path.at(along + float(rng.uniform(-1.0, 1.0)), step)
            found.append(fixed(f"{name} house {k}", house(rng, HOUSES[rng.integers(len(HOUSES))]), yawed(x, y, 0.0, heading + turn)))
            x, y, heading = path.at(along + 6.0, side * (edge - 0.4))
            found.append(fixed(f"{name} tree {k}", tree(rng), yawed(x, y, KERB_HEIGHT_M, heading)))
        for k in range(3):
            x, y, heading = path.at(10.0 + 24.0 * k, side * (edge - 1.5))
            found.append(fixed(f"{name} lamp {k}", street_lamp(), yawed(x, y, KERB_HEIGHT_M, heading + turn)))
    return found


def _cameras(path: Path) -> tuple[Camera, ...]:
    x, y, _ = path.at(START_M + 4.0)
    far_x, far_y, _ = path.at(0.45 * LENGTH_M)
    eye_x, eye_y, _ = path.at(START_M + 14.0, LANE_M * 1.4)
    chase = Camera.looking("chase", at=(4.0, 0.0, 0.9), eye=(-6.5, 0.0, 2.9), fov_y_deg=55.0)
    driver = Camera.looking("driver", at=(10.65, 0.0, 1.1), eye=EYE, fov_y_deg=60.0)
    return (
        replace(chase, on="car/chassis"),
        replace(driver, on="car/chassis"),
        Camera.looking("beside", at=(x, y, 0.8), eye=(eye_x, eye_y, 2.2), fov_y_deg=55.0),
        Camera.looking("above", at=(far_x, far_y, 0.0), eye=(-16.0, -3.0, 26.0), fov_y_deg=55.0),
    )
