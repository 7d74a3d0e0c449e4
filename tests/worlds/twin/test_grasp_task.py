"""Grasp, and pick and place: what counts as done, and experts that do it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

pytest.importorskip("mujoco")

from armillary.core import Policy, Prompt, seeded
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.randomise import Randomiser, randomise
from armillary.worlds.twin.scenes.tabletop import FOOT
from armillary.worlds.twin.tasks.attempt import Attempt, attempt
from armillary.worlds.twin.tasks.catalogue import TASKS, draw
from armillary.worlds.twin.tasks.grasp import HIGH_M, Grasping
from armillary.worlds.twin.tasks.grasp_choice import grasps_among, held, pad_points, poses_now
from armillary.worlds.twin.tasks.hand import DOWN
from armillary.worlds.twin.tasks.moves import HandExpert, Move
from armillary.worlds.twin.tasks.pick_place import TARGETS, PickPlace, fits
from armillary.worlds.twin.tasks.task import Task, TaskWorld
from armillary.worlds.twin.tasks.truth import Truth
from armillary.worlds.twin.world import TwinState

NAMES = ("grasp", "pick_place")


def tried(task: Task, expert: str) -> tuple[TaskWorld, Attempt]:
    world = TaskWorld(task)
    return world, attempt(world, TASKS[expert].expert(world))


def begun(task: Task, **layout) -> Truth:
    world = TaskWorld(task)
    return Truth(world, world.start(Prompt(batch_size=1, layout=layout), seeded(0)))


def root(task: Task, name: str) -> str:
    return f"{name}/{task.scene.thing(name).asset.bodies[0].name}"


@pytest.fixture(scope="module")
def lifted() -> tuple[TaskWorld, Attempt]:
    return tried(draw("grasp", 3), "grasp")


@pytest.fixture(scope="module")
def placed() -> tuple[TaskWorld, Attempt]:
    return tried(draw("pick_place", 0), "pick_place")


def test_a_seed_draws_the_same_task_and_another_one_another():
    task = draw("pick_place", 0)
    assert draw("pick_place", 0) == task
    assert draw("pick_place", 1) != task


@pytest.mark.parametrize("name", NAMES)
def test_a_drawn_task_is_not_done_and_names_what_is_to_be_done(name):
    kinds = set()
    for seed in range(2):
        task = draw(name, seed)
        truth = begun(task)
        assert not task.done(truth) and task.progress(truth) < 0.7
        label = task.scene.thing(task.thing).asset.label
        if isinstance(task, PickPlace):
            assert task.words == f"Put the {label} {TARGETS[task.target]} the {task.scene.thing(task.target).asset.label}."
            assert fits(task.scene, task.thing, task.scene.thing(task.target))
        else:
            assert task.words == f"Lift the {label}."
        assert 0.3 < np.linalg.norm(truth.place(task.thing)[:2] - np.array(FOOT[:2])) < 0.62
        assert len(grasps_among(task.scene, poses_now(task.scene, truth), task.thing, np.random.default_rng(9)))
        kinds.add(task.words)
    assert len(kinds) > 1


def test_the_expert_lifts_a_thing_and_the_reward_rises(lifted):
    world, tries = lifted
    assert tries.done and tries.rewards[-1] > 0.99 and tries.rewards[0] < 0.5
    truth, task = Truth(world, tries.states[-1]), world.task
    assert task.height_m(truth) > HIGH_M and held(truth, task.touch, task.thing)


def test_what_is_lifted_stays_where_it_is_for_half_a_second(lifted):
    world, tries = lifted
    state, task = tries.states[-1], world.task
    before = Truth(world, state).place(task.thing)
    for _ in range(10):
        state = world.step(state, tries.actions[-1:], seeded(0))
    truth = Truth(world, state)
    assert task.done(truth)
    assert np.linalg.norm(truth.place(task.thing) - before) < 0.02


def test_opening_the_hand_ends_it(lifted):
    world, tries = lifted
    action = tries.actions[-1:].clone()
    action[:, [world.drives.index(f"arm/{finger} finger") for finger in ("left", "right")]] = 0.04
    state = tries.states[-1]
    for _ in range(10):
        state = world.step(state, action, seeded(0))
    assert not world.task.done(Truth(world, state))


@pytest.mark.parametrize("seed", [5, 6])
def test_the_expert_does_it_with_other_masses_friction_and_gains(seed):
    task = draw("grasp", seed)
    varied = replace(task, scene=randomise(task.scene, Randomiser(), np.random.default_rng(seed)))
    assert tried(varied, "grasp")[1].done


class Still(Policy[None]):
    """Asks for what the scene's drives ask for."""

    def __init__(self, world: TaskWorld):
        self.world = world

    def start(self, batch_size: int) -> None:
        return None

    def act(self, observation, memory, rng):
        return self.world.targets[None], None


@pytest.mark.parametrize("name", NAMES)
def test_who_does_nothing_does_not_do_it(name):
    world = TaskWorld(replace(draw(name, 3), time_limit_s=1.0))
    tries = attempt(world, Still(world))
    assert not tries.done and float(tries.rewards.max() - tries.rewards.min()) < 0.05


def test_a_hand_that_closes_in_the_air_lifts_nothing():
    task = replace(draw("grasp", 3), time_limit_s=2.5)
    world = TaskWorld(task)

    def plan(truth: Truth, hand, told: Pose) -> tuple[Move, ...]:
        x, y, z = truth.place(task.thing)
        over = replace(DOWN, position=(float(x), float(y), float(z) + 0.18))
        return (
            Move(tip=over, speed_m_s=0.6),
            Move(tip=over, opening=0.0, wait_s=0.4),
            Move(tip=Pose((x, y, z + 0.3), DOWN.turn), opening=0.0),
        )

    tries = attempt(world, HandExpert(world, plan))
    assert not tries.done and tries.rewards.max() < 0.41


def test_a_thing_in_the_air_that_nobody_holds_is_not_lifted():
    """At the top of a throw it is high and at rest."""
    task = draw("grasp", 3)
    x, y, z = task.scene.thing(task.thing).pose.position
    truth = begun(task, **{root(task, task.thing): [x, y, z + 0.15]})
    assert task.height_m(truth) == pytest.approx(0.15) and truth.pace(task.thing) == 0.0
    assert not task.done(truth)


def test_the_expert_puts_a_thing_into_its_place_and_lets_go(placed):
    world, tries = placed
    truth, task = Truth(world, tries.states[-1]), world.task
    assert tries.done and tries.rewards[-1] > 0.9 and tries.rewards[0] < 0.7
    assert not held(truth, task.touch, task.thing) and truth.pace(task.thing) < 0.02


def test_what_was_placed_stays(placed):
    world, tries = placed
    state, task = tries.states[-1], world.task
    before = Truth(world, state).place(task.thing)
    for _ in range(10):
        state = world.step(state, tries.actions[-1:], seeded(0))
    truth = Truth(world, state)
    assert task.there(truth) and np.linalg.norm(truth.place(task.thing) - before) < 0.01


def test_what_still_moves_is_not_placed(placed):
    world, made = placed
    joint = world.compiled.free[root(world.task, world.task.thing)]
    first = 1 + world.compiled.model.nq + world.compiled.model.jnt_dofadr[joint]
    physics = made.states[-1].physics.clone()
    assert world.task.done(Truth(world, TwinState(physics=physics)))
    physics[0, first] += 0.1  # m/s
    assert not world.task.done(Truth(world, TwinState(physics=physics)))


def test_above_the_target_or_beside_it_is_not_there():
    task = next(task for task in (draw("pick_place", seed) for seed in range(42, 60)) if task.target == "mat")
    x, y, z = task.scene.thing("mat").pose.position
    name, out = root(task, task.thing), float(task.half_m[0])
    assert task.done(begun(task, **{name: [x, y, z + 0.002]}))
    assert not task.there(begun(task, **{name: [x, y, z + 0.02]})), "in the air"
    assert not task.there(begun(task, **{name: [x + out + 0.03, y, z + 0.002]})), "at its edge"


def test_the_hand_at_the_thing_is_not_away(placed):
    world, tries = placed
    task: PickPlace = world.task
    there = [task.there(Truth(world, state)) for state in tries.states]
    first = there.index(True)
    assert first < len(there) - 3 and not task.done(Truth(world, tries.states[first])), "the hand still has to let go"


@pytest.mark.parametrize("name", NAMES)
def test_a_table_laid_anew_keeps_its_things_within_reach(name):
    task = draw(name, 0)
    moved = task.rearranged(np.random.default_rng(1))
    assert [thing.asset for thing in moved.scene.things] == [thing.asset for thing in task.scene.things]
    for asked in (stage.thing for stage in moved.stages()):
        before, now = (np.array(one.scene.thing(asked).pose.position) for one in (task, moved))
        assert not np.allclose(before, now) and before[2] == now[2]
        assert 0.3 < np.linalg.norm(now[:2] - np.array(FOOT[:2])) < 0.62


def test_stages_are_over_one_after_the_other(lifted, placed):
    world, tries = placed
    taken, put = world.task.stages()
    when = [[stage.over(Truth(world, state)) for state in tries.states[::4]] for stage in (taken, put)]
    assert not when[0][0] and when[0][-1] and not any(when[1])
    assert 0 < when[0].index(True) < len(when[0]) - 4
    assert put.over(Truth(world, tries.states[-1])) or tries.states[-1] is tries.states[::4][-1]
    (only,) = lifted[0].task.stages()
    assert only.over(Truth(lifted[0], lifted[1].states[-1]))


def test_pads_are_where_the_fingers_meet():
    """Shut, the two pads' inner sides are 1 mm apart."""
    left, right = pad_points("left finger"), pad_points("right finger")
    assert left[:, 1] == pytest.approx(0.0005) and right[:, 1] == pytest.approx(-0.0005)
    assert np.ptp(left[:, 0]) == pytest.approx(0.020) and np.ptp(left[:, 2]) == pytest.approx(0.022)


def test_progress_has_no_gaps(lifted):
    """No step of the expert's costs more than what a swinging thing does."""
    world, tries = lifted
    assert isinstance(world.task, Grasping)
    assert float(torch.diff(tries.rewards).min()) > -0.1
