"""The expert that picks and places: it takes a thing, carries it over what stands between, and lets it go just above its place."""

import math
from dataclasses import replace

import numpy as np

from armillary.worlds.twin.grasps import hand_boxes
from armillary.worlds.twin.grasps_surface import Points, Touch
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.robots.arm import OPENING_M
from armillary.worlds.twin.tasks.grasp_choice import TOP_M, TRIED, clear_moves, held, poses_now, raised, taking, taking_moves, takings
from armillary.worlds.twin.tasks.hand import Hand
from armillary.worlds.twin.tasks.moves import Move
from armillary.worlds.twin.tasks.pick_place import PickPlace
from armillary.worlds.twin.tasks.truth import Truth

YAWS = tuple(math.radians(30.0 * k) for k in (0, 1, -1, 2, -2, 3, -3))  # that a carried thing may be turned by
ABOVE_M = 0.004  # its place: where a thing is let go
STEP_M = 0.004  # in which a place for hand and thing is looked for upwards
STEPS = 50
OVER_M = 0.04  # what a thing is carried over
WAY_M = 0.14  # to either side of its way: what it is carried over
HIGHEST_M = 1.12  # the fingertips
LET_GO_M = 0.015  # of each finger
CARRY_M_S = 0.18
OFF_M = 0.01  # how far a thing is above the table before it is carried


def plan_pick_place(task: PickPlace, truth: Truth, hand: Hand, told: Pose) -> tuple[Move, ...]:
    """Take the thing; once it is held and off the table, put it in its place; again where it was lost."""
    if task.lowest_m(truth) > OFF_M and held(truth, task.touch, task.thing):
        return _placing(task, truth, hand, told)
    world_from_thing = Pose.of_matrix(truth.thing(task.thing))
    for grasp in takings(task.scene, truth, task.thing)[:TRIED]:
        found = taking(grasp, world_from_thing, hand, hand.of(truth.positions))
        if found is not None and _place(task, truth, hand, found.at, world_from_thing) is not None:
            return taking_moves(found, told)
    return clear_moves(told, told)


def _placing(task: PickPlace, truth: Truth, hand: Hand, told: Pose) -> tuple[Move, ...]:
    tip, thing = hand.tip(hand.of(truth.positions)), Pose.of_matrix(truth.thing(task.thing))
    place = _place(task, truth, hand, tip, thing)
    if place is None:  # it hangs askew: put it down where it is and take it anew
        return _down(task, truth, told)
    below = tip.position[2] - TOP_M - task.lowest_m(truth)
    high = min(max(_over(task, truth, tip, place) + below, place.position[2] + 0.06), HIGHEST_M)
    over = replace(place, position=(*place.position[:2], high))
    opening = min(max(truth.position(finger) for finger in hand.fingers) + LET_GO_M, OPENING_M)
    away = place.then(Pose((0.0, 0.0, -0.10)))
    return (
        Move(tip=raised(told, max(high - told.position[2], 0.0)), opening=0.0, speed_m_s=CARRY_M_S, wait_s=0.0),
        Move(tip=over, opening=0.0, speed_m_s=CARRY_M_S, wait_s=0.2),
        Move(tip=place, opening=0.0, speed_m_s=0.12, wait_s=0.3),
        Move(tip=place, opening=opening, wait_s=0.3),
        Move(tip=away, opening=opening, speed_m_s=0.15, wait_s=0.8),
    )


def _down(task: PickPlace, truth: Truth, told: Pose) -> tuple[Move, ...]:
    down = raised(told, ABOVE_M - task.lowest_m(truth))
    return Move(tip=down, opening=0.0, speed_m_s=0.15), Move(tip=down, opening=OPENING_M, wait_s=0.3), Move(tip=raised(down, 0.10))


def _place(task: PickPlace, truth: Truth, hand: Hand, tip: Pose, thing: Pose) -> Pose | None:
    """world_from_tip where the thing, held as it is by a hand at `tip`, is let go; None where the arm does not get there."""
    target = Pose.of_matrix(truth.thing(task.target))
    joints = hand.of(truth.positions)
    for yaw in YAWS:
        turned = Pose.about((0.0, 0.0, 1.0), yaw).then(Pose(turn=thing.turn))
        offset = np.array(target.position) - turned.apply(task.touch.middle)
        start = Pose((offset[0], offset[1], target.position[2]), turned.turn)
        at = _lowest(task.target_touch, target, start, task.surface, thing.inverse().then(tip))
        if at is None:
            continue
        there = hand.solve(at, joints)
        above = hand.solve(raised(at, 0.08), there.joints)
        if there.off_m < 0.004 and there.off_rad < 0.05 and above.off_m < 0.01 and above.off_rad < 0.15:
            return at
    return None


def _lowest(touch: Touch, target: Pose, thing: Pose, surface: Points, thing_from_tip: Pose) -> Pose | None:
    """world_from_tip, straight up from where the thing is at `thing`, where neither hand nor thing meets the target or the table."""
    tip = thing.then(thing_from_tip)
    points = np.concatenate([thing.apply(surface), tip.apply(_hand_points())])
    first = TOP_M + ABOVE_M - float(points[:, 2].min())
    into_target = target.inverse()
    for step in range(STEPS):
        up = max(first, 0.0) + STEP_M * step
        if float(touch.depth(into_target.apply(points + np.array([0.0, 0.0, up]))).min()) > ABOVE_M / 2:
            return raised(tip, up)
    return None


def _hand_points() -> Points:
    """Points all over the open hand, in the tip's frame, m."""
    palm, finger = hand_boxes()
    shares = np.stack(np.meshgrid(*[np.linspace(0.0, 1.0, 5)] * 3), axis=-1).reshape(-1, 3)
    found = [low + shares * (high - low) for low, high in palm]
    for low, high in finger:
        left = low + np.array([0.0, OPENING_M, 0.0]) + shares * (high - low)
        found += [left, left * np.array([1.0, -1.0, 1.0])]
    return np.concatenate(found)


def _over(task: PickPlace, truth: Truth, start: Pose, end: Pose) -> float:
    """How high a thing must be carried from one place to another, m."""
    first, way = np.array(start.position[:2]), np.array(end.position[:2]) - np.array(start.position[:2])
    top = TOP_M
    for name, pose in poses_now(task.scene, truth).items():
        if name == task.thing:
            continue
        points = pose.apply(Touch(task.scene.thing(name).asset).scatter(150, np.random.default_rng(0)))
        share = ((points[:, :2] - first) @ way / max(float(way @ way), 1e-9)).clip(0.0, 1.0)
        near = np.linalg.norm(points[:, :2] - first - share[:, None] * way, axis=1) < WAY_M
        top = max(top, float(points[near, 2].max(initial=top)))
    return top + OVER_M
