"""An arm on a pedestal before a chest of drawers that stands on a bench."""

import math

import numpy as np

from armillary.worlds.twin.asset import Asset
from armillary.worlds.twin.extent import asset_bounds
from armillary.worlds.twin.objects.families import FAMILIES
from armillary.worlds.twin.objects.furniture import table_of
from armillary.worlds.twin.objects.jointed import cabinet
from armillary.worlds.twin.objects.materials import bright, material, wooden
from armillary.worlds.twin.objects.parts import box, rod
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.robots.arm import arm
from armillary.worlds.twin.scene import Camera, Placed, Scene
from armillary.worlds.twin.scenes.placing import Footprint, anywhere, settle
from armillary.worlds.twin.scenes.stage import fixed, ground, lights, loose, welded, yawed
from armillary.worlds.twin.scenes.tabletop import wrist_camera

BENCH_M = (1.3, 0.66)  # length and depth
HEIGHTS_M = (0.38, 0.48)  # of the bench
FAR_M = (0.64, 0.69)  # from the middle of the arm's foot to the plane of the handles
ASIDE_M, TURNED_RAD = 0.08, 0.2  # how far the chest stands to either side and is turned
LEVEL_M = (0.03, 0.62)  # the lowest and the highest handle above the arm's foot: what a hand that points forward reaches
SMALL = ("apple", "bottle", "bowl", "can", "cup", "jar", "mug", "plate")
LIFT_M = 0.0005  # above what it stands on at the start
WALL_M = (24.0, 2.6)  # length and height


def kitchen(rng: np.random.Generator) -> Scene:
    """A chest of two to four drawers on a bench before a wall, the arm (ready, its hand open) on a pedestal before it, a few small things.

    The things are "wall", "bench", "pedestal", "arm", "cabinet" and the small ones by their families. Cameras: "front" (from over the
    arm's left shoulder), "side" and "wrist".
    """
    chest, bench = cabinet(rng), float(rng.uniform(*HEIGHTS_M))
    levels = [handle_of(chest, name)[2] for name in drawers_of(chest)]
    foot = bench + float(rng.uniform(max(0.0, levels[-1] - LEVEL_M[1]), levels[0] - LEVEL_M[0]))
    stands = _before_arm(rng, chest, bench)
    small = _small_things(rng, chest, stands)
    back = float(stands.position[1]) + BENCH_M[1] / 2 + 0.05
    colour = wooden(rng)
    return Scene(
        name="kitchen",
        things=(
            ground((0.62, 0.60, 0.57), substance="stone"),
            fixed("wall", _wall(rng), yawed(0.0, back, 0.0)),
            fixed("bench", table_of((*BENCH_M, bench), colour), yawed(stands.position[0], back - BENCH_M[1] / 2 - 0.01, 0.0)),
            fixed("pedestal", _pedestal(foot)),
            fixed("arm", arm(), yawed(0.0, 0.0, foot, math.pi / 2)),
            fixed("cabinet", chest, stands),
            *small,
        ),
        cameras=kitchen_cameras(bench),
        lights=lights((0.0, 0.4, bench + 0.3), 1.2, slant=0.8, sun=0.72),
        ambient=0.45,
    )


def kitchen_cameras(bench: float) -> tuple[Camera, ...]:
    """From over the arm's left shoulder, from its right, and from its wrist past the fingers; `bench` is the bench's height, m."""
    return (
        Camera.looking("front", at=(0.02, 0.48, bench + 0.30), eye=(-1.15, -0.45, bench + 0.85), fov_y_deg=46.0),
        Camera.looking("side", at=(0.0, 0.36, bench + 0.32), eye=(1.35, -0.62, bench + 0.70), fov_y_deg=46.0),
        wrist_camera(),
    )


def drawers_of(chest: Asset) -> tuple[str, ...]:
    """The bodies of a chest that slide, from below."""
    drawers = [joint.child for joint in chest.joints if joint.kind == "slide"]
    return tuple(sorted(drawers, key=lambda name: chest.body(name).pose.position[2]))


def handle_of(chest: Asset, drawer: str) -> tuple[float, float, float]:
    """The middle of a shut drawer's handle, in the chest's frame, m."""
    body = chest.body(drawer)
    shape = next(shape for shape in body.shapes if shape.name == "handle")
    return body.pose.then(shape.pose).position


def _before_arm(rng: np.random.Generator, chest: Asset, bench: float) -> Pose:
    """Where the chest stands: the middle of its handles straight before the arm, or a little aside and turned."""
    out = handle_of(chest, drawers_of(chest)[0])[1]
    aside, far, turned = rng.uniform(-ASIDE_M, ASIDE_M), rng.uniform(*FAR_M), rng.uniform(-TURNED_RAD, TURNED_RAD)
    stands = yawed(aside, far, bench, turned)
    return Pose(tuple(stands.apply(np.array([0.0, -out, 0.0]))), stands.turn)


def _small_things(rng: np.random.Generator, chest: Asset, stands: Pose) -> list[Placed]:
    """One to three on the chest, as many of those drawn as find room."""
    bounds = asset_bounds(chest)
    low, high = bounds[:, :2] + np.array([[0.04], [-0.04]])
    taken: list[Footprint] = []
    found = []
    for name in map(str, rng.permutation(SMALL)[: int(rng.integers(1, 4))]):
        thing = FAMILIES[name].draw(rng)
        extent = asset_bounds(thing)
        at = settle(anywhere(rng, extent, tuple(low.tolist()), tuple(high.tolist()), gap=0.01), extent, taken, gap=0.01)
        found += [] if at is None else [loose(name, thing, stands.then(Pose((0.0, 0.0, float(bounds[1, 2]) + LIFT_M))).then(at))]
    return found


def _wall(rng: np.random.Generator) -> Asset:
    """A plastered wall along x, tiled up to the height of a hand."""
    tile = tuple(0.35 * part + 0.6 for part in bright(rng, leave_out=("charcoal", "navy")))
    shapes = (
        box("wall", (WALL_M[0], 0.10, WALL_M[1]), (0, 0.06, WALL_M[1] / 2), "plaster"),
        box("tiles", (WALL_M[0], 0.02, 1.3), (0, 0, 0.65), "tiles"),
    )
    return welded("wall", shapes, (material("plaster", "plaster", (0.93, 0.92, 0.89)), material("tiles", "ceramic", tile)), "wall")


def _pedestal(height: float) -> Asset:
    shapes = rod("plate", 0.20, 0.03, (0, 0, 0.015), "steel"), rod("column", 0.12, height - 0.03, (0, 0, height / 2 + 0.015), "steel")
    return welded("pedestal", shapes, (material("steel", "steel", (0.32, 0.34, 0.37)),), "pedestal")
