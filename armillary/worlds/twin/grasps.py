"""Where two fingers can take a thing: opposite places on its surface that the hand gets to without touching anything else."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float64, Int64

from armillary.worlds.twin.extent import body_bounds, shape_bounds
from armillary.worlds.twin.grasps_surface import Points, Touch
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.robots.arm import OPENING_M, TIP, arm

FRICTION = 0.35  # that a grasp may count on
WIDEST_M = 2 * OPENING_M - 0.004  # what fits between the open fingers
ASIDE_M = 0.012  # of a finger from the surface that it closes on, while the hand approaches
APPROACH_M = 0.10  # the straight way along the hand that must be free
CLEAR_M = 0.002  # from the thing itself
CLEAR_OF_OTHERS_M = 0.008
CLEAR_OF_TABLE_M = 0.001
SINK_M = 0.0015  # how far a surface may stand out beside the place that a finger closes on
PRESSED_M = 0.001  # how far under the surface between them the pads look for more of the thing
DEPTHS_M = (0.0, 0.0075)  # beyond the point between the tips: where on its pads the hand takes a thing
TILTS = tuple(math.radians(15.0 * k) for k in range(24))  # of the hand about the line between its fingers
UPWARD = 0.3  # the most that a hand may come from below: the upward part of its direction
SEEN = 1200  # places on a thing that the hand is to be clear of
MOST = 300  # grasps that are returned
STEP_M = 0.00125  # rays look for the other side in such steps
LEVER_M = 0.06  # of the weight beside the fingers, that quality falls by a factor e over
Boxes = Float64[np.ndarray, "k 2 3"]
Cloud = Float64[np.ndarray, "p 3"]
NOTHING: Cloud = np.zeros((0, 3))
Frames = Float64[np.ndarray, "n 4 4"]
Numbers = Float64[np.ndarray, " n"]
Flags = Bool[np.ndarray, " n"]


@dataclass(frozen=True, kw_only=True)
class Grasp:
    """The hand at `thing_from_tip` (z out of the hand, y from finger to finger) closes on `width_m` of the thing.

    It comes straight along its z, each finger `opening_m` from the middle. `quality`, 0 to 1: how squarely the fingers press, with how
    much of their pads, and how near the weight is.
    """

    thing_from_tip: Pose
    width_m: float
    opening_m: float
    quality: float

    def turned(self) -> "Grasp":
        """The same grasp with the two fingers swapped."""
        swapped = self.thing_from_tip.then(Pose.about((0.0, 0.0, 1.0), math.pi))
        return Grasp(thing_from_tip=swapped, width_m=self.width_m, opening_m=self.opening_m, quality=self.quality)


def sample_grasps(
    touch: Touch,
    rng: np.random.Generator,
    *,
    table_from_thing: Pose | None = Pose(),
    others: Cloud = NOTHING,
    tries: int = 120,
) -> list[Grasp]:
    """At most MOST grasps of a thing, the best first, from `tries` places on its surface; the same for the same rng.

    The thing stands on the table z = 0 at `table_from_thing` (None: it is held in the air), beside points of `others` (table's frame, m)
    which the hand keeps clear of on its last APPROACH_M.
    """
    starts, ends = _opposite(touch, touch.scatter(tries, rng), _up(table_from_thing))
    if not len(starts):
        return []
    frames, pairs = _frames(starts, ends, _up(table_from_thing))
    widths = np.linalg.norm(ends - starts, axis=1)[pairs]
    openings = np.minimum(widths / 2 + ASIDE_M, OPENING_M)
    if table_from_thing is not None:
        free = _above_table(frames, openings, table_from_thing)
        frames, pairs, widths, openings = frames[free], pairs[free], widths[free], openings[free]
    free = _clear_of_thing(frames, widths, openings, touch.scatter(SEEN, rng))
    if len(others) and table_from_thing is not None:
        free &= ~_swept(frames, openings, table_from_thing.inverse().apply(others), CLEAR_OF_OTHERS_M)
    chosen = rng.permutation(np.flatnonzero(free))[:MOST]
    frames, widths, openings = frames[chosen], widths[chosen], openings[chosen]
    quality = _quality(touch, starts, ends)[pairs[chosen]] * _support(touch, frames, widths)
    found = [
        Grasp(thing_from_tip=Pose.of_matrix(frame), width_m=float(width), opening_m=float(opening), quality=float(good))
        for frame, width, opening, good in zip(frames, widths, openings, quality, strict=True)
    ]
    return sorted(found, key=lambda grasp: -grasp.quality)


def _up(table_from_thing: Pose | None) -> Float64[np.ndarray, "3"]:
    """In the thing's frame."""
    return np.array([0.0, 0.0, 1.0]) if table_from_thing is None else table_from_thing.rotation()[2]


def _opposite(touch: Touch, points: Cloud, up: Float64[np.ndarray, "3"]) -> tuple[Points, Points]:
    """Pairs of places that two fingers may press on: rays go in against the normal, and level with the table, to every other side."""
    inwards = -touch.normals(points)
    level = inwards - (inwards @ up)[:, None] * up
    starts, rays = np.concatenate([points, points]), np.concatenate([inwards, level])
    length = np.linalg.norm(rays, axis=1)
    starts, rays = starts[length > 0.5], rays[length > 0.5] / length[length > 0.5, None]
    ways = np.arange(1, round(WIDEST_M / STEP_M) + 1) * STEP_M
    depths = touch.depth((starts[:, None] + ways[:, None] * rays[:, None]).reshape(-1, 3)).reshape(len(starts), -1)
    row, column = np.nonzero((depths[:, :-1] < 0) & (depths[:, 1:] >= 0))
    starts, rays, inside, outside = starts[row], rays[row], ways[column], ways[column + 1]
    for _ in range(12):
        half = (inside + outside) / 2
        within = touch.depth(starts + half[:, None] * rays) < 0
        inside, outside = np.where(within, half, inside), np.where(within, outside, half)
    ends = starts + outside[:, None] * rays
    sticks = 1.0 / math.hypot(1.0, FRICTION)  # the cosine of the friction cone
    squarely = np.minimum(-(touch.normals(starts) * rays).sum(axis=1), (touch.normals(ends) * rays).sum(axis=1))
    return starts[squarely > sticks], ends[squarely > sticks]


def _quality(touch: Touch, starts: Points, ends: Points) -> Numbers:
    across = (ends - starts) / np.linalg.norm(ends - starts, axis=1, keepdims=True)
    squarely = np.minimum(-(touch.normals(starts) * across).sum(axis=1), (touch.normals(ends) * across).sum(axis=1))
    lever = np.linalg.norm(np.cross(touch.middle - (starts + ends) / 2, across), axis=1)
    sticks = 1.0 / math.hypot(1.0, FRICTION)
    return (squarely - sticks) / (1.0 - sticks) * np.exp(-lever / LEVER_M)


def _support(touch: Touch, frames: Frames, widths: Numbers) -> Numbers:
    """The share of the pads that rests on the thing: what keeps it from swinging."""
    low, high = hand_boxes()[1][-1]  # the pad
    x, side, z = (part.ravel() for part in np.meshgrid(low[0] * np.array([-0.7, 0.0, 0.7]), [-1.0, 1.0], np.linspace(low[2], high[2], 5)))
    places = np.empty((len(frames), len(x), 3))
    places[..., 0], places[..., 2] = x, z
    places[..., 1] = side * (widths[:, None] / 2 - PRESSED_M)
    points = np.einsum("nij,nkj->nki", frames[:, :3, :3], places) + frames[:, None, :3, 3]
    return (touch.depth(points.reshape(-1, 3)).reshape(points.shape[:2]) < 0).mean(axis=1)


def _frames(starts: Cloud, ends: Cloud, up: Float64[np.ndarray, "3"]) -> tuple[Frames, Int64[np.ndarray, " n"]]:
    """thing_from_tip of every pair, tilt and depth that does not come from below, and the pair's number."""
    across = (ends - starts) / np.linalg.norm(ends - starts, axis=1, keepdims=True)
    down = -up + (across @ up)[:, None] * across
    aside = np.cross(across, np.eye(3)[np.abs(across).argmin(axis=1)])
    down = np.where(np.linalg.norm(down, axis=1, keepdims=True) > 0.1, down, aside)
    down /= np.linalg.norm(down, axis=1, keepdims=True)
    tilts = np.array(TILTS)[:, None]
    ahead = np.cos(tilts) * down[:, None] + np.sin(tilts) * np.cross(across, down)[:, None]  # n tilt 3
    pair, tilt = np.nonzero(ahead @ up < UPWARD)
    ahead, across, middle = ahead[pair, tilt], across[pair], ((starts + ends) / 2)[pair]
    frames = np.tile(np.eye(4), (len(DEPTHS_M), len(pair), 1, 1))
    frames[..., :3, 0], frames[..., :3, 1], frames[..., :3, 2] = np.cross(across, ahead), across, ahead
    frames[..., :3, 3] = middle - np.array(DEPTHS_M)[:, None, None] * ahead
    return frames.reshape(-1, 4, 4), np.tile(pair, len(DEPTHS_M))


def _above_table(frames: Frames, openings: Numbers, table_from_thing: Pose) -> Flags:
    """Whether the hand, and its way there, is above z = 0."""
    palm, finger = hand_boxes()
    row = table_from_thing.matrix()[2] @ frames  # height of a point of the tip's frame: n 4
    lowest = np.full(len(frames), np.inf)
    for boxes, out in ((palm, 0.0), (finger, openings)):
        for box in _back(boxes):
            widest = np.maximum(np.abs(box[0, 1]), np.abs(box[1, 1])) + out
            height = row[:, 3] - np.abs(row[:, 1]) * widest
            lowest = np.minimum(lowest, height + sum(np.minimum(row[:, k] * box[0, k], row[:, k] * box[1, k]) for k in (0, 2)))
    return lowest > CLEAR_OF_TABLE_M


def _clear_of_thing(frames: Frames, widths: Numbers, openings: Numbers, points: Cloud) -> Flags:
    """Whether the hand meets nothing of the thing on its way there, nor its closing fingers before they reach what they press on."""
    free = ~_swept(frames, openings, points, CLEAR_M)
    _, finger = hand_boxes()
    x, y, z = _in_tip(frames, points)
    inner = finger[:, 0, 1].min()
    for low, high in finger:
        near = (widths / 2 + low[1] - inner + SINK_M)[:, None]
        hit = (y > near) & (y < (openings + high[1])[:, None]) & (x > low[0]) & (x < high[0]) & (z > low[2]) & (z < high[2])
        free &= ~hit.any(axis=1)
    return free


def _swept(frames: Frames, openings: Numbers, points: Cloud, clear_m: float) -> Flags:
    """Whether the hand with its fingers open meets any of the points on its last APPROACH_M."""
    palm, finger = hand_boxes()
    x, y, z = _in_tip(frames, points)
    hit = np.zeros(x.shape, dtype=bool)
    for boxes, out in ((palm, np.zeros(len(frames))), (finger, openings)):
        for low, high in _back(boxes):
            beside = (y > (out + low[1])[:, None] - clear_m) & (y < (out + high[1])[:, None] + clear_m)
            hit |= beside & (x > low[0] - clear_m) & (x < high[0] + clear_m) & (z > low[2]) & (z < high[2] + clear_m)
    return hit.any(axis=1)


def _in_tip(frames: Frames, points: Cloud) -> tuple[Float64[np.ndarray, "n p"], ...]:
    """x, |y| and z (n points) in the tips' frames: the hand is the same on both sides."""
    x, y, z = (points @ frames[:, :3, axis].T - (frames[:, :3, 3] * frames[:, :3, axis]).sum(axis=1) for axis in range(3))
    return x.T, np.abs(y.T), z.T


def _back(boxes: Boxes) -> Boxes:
    """The boxes and what they sweep while the hand comes along its z."""
    return boxes - np.array([[0.0, 0.0, APPROACH_M], [0.0, 0.0, 0.0]])


@lru_cache
def hand_boxes() -> tuple[Float64[np.ndarray, "1 2 3"], Boxes]:
    """The hand without its fingers, and its left finger when shut, as boxes in the tip's frame (m)."""
    robot = arm()
    hand, finger = robot.body("hand"), robot.body("left finger")
    tip_from_asset = hand.pose.then(Pose(TIP)).inverse()
    parts = [shape_bounds(shape, tip_from_asset.then(finger.pose)) for shape in finger.shapes if shape.role != "visual"]
    whole = body_bounds(hand, tip_from_asset.then(hand.pose), without="visual")
    assert whole is not None, "the hand has colliders"
    return whole[None], np.stack([part for part in parts if part is not None])
