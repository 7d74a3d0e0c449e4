"""Push: bring a thing on the table to a marked place without lifting it."""

import math
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from armillary.core import WorldError
from armillary.worlds.twin.asset import Asset
from armillary.worlds.twin.extent import asset_bounds
from armillary.worlds.twin.objects.families import FAMILIES, names
from armillary.worlds.twin.objects.materials import material
from armillary.worlds.twin.objects.parts import rod
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.scene import Placed
from armillary.worlds.twin.scenes.placing import Footprint
from armillary.worlds.twin.scenes.stage import fixed, loose, welded, yawed
from armillary.worlds.twin.scenes.tabletop import FOOT, LIFT_M, TABLE_M, tabletop
from armillary.worlds.twin.tasks.hand import Hand, rotation_vector
from armillary.worlds.twin.tasks.moves import Move
from armillary.worlds.twin.tasks.push_outline import Points, nearest, slides, surface, wide
from armillary.worlds.twin.tasks.task import Task
from armillary.worlds.twin.tasks.truth import Truth

NEAR_M = 0.025  # from the middle of a thing's foot to the middle of the mark: where it counts as being there
AT_REST_M_S = 0.02
UPRIGHT = math.cos(math.radians(10.0))  # how much of the thing's z looks up
ON_TABLE_M = 0.01  # how high its foot may be
SCALE_M = 0.1  # of the distance that progress falls by a factor e over
AREA_M = ((-0.15, -0.33), (0.33, 0.33))  # the corners of where things and marks are: well on the table
WAY_M = (0.10, 0.25)  # how far the mark is
REACH_M = (0.28, 0.62)  # nearest and farthest from the arm's foot, seen from above, that the wrist has to go
WRIST_M = 0.205  # from the fingertips
ASIDE_RAD = 0.8  # to either side of straight ahead
BEHIND_M = 0.19  # room for the hand behind the thing
BESIDE_M = 0.11  # and to either side of its way

TILT_RAD = 0.6  # of the hand, its fingers ahead, so that they and not the palm meet the thing
LOW_M = 0.022  # the fingertips above the table while they push
STEP_M = 0.04  # how far it is pushed before the next look
GAP_M = 0.012  # between fingers and thing before a push
CLOSE_M = 0.008  # to the middle of the mark: pushed no further
ASIDE_M, ASKEW_RAD = 0.004, 0.15  # how far off the line it goes on pushing
SIDESTEP_M, SIDESTEP_RAD = 0.03, 0.5  # how far it steps aside behind the thing; beyond that it goes over it
START_M = 0.05  # how far behind where it touches the thing the hand comes down
OVER_M = 0.04  # above all that lies on the table on the way there
PUSH_M_S, TRAVEL_M_S = 0.10, 0.40
LOWEST_M = 0.004  # below the fingertips: where the fingers end
BEND_M = 0.04  # above the fingertips: where the palm begins
FINGERS_M, PALM_M = 0.013, 0.095  # half widths
FINGER_FRONT_M, PALM_FRONT_M = 0.012, 0.034  # how far their fronts, drawn on to the height of the fingertips, are ahead of these
MARK_M = 0.001  # thick

Spot = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Push(Task):
    """The thing called `thing` is to stand on the thing "mark"."""

    thing: str

    def progress(self, truth: Truth) -> float:
        """1 on the mark, 0 once the thing has fallen over."""
        return math.exp(-max(self.miss_m(truth) - NEAR_M, 0.0) / SCALE_M) if self._stands(truth) else 0.0

    def done(self, truth: Truth) -> bool:
        """It stands on the table, upright and still, less than NEAR_M from the middle of the mark."""
        return self.miss_m(truth) < NEAR_M and truth.pace(self.thing) < AT_REST_M_S and self._stands(truth)

    def miss_m(self, truth: Truth) -> float:
        """From the middle of the thing's foot to that of the mark, seen from above."""
        return float(np.linalg.norm((truth.place(self.thing) - truth.place("mark"))[:2]))

    def _stands(self, truth: Truth) -> bool:
        thing = truth.thing(self.thing)
        return bool(thing[2, 2] > UPRIGHT and thing[2, 3] < TABLE_M[2] + ON_TABLE_M)


def draw_push(rng: np.random.Generator) -> Push:
    """A table with something that slides, a mark, and a few things that are not in the way."""
    while True:
        name, asset = _something(rng)
        reach = wide(surface(asset))
        start, mark = _way(rng, reach)
        pose = yawed(*start, TABLE_M[2] + LIFT_M, float(rng.uniform(-math.pi, math.pi)))
        things = loose(name, asset, pose), _mark(mark, reach + 0.015)
        try:
            scene = tabletop(rng, count=(1, 3), also=things, clear=(_corridor(start, mark, reach),))
        except WorldError:  # a way right across the table leaves no room for a plate
            continue
        return Push(scene=scene, words=f"Push the {name} onto the mark.", time_limit_s=25.0, thing=name)


def plan_push(task: Push, truth: Truth, hand: Hand, told: Pose) -> tuple[Move, ...]:
    """Behind the thing, a short push towards the mark, and look again."""
    middle = truth.place(task.thing)[:2]
    ahead = (truth.place("mark")[:2] - middle).copy()
    left = float(np.linalg.norm(ahead))
    if left < CLOSE_M:
        return ()
    way = _Way(middle=middle, ahead=ahead / left, turn=_turned(ahead / left, middle, told, hand, truth))
    contact = _contact(surface(task.scene.thing(task.thing).asset), truth.thing(task.thing), way)
    along, across, height = way.of(told)
    askew = float(np.linalg.norm(rotation_vector(way.turn.rotation() @ told.rotation().T)))
    push = Move(tip=way.at(contact + min(left, STEP_M)), opening=0.0, speed_m_s=PUSH_M_S, wait_s=0.15)
    behind = Move(tip=way.at(contact - GAP_M), opening=0.0, wait_s=0.05)
    if height > 2.0 * LOW_M:
        high = _travel_m(task)
        up = (Move(tip=_lifted(told, high), opening=0.0, speed_m_s=TRAVEL_M_S, wait_s=0.0),) if height < high - 0.01 else ()
        start = way.at(contact - START_M)
        over = Move(tip=_lifted(start, high), opening=0.0, speed_m_s=TRAVEL_M_S)
        return (*up, over, Move(tip=start, opening=0.0, speed_m_s=TRAVEL_M_S, wait_s=0.15), behind, push)
    if along > contact + GAP_M or abs(across) > SIDESTEP_M or askew > SIDESTEP_RAD:
        out = Move(tip=_back(told, START_M), opening=0.0)
        return out, Move(tip=_lifted(out.tip, _travel_m(task)), opening=0.0, speed_m_s=TRAVEL_M_S, wait_s=0.0)
    if abs(across) > ASIDE_M or askew > ASKEW_RAD:
        return Move(tip=_back(told, 2.0 * GAP_M), opening=0.0, wait_s=0.0), behind, push
    return (push,)


@dataclass(frozen=True, kw_only=True)
class _Way:
    """The line through the `middle` of a thing towards the mark (x, y in m), and how the hand is turned that pushes along it."""

    middle: Float64[np.ndarray, "2"]
    ahead: Float64[np.ndarray, "2"]
    turn: Pose

    @property
    def left(self) -> Float64[np.ndarray, "2"]:
        return np.array([-self.ahead[1], self.ahead[0]])

    def at(self, along: float) -> Pose:
        """The low hand on the line, `along` m ahead of the middle."""
        return replace(self.turn, position=(*(self.middle + along * self.ahead), TABLE_M[2] + LOW_M))

    def of(self, tip: Pose) -> tuple[float, float, float]:
        """How far fingertips are ahead of the middle, left of the line, and above the table, m."""
        gone = np.array(tip.position[:2]) - self.middle
        return float(gone @ self.ahead), float(gone @ self.left), tip.position[2] - TABLE_M[2]


def _contact(points: Points, thing: Float64[np.ndarray, "4 4"], way: _Way) -> float:
    """How far ahead of the thing's middle the low fingertips are when the hand touches it from behind, m.

    Seen along the tilted hand its fronts are lines: what is higher is met as if it were further back by its height times the slant.
    """
    points = points @ thing[:3, :3].T + thing[:3, 3]
    height = np.maximum(points[:, 2] - TABLE_M[2] - LOW_M, -LOWEST_M)
    gone = points[:, :2] - way.middle
    along, across = gone @ way.ahead + height * math.tan(TILT_RAD), gone @ way.left
    fingers = nearest(along[height < BEND_M], across[height < BEND_M], FINGERS_M) - FINGER_FRONT_M
    high = height >= BEND_M
    return min(fingers, nearest(along[high], across[high], PALM_M) - PALM_FRONT_M if high.any() else math.inf)


def _turned(ahead: Float64[np.ndarray, "2"], middle: Float64[np.ndarray, "2"], told: Pose, hand: Hand, truth: Truth) -> Pose:
    """The hand's turn for a push, one of the two in which it looks the same: nearer to the present one where the hand is low already,
    else the one that the arm reaches."""
    down, forward, up = np.array([0.0, 0.0, -1.0]), np.array([*ahead, 0.0]), np.array([0.0, 0.0, 1.0])
    out = math.cos(TILT_RAD) * down + math.sin(TILT_RAD) * forward
    found = []
    for side in (1.0, -1.0):
        along = side * (math.cos(TILT_RAD) * forward + math.sin(TILT_RAD) * up)
        matrix = np.eye(4)
        matrix[:3, :3] = np.stack([along, np.cross(out, along), out], axis=1)
        found.append(Pose.of_matrix(matrix))
    if told.position[2] < TABLE_M[2] + 2.0 * LOW_M:
        return max(found, key=lambda turn: float((turn.rotation() * told.rotation()).sum()))
    joints = hand.of(truth.positions)

    def missed(turn: Pose) -> float:
        solved = hand.solve(replace(turn, position=(*middle, TABLE_M[2] + LOW_M)), joints)
        return solved.off_m + solved.off_rad + 1e-3 * float(np.abs(solved.joints).max())

    return min(found, key=missed)


def _travel_m(task: Push) -> float:
    """Above the table: over everything that lies there."""
    return max(float(asset_bounds(thing.asset)[1, 2]) for thing in task.scene.things if thing.moves) + OVER_M


def _lifted(tip: Pose, height: float) -> Pose:
    return replace(tip, position=(*tip.position[:2], TABLE_M[2] + height))


def _back(tip: Pose, by: float) -> Pose:
    """Back along the level part of where the hand points."""
    out = tip.rotation()[:2, 2]
    x, y = np.array(tip.position[:2]) - by * out / np.linalg.norm(out)
    return replace(tip, position=(x, y, tip.position[2]))


def _something(rng: np.random.Generator) -> tuple[str, Asset]:
    """A thing that slides, and its family."""
    while True:
        family = str(rng.choice(names("hand")))
        asset = FAMILIES[family].draw(rng)
        if slides(asset):
            return family, asset


def _way(rng: np.random.Generator, reach: float) -> tuple[Spot, Spot]:
    """Where the thing starts and where the mark is, x and y in m, so that the arm gets there and behind the thing."""
    while True:
        start, turn, length = rng.uniform(*AREA_M), rng.uniform(-math.pi, math.pi), rng.uniform(*WAY_M)
        ahead = np.array([math.cos(turn), math.sin(turn)])
        mark, first = start + length * ahead, start - (reach + START_M + 0.02) * ahead
        on_table = bool((mark >= AREA_M[0]).all() and (mark <= AREA_M[1]).all())
        if on_table and all(_within_reach(place, ahead) for place in (first, start, mark)):
            return (float(start[0]), float(start[1])), (float(mark[0]), float(mark[1]))


def _within_reach(place: Float64[np.ndarray, "2"], ahead: Float64[np.ndarray, "2"]) -> bool:
    """Whether the arm can hold its hand there and push on: decided by where its wrist is then, which is behind the fingertips."""
    x, y = place - np.array(FOOT[:2]) - WRIST_M * math.sin(TILT_RAD) * ahead
    return bool(REACH_M[0] < math.hypot(x, y) < REACH_M[1] and abs(math.atan2(y, x)) < ASIDE_RAD)


def _corridor(start: Spot, mark: Spot, reach: float) -> Footprint:
    """From where the hand comes down to where the thing ends."""
    gone = np.array(mark) - np.array(start)
    length = float(np.linalg.norm(gone))
    back, front = reach + BEHIND_M, length + reach + 0.02
    middle = np.array(start) + gone / length * (front - back) / 2
    return Footprint((float(middle[0]), float(middle[1])), ((back + front) / 2, max(BESIDE_M, reach + 0.02)), math.atan2(gone[1], gone[0]))


def _mark(place: Spot, radius: float) -> Placed:
    """A flat red ring around a pale disc."""
    shapes = (
        rod("rim", radius, MARK_M, (0, 0, MARK_M / 2), "rim", role="visual"),
        rod("disc", 0.8 * radius, 1.5 * MARK_M, (0, 0, 0.75 * MARK_M), "disc", role="visual"),
    )
    materials = material("rim", "plastic", (0.9, 0.15, 0.2)), material("disc", "plastic", (0.97, 0.94, 0.90))
    return fixed("mark", welded("mark", shapes, materials, "mark"), Pose((*place, TABLE_M[2])))
