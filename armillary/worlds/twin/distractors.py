"""Things that have nothing to do with what a scene is about, put where there is room for them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from armillary.core import ConfigError
from armillary.worlds.twin.asset import WORLD, Asset, Joint
from armillary.worlds.twin.extent import Bounds, asset_bounds, body_bounds, shape_bounds
from armillary.worlds.twin.objects.families import FAMILIES, names
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.scene import Placed, Scene
from armillary.worlds.twin.scenes.placing import Footprint, anywhere, footprint, settle

GAP_M = 0.015  # at least twice this between a distractor and anything else
RIM_M = 0.02  # kept clear along a table's edge
MOST = 20
_TOO_BIG = ("lamp", "tray")  # to lie on a table among others
_STEPS = 5  # in which a door's or a drawer's way is gone along


@dataclass(frozen=True)
class Ground:
    """What distractors of some families stand on in a scene that has the thing `thing`: its top or, with `inside`, the floor within it;
    `lift_m` above that at the start, so that none begins inside a rug."""

    thing: str
    families: tuple[str, ...]
    lift_m: float
    inside: bool = False


SMALL = tuple(name for name in names("hand") if name not in _TOO_BIG)
GROUNDS = (
    Ground("table", SMALL, 0.0005),
    Ground("bench", SMALL, 0.0005),
    Ground("walls", ("ball", "bottle", "box", "chair", "lamp", "stand"), 0.0045, inside=True),
)


def ground_of(scene: Scene) -> Ground | None:
    """What distractors would stand on; None if there is nothing."""
    return next((ground for ground in GROUNDS if any(thing.name == ground.thing for thing in scene.things)), None)


def with_distractors(scene: Scene, fewest: int, most: int, rng: np.random.Generator) -> Scene:
    """The scene with `fewest` to `most` things more, "distractor 1" and so on, on its table or bench, else on the floor between its walls.

    They stand clear of everything else, of where doors and drawers can get to, and of one another; one for which there is no room is left
    out. Which they are depends on their number alone: more of them leave the first as they are. ConfigError if the scene has none
    of these.
    """
    count_rng, *own = rng.spawn(1 + MOST)
    count = int(count_rng.integers(fewest, most + 1))
    if not most:
        return scene
    ground, free = ground_of(scene), _free_names(scene)
    if ground is None:
        places = ", ".join(repr(ground.thing) for ground in GROUNDS)
        raise ConfigError(
            f"scene {scene.name!r} has nothing that distractors could stand on (a thing called one of {places}); "
            "set randomise.distractors to 0"
        )
    held = scene.thing(ground.thing)
    extent = asset_bounds(held.asset)
    world_from_base = held.pose.then(Pose((0.0, 0.0, float(extent[int(not ground.inside), 2]) + ground.lift_m)))
    low, high = (tuple(map(float, corner)) for corner in (extent[0, :2] + RIM_M, extent[1, :2] - RIM_M))
    obstacles = list(_obstacles(scene, world_from_base.inverse()))
    found: list[Placed] = []
    taken: list[Footprint] = []
    for one in own[:count]:
        asset = FAMILIES[ground.families[int(one.integers(len(ground.families)))]].draw(one)
        bounds = asset_bounds(asset)
        tall = float(bounds[1, 2])
        around = [footprint(box, 0.0, 0.0, 0.0, gap=GAP_M) for box in obstacles if box[0, 2] < tall and box[1, 2] > 0.0]
        around += taken
        pose = settle(anywhere(one, bounds, low, high, gap=GAP_M), bounds, around, gap=GAP_M)
        if pose is not None:
            taken.append(around[-1])
            found.append(Placed(name=next(free), asset=asset, pose=world_from_base.then(pose), moves=True))
    return replace(scene, things=(*scene.things, *found))


def _free_names(scene: Scene) -> Iterator[str]:
    taken = {thing.name for thing in scene.things}
    return (name for name in (f"distractor {number}" for number in range(1, len(taken) + MOST + 1)) if name not in taken)


def _obstacles(scene: Scene, base_from_world: Pose) -> Iterator[Bounds]:
    """Boxes around everything that is there or can get there."""
    for thing in scene.things:
        base_from_asset = base_from_world.then(thing.pose)
        yield from _standing(thing, base_from_asset)
        yield from _swept(thing.asset, base_from_asset)


def _standing(thing: Placed, base_from_asset: Pose) -> Iterator[Bounds]:
    """Of a thing that can be moved a box for each body, of another one for each shape: walls have doors in them."""
    for body in thing.asset.bodies:
        frame = base_from_asset.then(body.pose)
        boxes = [body_bounds(body, frame)] if thing.moves else [shape_bounds(shape, frame) for shape in body.shapes]
        yield from (box for box in boxes if box is not None)


def _swept(asset: Asset, base_from_asset: Pose) -> Iterator[Bounds]:
    """Where what hangs on hinges and slides with limits and without a drive can get to: doors and drawers, not robots."""
    for joint in asset.joints:
        if joint.kind not in ("hinge", "slide") or joint.limits is None or joint.drive is not None:
            continue
        for position in np.linspace(joint.limits[0].value, joint.limits[1].value, _STEPS):
            base_from_moved = base_from_asset.then(_moved(joint, float(position)))
            for body in asset.bodies:
                if body.shapes and _hangs_on(asset, body.name, joint):
                    yield body_bounds(body, base_from_moved.then(body.pose))


def _moved(joint: Joint, position: float) -> Pose:
    """asset_from_moved: where a joint takes points of the asset from where they are at 0."""
    at = Pose((0.0, 0.0, position)) if joint.kind == "slide" else Pose.about((0.0, 0.0, 1.0), position)
    return joint.frame.then(at).then(joint.frame.inverse())


def _hangs_on(asset: Asset, body: str, joint: Joint) -> bool:
    while body != WORLD and body != joint.child:
        held = asset.joint_to(body)
        body = WORLD if held is None else held.parent
    return body == joint.child
