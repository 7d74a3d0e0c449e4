"""Pick and place: put a thing onto a mat or a plate, or into a bowl or a tray."""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float64

from armillary.core import WorldError
from armillary.worlds.twin.asset import Asset
from armillary.worlds.twin.extent import asset_bounds
from armillary.worlds.twin.grasps_surface import Points, Touch
from armillary.worlds.twin.objects.families import FAMILIES
from armillary.worlds.twin.objects.materials import bright, material
from armillary.worlds.twin.objects.parts import rod
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.scene import Placed, Scene
from armillary.worlds.twin.scenes.placing import footprint
from armillary.worlds.twin.scenes.stage import fixed, loose, welded, yawed
from armillary.worlds.twin.scenes.tabletop import FOOT, LIFT_M, TABLE_M, tabletop
from armillary.worlds.twin.tasks.grasp import STILL_M_S, STILL_RAD_S, can_take, rearranged_within_reach
from armillary.worlds.twin.tasks.grasp_choice import held, loose_things
from armillary.worlds.twin.tasks.reach import tip_place
from armillary.worlds.twin.tasks.task import Stage, Staged, Task
from armillary.worlds.twin.tasks.truth import Truth

TARGETS = {"mat": "onto", "plate": "onto", "bowl": "into", "tray": "into"}
ROLLING = ("ball",)  # nothing to put on what is flat
FLAT = ("mat", "plate")
MAT_M = ((0.07, 0.10), 0.002)  # its radius between, and how thick it is
FAR_M = (0.36, 0.54)  # of a target's middle from the arm's foot
ASIDE_RAD = 0.7
RIM_M = 0.01  # within the edge of a target that a thing's middle must be
TOUCHING_M = 0.003
AWAY_M = 0.04  # the fingertips from the thing that was let go
TAKEN_M = 0.08  # above the table, in the hand: where a thing counts as taken
UPRIGHT = 0.9  # how much of a target's z looks up
SCALE_M = 0.2  # of the distances that progress falls by a factor e over
SCENES = 50  # drawn before there is nothing to put anywhere


@dataclass(frozen=True, kw_only=True)
class PickPlace(Task, Staged):
    """`thing` is to rest on or in `target`, and the hand to be away from it."""

    thing: str
    target: str

    def progress(self, truth: Truth) -> float:
        """30 % for the fingertips at the thing until it is there, 60 % for how near its place it is, 10 % for the hand being away."""
        near = math.exp(-max(self.from_tip_m(truth), 0.0) / SCALE_M)
        there = self.there(truth)
        brought = 1.0 if there else math.exp(-self.miss_m(truth) / SCALE_M)
        return 0.3 * max(near, float(there)) + 0.6 * brought + 0.1 * float(there and self.from_tip_m(truth) > AWAY_M)

    def done(self, truth: Truth) -> bool:
        """It touches the target, its middle over it; both rest; the hand is away."""
        still = all(truth.pace(name) < STILL_M_S and truth.spin(name) < STILL_RAD_S for name in (self.thing, self.target))
        return still and self.there(truth) and self.from_tip_m(truth) > AWAY_M

    def stages(self) -> tuple[Stage, ...]:
        """To take the thing and lift it; to bring it to the target and let go."""
        return Stage(thing=self.thing, over=self._taken), Stage(thing=self.target, over=self.done)

    def rearranged(self, rng: np.random.Generator) -> "PickPlace":
        """The same table laid anew, thing and target within reach. WorldError if none of a few tables will do."""
        return replace(self, scene=rearranged_within_reach(self.scene, (self.thing, self.target), rng))

    def there(self, truth: Truth) -> bool:
        """Whether the thing's middle is over the target, which stands upright and touches it."""
        target = Pose.of_matrix(truth.thing(self.target))
        if target.rotation()[2, 2] < UPRIGHT:
            return False
        target_from_thing = target.inverse().then(Pose.of_matrix(truth.thing(self.thing)))
        middle = target_from_thing.apply(self.touch.middle)
        within = float(np.hypot(*(middle[:2] / self.half_m))) < 1.0
        return within and float(self.target_touch.depth(target_from_thing.apply(self.surface)).min()) < TOUCHING_M

    def lowest_m(self, truth: Truth) -> float:
        """Of the thing, above the table."""
        return float(Pose.of_matrix(truth.thing(self.thing)).apply(self.surface)[:, 2].min()) - TABLE_M[2]

    def _taken(self, truth: Truth) -> bool:
        return self.there(truth) or (self.lowest_m(truth) > TAKEN_M and held(truth, self.touch, self.thing))

    def miss_m(self, truth: Truth) -> float:
        """From the thing's middle to over the target's, seen from above."""
        middle = Pose.of_matrix(truth.thing(self.thing)).apply(self.touch.middle)
        return float(np.linalg.norm((middle - truth.place(self.target))[:2]))

    def from_tip_m(self, truth: Truth) -> float:
        """From the fingertips to the thing's surface."""
        tip = Pose.of_matrix(truth.thing(self.thing)).inverse().apply(tip_place(truth)[None])
        return float(self.touch.depth(tip)[0])

    @cached_property
    def touch(self) -> Touch:
        """What of the thing can be touched."""
        return Touch(self.scene.thing(self.thing).asset)

    @cached_property
    def target_touch(self) -> Touch:
        """What of the target can be touched."""
        return Touch(self.scene.thing(self.target).asset)

    @cached_property
    def half_m(self) -> Float64[np.ndarray, "2"]:
        """`inner_half_m` of the target."""
        return inner_half_m(self.scene.thing(self.target).asset)

    @cached_property
    def surface(self) -> Points:
        """Points on the thing, in its frame, m."""
        return self.touch.scatter(400, np.random.default_rng(0))


def inner_half_m(target: Asset) -> Float64[np.ndarray, "2"]:
    """How far from a target's middle, along its x and y, a thing's middle may be: the half axes of an ellipse, m."""
    bounds = asset_bounds(target)
    assert bounds is not None, "targets have shapes"
    return (bounds[1] - bounds[0])[:2] / 2 - RIM_M


def draw_pick_place(rng: np.random.Generator) -> PickPlace:
    """A table with a target and things on it, one of which the hand can take and fits there."""
    for _ in range(SCENES):
        target = _target(rng)
        bounds = asset_bounds(target.asset)
        assert bounds is not None, "targets have shapes"
        x, y, _ = target.pose.position
        yaw = 2.0 * math.atan2(target.pose.turn[3], target.pose.turn[0])
        try:
            scene = tabletop(rng, count=(3, 5), also=(target,), clear=(footprint(bounds, x, y, yaw, gap=0.03),))
        except WorldError:  # a tray leaves too little room for what was drawn
            continue
        for name in map(str, rng.permutation(loose_things(scene))):
            if name != target.name and fits(scene, name, target) and can_take(scene, name, rng):
                words = f"Put the {scene.thing(name).asset.label} {TARGETS[target.name]} the {target.asset.label}."
                return PickPlace(scene=scene, words=words, time_limit_s=30.0, thing=name, target=target.name)
    raise WorldError(f"no thing can be put anywhere on any of {SCENES} tables")


def fits(scene: Scene, name: str, target: Placed) -> bool:
    """Whether a thing is small enough for a target, and stays where it is put."""
    if name in ROLLING and target.name in FLAT:
        return False
    bounds = asset_bounds(scene.thing(name).asset)
    assert bounds is not None, "things on the table have shapes"
    return math.hypot(*(bounds[1] - bounds[0])[:2]) / 2 < float(inner_half_m(target.asset).min())


def _target(rng: np.random.Generator) -> Placed:
    name = str(rng.choice(list(TARGETS)))
    far, aside, yaw = rng.uniform(*FAR_M), rng.uniform(-ASIDE_RAD, ASIDE_RAD), rng.uniform(-math.pi, math.pi)
    x, y = FOOT[0] + far * math.cos(aside), FOOT[1] + far * math.sin(aside)
    if name == "mat":
        return fixed(name, _mat(rng), yawed(x, y, TABLE_M[2], yaw))
    return loose(name, FAMILIES[name].draw(rng), yawed(x, y, TABLE_M[2] + LIFT_M, yaw))


def _mat(rng: np.random.Generator) -> Asset:
    (low, high), thick = MAT_M
    disc = rod("mat", float(rng.uniform(low, high)), thick, (0, 0, thick / 2), "cloth")
    return welded("mat", (disc,), (material("cloth", "cloth", bright(rng)),), "mat")
