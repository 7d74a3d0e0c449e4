"""RoomsPlan: the things of the scene "rooms" as footprints on its floor, and the robot's way to one of them."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float64

from armillary.worlds.twin.extent import Bounds, asset_bounds, body_bounds, shape_bounds
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.scene import Scene
from armillary.worlds.twin.scenes.placing import Footprint
from armillary.worlds.twin.tasks.floor_plan import Place, Points, apart_m, between, floor_plan, nearest

ROBOT_M = 0.19  # the radius of a circle around the wheeled robot, whose middle is the chassis' origin
UNDER_M = 0.7  # what begins higher than this is above the robot
OVER_M = 0.02  # what ends lower than this it drives over
LEAF = "inner door/leaf"

Matrices = Callable[[str], Float64[np.ndarray, "4 4"]]  # from the name of a thing, or of LEAF, to where it is


class RoomsPlan:
    """What stands in the rooms of a scene. Furniture counts as the box around it; the inner door's leaf can be pushed open."""

    def __init__(self, scene: Scene):
        built = [_shapes(scene, "walls"), _shapes(scene, "inner door", "frame"), _shapes(scene, "outer door")]
        self.walls = tuple(one for part in built for one in part)
        others = [one for one in scene.things if one.name not in ("walls", "inner door", "outer door", "robot")]
        found = {one.name: asset_bounds(one.asset) for one in others}
        self.bounds: dict[str, Bounds] = {name: bounds for name, bounds in found.items() if bounds is not None}
        self._leaf = body_bounds(scene.thing("inner door").asset.body("leaf"))
        walls = asset_bounds(scene.thing("walls").asset)
        self._corners = tuple(tuple(float(part) for part in corner[:2]) for corner in walls)

    def of(self, thing: str, world_from_thing: Float64[np.ndarray, "4 4"]) -> Footprint:
        """Where a thing stands."""
        return _seen_from_above(self.bounds[thing], world_from_thing)

    def leaf(self, matrices: Matrices) -> Footprint:
        """Where the inner door's leaf is."""
        return _seen_from_above(self._leaf, matrices(LEAF))

    def wall_between(self, place: Place, other: Place) -> bool:
        """Whether a wall stands on the straight line between two places."""
        line = between(place, other)
        return any(line.overlaps(wall) for wall in self.walls)

    def way(self, thing: str, start: Place, matrices: Matrices, reach_m: float, *, yields: bool = True) -> Points | None:
        """From `start` to where the robot's edge is within `reach_m` of a thing, no wall between; None if there is no such way.

        `yields`: whether the inner door's leaf can be pushed out of it.
        """
        standing = [*self.walls, *(self.of(name, matrix) for name, matrix in self._low_things(matrices))]
        leaf = [self.leaf(matrices)]
        plan = floor_plan(*self._corners, ROBOT_M, standing if yields else standing + leaf, leaf if yields else [])
        target = self.of(thing, matrices(thing))
        least_m = (apart_m(target, plan.middles) - ROBOT_M - reach_m).clip(0.0)
        return plan.way(start, least_m, lambda place: not self.wall_between(place, nearest(target, place)))

    def _low_things(self, matrices: Matrices):
        for name, bounds in self.bounds.items():
            matrix = matrices(name)
            if matrix[2, 3] + bounds[0, 2] < UNDER_M and matrix[2, 3] + bounds[1, 2] > OVER_M:
                yield name, matrix


def as_placed(scene: Scene) -> Matrices:
    """Where the things of a scene are before anything has moved."""

    def found(name: str) -> Float64[np.ndarray, "4 4"]:
        thing, _, part = name.partition("/")
        placed = scene.thing(thing)
        return (placed.pose.then(placed.asset.body(part).pose) if part else placed.pose).matrix()

    return found


def _shapes(scene: Scene, thing: str, body: str = "") -> list[Footprint]:
    """What collides of a thing that never moves, or of one body of it, piece by piece."""
    placed = scene.thing(thing)
    bodies = [one for one in placed.asset.bodies if body in ("", one.name)]
    shapes = ((shape, one.pose) for one in bodies for shape in one.shapes if shape.role != "visual")
    boxes = [shape_bounds(shape, placed.pose.then(pose)) for shape, pose in shapes]
    return [_seen_from_above(box, Pose().matrix()) for box in boxes if box is not None and box[0, 2] < UNDER_M]


def _seen_from_above(bounds: Bounds, world_from_thing: Float64[np.ndarray, "4 4"]) -> Footprint:
    """The rectangle, along the thing's own sides, around the shadow that its box casts straight down."""
    corners = np.stack(np.meshgrid(*bounds.T, indexing="ij"), axis=-1).reshape(-1, 3)
    flat = corners @ world_from_thing[:2, :3].T + world_from_thing[:2, 3]
    yaw = float(np.arctan2(world_from_thing[1, 0], world_from_thing[0, 0]))
    sides = Footprint((0.0, 0.0), (0.0, 0.0), yaw).sides()
    low, high = (flat @ sides.T).min(axis=0), (flat @ sides.T).max(axis=0)
    middle, half = (low + high) / 2 @ sides, (high - low) / 2
    return Footprint((float(middle[0]), float(middle[1])), (float(half[0]), float(half[1])), yaw)
