"""A tour: a camera that nobody holds goes through the rooms along a smooth random path, among things that stand still."""

import math
from dataclasses import replace

import numpy as np
from jaxtyping import Float64

from armillary.core import WorldError
from armillary.worlds.twin.asset import Asset, Body, Inertia
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.quantity import Quantity
from armillary.worlds.twin.scene import Camera, Scene
from armillary.worlds.twin.scenes.stage import loose
from armillary.worlds.twin.tasks.floor_plan import Points, apart_m, between
from armillary.worlds.twin.tasks.rooms_plan import RoomsPlan, as_placed

TOURED = "rooms"  # the scene
CAMERA = "tour"  # and the thing that carries it
HEAD = "tour/head"
FOV_Y_DEG = 70.0
KNOT_S = 0.8  # how often it chooses where to go and to look next
FURTHEST_M, TURN_DEG, NOD_DEG, RISE_M = 0.6, 30.0, 6.0, 0.08  # at most from one knot to the next
HEIGHT_M, DOWN_DEG = (1.1, 1.6), (10.0, 28.0)  # of the camera, and of its look
CLEAR_M = 0.45  # from what stands there
AHEAD_M = 2.0  # no wall stands nearer in the middle of what it sees, at a knot, where that can be
BELOW_M = 0.2  # what ends so far below the lowest camera is no hindrance
TRIES = 2000
Way = tuple[float, float, float]  # x, y (m), and where it looks: degrees from +y, anticlockwise
_LOOK_LEVEL = Pose.about((1.0, 0.0, 0.0), math.pi / 2)  # a camera looks along -z, y up: along +y of the head, z up


def with_tour_camera(scene: Scene) -> Scene:
    """The rooms with a camera, named first, on a head that is in nobody's way."""
    tiny = Quantity(1e-6, "estimated")
    head = Body(name="head", mass=Quantity(1e-3, "estimated"), inertia=Inertia((tiny, tiny, tiny)), label="camera")
    camera = Camera(name=CAMERA, pose=_LOOK_LEVEL, fov_y_deg=FOV_Y_DEG, on=HEAD)
    scene = scene.with_thing(loose(CAMERA, Asset(name=CAMERA, bodies=(head,), label="camera"), Pose((0.0, 0.0, HEIGHT_M[1]))))
    return replace(scene, cameras=(camera, *scene.cameras))


def plan_tour(scene: Scene, steps: int, seconds_per_step: float, rng: np.random.Generator) -> Float64[np.ndarray, "t 7"]:
    """Where the head is at each step: x, y, z (m) and a quaternion w, x, y, z. It looks along its +y.

    From knot to knot it goes in any direction, whichever way it looks, turns and nods, and never nearer than CLEAR_M to what stands there.
    WorldError where no place is free.
    """
    walls, others, floor = _standing(scene)
    count = math.floor((steps - 1) * seconds_per_step / KNOT_S) + 2
    ways = [_first(walls, others, floor, rng)]
    for _ in range(count - 1):
        ways.append(_next(ways[-1], walls, others, rng))
    knots = np.column_stack([np.array(ways), _wander(HEIGHT_M, RISE_M, count, rng), _wander(DOWN_DEG, NOD_DEG, count, rng)])
    return np.array([_head(*row) for row in _eased(knots, steps, seconds_per_step)])


def _eased(knots: Float64[np.ndarray, "k n"], steps: int, seconds_per_step: float) -> Float64[np.ndarray, "t n"]:
    """From knot to knot, at rest at each."""
    when = np.arange(steps) * seconds_per_step / KNOT_S
    before = np.floor(when).astype(int)
    share = (when - before)[:, None]
    eased = share * share * (3.0 - 2.0 * share)
    return (1.0 - eased) * knots[before] + eased * knots[before + 1]


def _head(x: float, y: float, turn_deg: float, z: float, down_deg: float) -> tuple[float, ...]:
    turned = Pose.about((0.0, 0.0, 1.0), math.radians(turn_deg), (x, y, z))
    pose = turned.then(Pose.about((1.0, 0.0, 0.0), -math.radians(down_deg)))
    return (*pose.position, *pose.turn)


def _wander(bounds: tuple[float, float], most: float, count: int, rng: np.random.Generator) -> Float64[np.ndarray, " k"]:
    """A walk of steps of at most `most` that is turned back at its bounds."""
    found = [rng.uniform(*bounds)]
    for step in rng.uniform(-most, most, count - 1):
        found.append(min(max(found[-1] + step, bounds[0]), bounds[1]))
    return np.array(found)


def _standing(scene: Scene):
    """Footprints of walls, those of what reaches up to a camera, and the corners of the floor."""
    plan, placed = RoomsPlan(scene), as_placed(scene)
    tall = [name for name, bounds in plan.bounds.items() if placed(name)[2, 3] + bounds[1, 2] > HEIGHT_M[0] - BELOW_M]
    walls = [*plan.walls, plan.leaf(placed)]
    corners = np.concatenate([one.corners() for one in plan.walls])
    return walls, [plan.of(name, placed(name)) for name in tall], (corners.min(axis=0), corners.max(axis=0))


def _first(walls: list, others: list, floor: tuple, rng: np.random.Generator) -> Way:
    for place in rng.uniform(*floor, (TRIES, 2)):
        turn_deg = float(rng.uniform(-180.0, 180.0))
        if _clear(walls + others, place[None]) and _open(walls, place, turn_deg):
            return *place, turn_deg
    raise WorldError(f"no place in the rooms is {CLEAR_M} m away from all that stands there and {AHEAD_M} m from the wall ahead")


def _next(way: Way, walls: list, others: list, rng: np.random.Generator) -> Way:
    """One that can be reached straight on; the same where there is none."""
    place = np.array(way[:2])
    for _ in range(TRIES):
        angle, length, turn_deg = rng.uniform((-math.pi, 0.0, -TURN_DEG), (math.pi, FURTHEST_M, TURN_DEG)).tolist()
        there = place + length * np.array([math.cos(angle), math.sin(angle)])
        if _clear(walls + others, np.linspace(place, there, 7)) and _open(walls, there, way[2] + turn_deg):
            return *there, way[2] + turn_deg
    return way


def _clear(standing: list, points: Points) -> bool:
    return all(bool((apart_m(one, points) >= CLEAR_M).all()) for one in standing)


def _open(walls: list, place: Points, turn_deg: float) -> bool:
    """Whether no wall stands within AHEAD_M where it looks."""
    look = np.array([-math.sin(math.radians(turn_deg)), math.cos(math.radians(turn_deg))])
    ahead = between(place, place + AHEAD_M * look)
    return not any(ahead.overlaps(wall) for wall in walls)
