"""Two rooms with a door between them, furnished along their walls, and a robot on wheels."""

import math
from dataclasses import dataclass, replace

import numpy as np

from armillary.worlds.twin.asset import Asset
from armillary.worlds.twin.extent import Bounds, asset_bounds
from armillary.worlds.twin.objects.families import FAMILIES
from armillary.worlds.twin.objects.jointed import door_of
from armillary.worlds.twin.objects.materials import Colour, bright, material
from armillary.worlds.twin.objects.parts import box
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.robots.wheeled import EYE, wheeled_robot
from armillary.worlds.twin.scene import Camera, Placed, Scene
from armillary.worlds.twin.scenes.placing import Footprint, Spot, anywhere, settle
from armillary.worlds.twin.scenes.stage import fixed, ground, lights, loose, welded, yawed
from armillary.worlds.twin.scenes.walls import DOOR_HEIGHT_M, HEIGHT_M, THICK_M, Wall, walls_of

DOOR_WIDTH_M = 0.85
LIFT_M = 0.0005
RUG_M = 0.004
WALLS: tuple[Colour, ...] = ((0.93, 0.91, 0.86), (0.86, 0.90, 0.92), (0.90, 0.92, 0.86), (0.94, 0.89, 0.86))
KINDS = {"living": ("sofa", "shelf", "cabinet"), "study": ("table", "shelf", "cabinet")}
ON_TOP = ("lamp", "book", "mug", "bottle", "bowl", "box", "jar", "apple", "can")
FREE = ("chair", "box", "ball")  # stand in the room where there is room


@dataclass(frozen=True)
class Room:
    """The corners (m) between the faces of its walls, and the sides that furniture may stand against."""

    name: str
    low: tuple[float, float]
    high: tuple[float, float]
    sides: tuple[str, ...]

    def middle(self) -> tuple[float, float]:
        """In m."""
        return (self.low[0] + self.high[0]) / 2, (self.low[1] + self.high[1]) / 2


def rooms(rng: np.random.Generator) -> Scene:
    """A living room and a study: their doors swing, their drawers slide, chairs and small things can be pushed.

    The things are "walls", "inner door", "outer door", "robot", and furniture by room and family, as "study cabinet". Cameras: "above"
    (there is no ceiling), "living", "study" (each from a corner) and "robot" (what the robot sees).
    """
    width, depth = (float(rng.uniform(3.4, 4.2)), float(rng.uniform(3.2, 4.0))), float(rng.uniform(3.6, 4.4))
    half, inner, outer = depth / 2, float(rng.uniform(0.3, 0.7)) * (depth - 1.8) + 0.9, width[1] - 0.8
    walls = (
        Wall(name="front", start=(-width[0], -half), end=(width[1], -half)),
        Wall(
            name="back",
            start=(-width[0], half),
            end=(width[1], half),
            openings=((width[0] + outer, DOOR_WIDTH_M),),
            windows=(width[0] / 2,),
        ),
        Wall(name="left", start=(-width[0], -half), end=(-width[0], half)),
        Wall(name="right", start=(width[1], -half), end=(width[1], half), windows=(half * 0.9,)),
        Wall(name="inner", start=(0.0, -half), end=(0.0, half), openings=((inner, DOOR_WIDTH_M),)),
    )
    colour = bright(rng, leave_out=("charcoal", "yellow", "pink"))
    leaf = door_of(DOOR_WIDTH_M, DOOR_HEIGHT_M, colour, thick=THICK_M)
    doors = (
        fixed("inner door", leaf, yawed(0.0, inner - half, 0.0, math.pi / 2)),
        fixed("outer door", leaf, yawed(outer, half, 0.0)),
    )
    edge = THICK_M / 2 + 0.02
    taken = [
        Footprint((0.0, inner - half), (1.0, 0.6)),
        Footprint((outer, half), (0.6, 1.0)),
    ]
    living = Room("living", (-width[0] + edge, -half + edge), (-edge, half - edge), ("left", "back", "inner"))
    study = Room("study", (edge, -half + edge), (width[1] - edge, half - edge), ("right", "back", "inner"))
    robot = _stand_free(rng, "robot", wheeled_robot(colour), living, taken)
    furniture = [thing for room in (living, study) for thing in _furnish(rng, room, taken)]
    things = (
        ground((0.74, 0.62, 0.48), substance="wood", half_sizes=(30.0, 30.0)),
        fixed("walls", walls_of(walls, WALLS[rng.integers(len(WALLS))])),
    )
    rugs = [_rug(rng, room) for room in (living, study)]
    return Scene(
        name="rooms",
        things=(*things, *rugs, *doors, *furniture, *([robot] if robot else [])),
        cameras=_cameras(living, study, depth),
        lights=lights((0.0, 0.0, 0.0), 6.0, slant=0.3, sun=0.38),
        ambient=0.58,
    )


def _furnish(rng: np.random.Generator, room: Room, taken: list[Footprint]) -> list[Placed]:
    """Furniture against the walls with small things on it, then what stands free."""
    found: list[Placed] = []
    for family in KINDS[room.name]:
        asset = FAMILIES[family].draw(rng)
        bounds = asset_bounds(asset)

        def draw(bounds: Bounds = bounds) -> Spot:
            return _against(rng, room, room.sides[rng.integers(len(room.sides))], bounds)

        pose = settle(draw, bounds, taken, gap=0.02)
        if pose is not None:
            found.append(fixed(f"{room.name} {family}", asset, pose))
            found += _on_top(rng, room, family, asset, pose)
    for family in FREE:
        thing = _stand_free(rng, f"{room.name} {family}", FAMILIES[family].draw(rng), room, taken)
        found += [thing] if thing else []
    return found


def _against(rng: np.random.Generator, room: Room, side: str, bounds: Bounds) -> Spot:
    """Where a thing with these bounds, that faces -y, stands with its back to a wall."""
    low, high = bounds
    width = max(abs(low[0]), high[0]) + 0.03
    if side == "back":
        return float(rng.uniform(room.low[0] + width, room.high[0] - width)), float(room.high[1] - high[1]), 0.0
    y = float(rng.uniform(room.low[1] + width, room.high[1] - width))
    at_low = (side == "left") or (side == "inner" and room.name == "study")
    return (float(room.low[0] + high[1]), y, math.pi / 2) if at_low else (float(room.high[0] - high[1]), y, -math.pi / 2)


def _on_top(rng: np.random.Generator, room: Room, family: str, asset: Asset, pose: Pose) -> list[Placed]:
    """Small things on a table or a cabinet, as many of those drawn as find room."""
    if family not in ("table", "cabinet"):
        return []
    bounds = asset_bounds(asset)
    inset = np.array([0.03, 0.06])
    low, high = tuple(map(float, bounds[0, :2] + inset)), tuple(map(float, bounds[1, :2] - inset))
    on = pose.then(Pose((0.0, 0.0, float(bounds[1, 2]) + LIFT_M)))
    taken: list[Footprint] = []
    found = []
    for name in map(str, rng.permutation(ON_TOP)[: 3 if family == "table" else 2]):
        thing = FAMILIES[name].draw(rng)
        at = settle(anywhere(rng, asset_bounds(thing), low, high, gap=0.005), asset_bounds(thing), taken, gap=0.005)
        found += [] if at is None else [loose(f"{room.name} {family} {name}", thing, on.then(at))]
    return found


def _stand_free(rng: np.random.Generator, name: str, asset: Asset, room: Room, taken: list[Footprint]) -> Placed | None:
    def draw() -> Spot:
        x, y = (float(part) for part in rng.uniform(np.array(room.low) + 0.5, np.array(room.high) - 0.5))
        towards = math.atan2(room.middle()[1] - y, room.middle()[0] - x)
        return x, y, towards + float(rng.uniform(-0.7, 0.7))

    pose = settle(draw, asset_bounds(asset), taken, gap=0.05)
    return None if pose is None else loose(name, asset, replace(pose, position=(*pose.position[:2], RUG_M + LIFT_M)))


def _rug(rng: np.random.Generator, room: Room) -> Placed:
    """A thin rug."""
    x, y = room.middle()
    size = (float(rng.uniform(1.4, 2.0)), float(rng.uniform(1.2, 1.7)))
    colour = bright(rng, leave_out=("charcoal", "cream", "navy", "white", "yellow"))
    shapes = (
        box("rug", (*size, 0.002), (0, 0, 0.001), "border"),
        box("middle", (size[0] - 0.16, size[1] - 0.16, RUG_M), (0, 0, RUG_M / 2), "rug"),
    )
    pale = tuple(0.6 * part + 0.3 for part in colour)
    materials = (material("rug", "cloth", pale), material("border", "cloth", colour))
    return fixed(f"{room.name} rug", welded("rug", shapes, materials, "rug"), yawed(x, y, 0.0))


def _cameras(living: Room, study: Room, depth: float) -> tuple[Camera, ...]:
    (x0, y0), (x1, y1) = living.middle(), study.middle()
    middle = (living.low[0] + study.high[0]) / 2
    robot = Camera.looking("robot", at=(EYE[0] + 1.0, 0.0, EYE[2] - 0.12), eye=EYE, fov_y_deg=70.0)
    return (
        Camera.looking("above", at=(middle, 0.15, 0.4), eye=(middle, -depth * 1.15, 8.4), fov_y_deg=43.0),
        Camera.looking("living", at=(x0, y0 + 0.2, 0.5), eye=(living.high[0] - 0.2, living.low[1] + 0.2, HEIGHT_M - 0.2), fov_y_deg=70.0),
        Camera.looking("study", at=(x1, y1 + 0.2, 0.5), eye=(study.low[0] + 0.2, study.low[1] + 0.2, HEIGHT_M - 0.2), fov_y_deg=70.0),
        replace(robot, on="robot/chassis"),
    )
