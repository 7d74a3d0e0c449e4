"""Going to a named thing: the way over the floor, when one is there, and the expert that pushes the door open."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from itertools import count

import numpy as np
import pytest

pytest.importorskip("mujoco", reason="twins need the extra of that name")

from armillary.core import Prompt, seeded
from armillary.worlds.twin.extent import asset_bounds
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.robots.wheeled import wheeled_robot
from armillary.worlds.twin.scenes.placing import Footprint
from armillary.worlds.twin.tasks.attempt import attempt
from armillary.worlds.twin.tasks.catalogue import draw
from armillary.worlds.twin.tasks.floor_plan import CELL_M, apart_m, between, floor_plan, nearest
from armillary.worlds.twin.tasks.go_to import NEAR_M, GoTo, ajar, fallen
from armillary.worlds.twin.tasks.go_to_expert import DriveExpert
from armillary.worlds.twin.tasks.rooms_plan import LEAF, ROBOT_M, as_placed
from armillary.worlds.twin.tasks.task import TaskWorld
from armillary.worlds.twin.tasks.truth import Truth

RADIUS_M = 0.2
LOW, HIGH = (0.0, 0.0), (4.0, 3.0)


def standing_at(task: GoTo, x: float, y: float, yaw: float) -> tuple[GoTo, Truth]:
    """The task with its robot placed there, and its first moment."""
    robot = task.scene.thing("robot")
    pose = Pose.about((0.0, 0.0, 1.0), yaw, (x, y, robot.pose.position[2]))
    moved = replace(task, scene=task.scene.with_thing(replace(robot, pose=pose)))
    world = TaskWorld(moved)
    return moved, Truth(world, world.start(Prompt(batch_size=1), seeded(0)))


def before(task: GoTo, far_m: float) -> tuple[float, float, float]:
    """Where the robot's edge is `far_m` in front of the task's thing (its own -y), looking at it."""
    pose = task.scene.thing(task.thing).pose.matrix()
    front = task.plan.of(task.thing, pose)
    x, y = np.array(front.middle) - (front.half[1] + ROBOT_M + far_m) * pose[:2, 1]
    return float(x), float(y), math.atan2(pose[1, 1], pose[0, 1])


drawn = cache(partial(draw, "go_to"))


def first(fits: Callable[[GoTo], bool]) -> GoTo:
    """The first task that a seed draws of those that fit."""
    return next(task for task in map(drawn, count()) if fits(task))


def is_shut(task: GoTo) -> bool:
    low, high = task.scene.thing("inner door").asset.joint("hinge").limits
    return low.value == -high.value


def to_cabinet() -> GoTo:
    return first(lambda task: task.thing.endswith("cabinet"))


def straight_way(*, standing=(), yielding=(), start=(0.5, 1.5), goal=(3.5, 1.5)):
    plan = floor_plan(LOW, HIGH, RADIUS_M, standing, yielding)
    least_m = (np.linalg.norm(plan.middles - np.array(goal), axis=-1) - 0.1).clip(0.0)
    return plan.way(np.array(start), least_m, lambda place: True)


def length(way) -> float:
    return float(np.linalg.norm(np.diff(way, axis=0), axis=1).sum())


def test_distances_from_a_turned_rectangle():
    one = Footprint((1.0, 2.0), (0.5, 0.2), math.pi / 2)  # 0.4 wide along x, 1 long along y
    points = np.array([[2.0, 2.0], [1.0, 3.0], [1.1, 2.1], [1.5, 2.9]])
    assert apart_m(one, points) == pytest.approx([0.8, 0.5, 0.0, math.hypot(0.3, 0.4)])
    assert nearest(one, points[3]) == pytest.approx([1.2, 2.5]) and nearest(one, points[2]) == pytest.approx(points[2])
    assert between(np.zeros(2), points[0]).overlaps(one) is False and between(np.array([0.0, 2.0]), points[0]).overlaps(one)


def test_a_free_way_is_straight_and_one_around_a_wall_keeps_clear_of_it():
    free = straight_way()
    assert length(free) == pytest.approx(2.9, abs=2 * CELL_M) and np.abs(free[:, 1] - 1.5).max() <= CELL_M
    wall = Footprint((2.0, 1.0), (0.05, 1.0))  # open from y = 2 on
    around = straight_way(standing=[wall])
    shortest = 2.0 * math.hypot(1.5 - 0.05, 0.7)
    assert apart_m(wall, around).min() >= RADIUS_M and shortest < length(around) < 1.35 * shortest


def test_no_way_through_a_gap_narrower_than_the_robot_and_one_through_what_yields():
    leaving_m = 0.15 + RADIUS_M
    walls = [Footprint((2.0, 0.75 - leaving_m / 2), (0.05, 0.75)), Footprint((2.0, 2.25 + leaving_m / 2), (0.05, 0.75))]
    assert straight_way(standing=walls) is None
    leaf = Footprint((2.0, 1.0), (0.05, 0.9))
    assert straight_way(yielding=[leaf]) is not None
    assert straight_way(yielding=[leaf])[:, 1].max() > leaf.corners()[:, 1].max() > straight_way()[:, 1].max()  # rather around it
    shut = Footprint((2.0, 1.5), (0.05, 1.5))
    assert np.abs(straight_way(yielding=[shut])[:, 1] - 1.5).max() <= CELL_M


def test_the_robot_is_inside_its_circle():
    (low, high) = asset_bounds(wheeled_robot())[:, :2]
    assert max(*-low, *high) <= ROBOT_M < max(*-low, *high) + 0.03


@pytest.mark.parametrize(("far_m", "turned", "expected"), [(0.3, 0.0, True), (0.3, 0.5, True), (0.3, 0.6, False), (0.4, 0.0, False)])
def test_it_is_done_before_the_thing_and_facing_it(far_m, turned, expected):
    task = to_cabinet()
    x, y, yaw = before(task, far_m)
    moved, truth = standing_at(task, x, y, yaw + turned)
    spot = moved.spot(truth)
    assert spot.far_m == pytest.approx(far_m, abs=1e-6) and spot.aside_rad == pytest.approx(-turned, abs=1e-6)
    assert moved.done(truth) is expected and NEAR_M == 0.35
    assert (moved.progress(truth) == 1.0) is expected


def test_it_is_not_done_while_driving_nor_once_something_has_fallen():
    task = to_cabinet()
    moved, truth = standing_at(task, *before(task, 0.3))
    assert moved.done(truth)
    world = TaskWorld(moved)
    state = world.start(Prompt(batch_size=1), seeded(0))
    chassis = world.compiled.model.jnt_dofadr[world.compiled.free["robot/chassis"]]
    driving = state.physics.clone()
    driving[0, 1 + world.compiled.model.nq + chassis] = 0.04
    assert not moved.done(Truth(world, replace(state, physics=driving)))
    high = next(thing for thing in moved.scene.things if thing.moves and thing.pose.position[2] > 0.3)
    free = next(number for name, number in world.compiled.free.items() if name.startswith(f"{high.name}/"))
    dropped = state.physics.clone()
    dropped[0, 1 + world.compiled.model.jnt_qposadr[free] + 2] -= 0.1
    truth = Truth(world, replace(state, physics=dropped))
    assert fallen(truth, high) and not moved.done(truth)


def test_behind_a_wall_is_not_there_and_the_way_leads_through_the_door():
    task = first(lambda task: is_shut(task) and task.thing.startswith("study"))
    robot = np.array(task.scene.thing("robot").pose.position[:2])
    door = np.array(task.scene.thing("inner door").pose.position[:2])
    way = task.plan.way(task.thing, robot, as_placed(task.scene), 0.2)
    through = way[np.abs(way[:, 0]) < 0.05]
    assert len(through) and np.abs(through[:, 1] - door[1]).max() < 0.425 - ROBOT_M
    assert task.plan.way(task.thing, robot, as_placed(task.scene), 0.2, yields=False) is None
    beside, beyond = door + np.array([-0.3, 1.0]), door + np.array([0.3, 1.0])
    near, far = door + np.array([-0.3, 0.0]), door + np.array([0.3, 0.0])
    assert task.plan.wall_between(beside, beyond) and not task.plan.wall_between(near, far)


def test_a_door_ajar_stands_where_its_hinge_turns_a_shut_one():
    shut = first(is_shut)
    door = ajar(shut.scene.thing("inner door"), 0.7)
    worlds = TaskWorld(shut), TaskWorld(replace(shut, scene=shut.scene.with_thing(door)))
    layouts = {"inner door/hinge": 0.7}, {}
    turned, built = (
        Truth(world, world.start(Prompt(batch_size=1, layout=layout), seeded(0))) for world, layout in zip(worlds, layouts, strict=True)
    )
    for body in (LEAF, "inner door/handle", "inner door/frame"):
        assert built.body(body) == pytest.approx(turned.body(body), abs=1e-9)
    assert [limit.value for limit in door.asset.joint("hinge").limits] == pytest.approx([-2.6, 1.2])
    assert as_placed(worlds[1].scene)(LEAF) == pytest.approx(built.body(LEAF), abs=1e-9)


def test_the_expert_pushes_a_shut_door_open_and_knocks_nothing_over():
    task = first(lambda task: is_shut(task) and task.thing in ("study cabinet", "study shelf", "study table"))
    world = TaskWorld(task)
    made = attempt(world, DriveExpert(world))
    last = Truth(world, made.states[-1])
    assert made.done and abs(last.position("inner door/hinge")) > 0.8
    assert not any(fallen(last, thing) for thing in task.scene.things if thing.moves)
