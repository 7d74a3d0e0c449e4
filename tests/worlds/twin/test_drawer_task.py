"""Drawer: the kitchen's chest within reach, and that the expert opens its drawers and nothing else does."""

from dataclasses import replace

import numpy as np
import pytest

from armillary.core import Prompt, seeded
from armillary.worlds.twin.scenes.kitchen import drawers_of, handle_of, kitchen

pytest.importorskip("mujoco")
from armillary.worlds.twin.randomise import Randomiser, randomise
from armillary.worlds.twin.tasks.attempt import attempt
from armillary.worlds.twin.tasks.catalogue import TASKS, draw
from armillary.worlds.twin.tasks.drawer import AJAR_M, OPEN_M, words_for
from armillary.worlds.twin.tasks.reach import tip_place
from armillary.worlds.twin.tasks.task import TaskWorld
from armillary.worlds.twin.tasks.truth import Truth


@pytest.fixture(scope="module")
def opened():
    """A world and what the expert did in it."""
    world = TaskWorld(draw("drawer", 3))
    return world, attempt(world, TASKS["drawer"].expert(world))


def test_the_expert_opens_the_drawer_lets_go_and_progress_rises(opened):
    world, tried = opened
    task, rewards, last = world.task, tried.rewards.numpy(), Truth(world, tried.states[-1])
    assert tried.done and last.position(task.slide) >= task.far_m == OPEN_M and abs(last.speed(task.slide)) < 0.02
    assert np.linalg.norm(task.handle(last) - tip_place(last)) > 0.04
    assert rewards[-1] == pytest.approx(1.0) and rewards[0] < 0.2
    assert np.diff(rewards).min() > -0.05, "on the whole upwards"


def test_the_handle_and_its_way_out_follow_the_drawer(opened):
    world, tried = opened
    first, last = (Truth(world, tried.states[number]) for number in (0, -1))
    gone = world.task.handle(last) - world.task.handle(first)
    far = last.position(world.task.slide) - first.position(world.task.slide)
    assert gone == pytest.approx(far * world.task.out(first), abs=1e-6)


def test_the_other_drawers_stay_nearly_where_they_were(opened):
    world, tried = opened
    first, last = (Truth(world, tried.states[number]) for number in (0, -1))
    others = [f"cabinet/{joint.name}" for joint in world.scene.thing("cabinet").asset.joints]
    others.remove(world.task.slide)
    assert all(abs(last.position(slide) - first.position(slide)) < 0.02 for slide in others)


def test_it_does_so_from_another_start_with_other_friction_damping_and_gains():
    task = draw("drawer", 10)
    world = TaskWorld(replace(task, scene=randomise(task.scene, Randomiser(), np.random.default_rng(0))))
    assert attempt(world, TASKS["drawer"].expert(world)).done


def test_doing_nothing_does_not():
    world, rng = TaskWorld(draw("drawer", 0)), seeded(0)
    state = world.start(Prompt(), rng)
    for _ in range(10):
        state = world.step(state, world.targets[None], rng)
    reward, going = world.reward(state)
    assert going.item() == 1.0 and reward.item() < 0.2


def test_it_counts_from_the_bar_on_and_only_for_its_own_drawer():
    world, rng = TaskWorld(draw("drawer", 0)), seeded(0)
    task = world.task
    other = next(f"cabinet/{joint.name}" for joint in world.scene.thing("cabinet").asset.joints if joint.name not in task.slide)
    for layout, done in (({task.slide: 0.149}, False), ({task.slide: 0.151}, True), ({other: 0.2}, False)):
        assert task.done(Truth(world, world.start(Prompt(layout=layout), rng))) is done


@pytest.mark.parametrize("seed", range(4))
def test_the_words_count_from_the_top_and_only_others_are_ajar(seed):
    task = draw("drawer", seed)
    chest = task.scene.thing("cabinet").asset
    heights = {name: handle_of(chest, name)[2] for name in drawers_of(chest)}
    above = sum(height > heights[task.drawer] for height in heights.values())
    assert task.words == words_for(above)
    assert task.slide not in task.layout and all(0.0 <= far <= AJAR_M for far in task.layout.values())
    world = TaskWorld(task)
    truth = Truth(world, world.start(Prompt(), seeded(0)))
    assert truth.position(task.slide) == 0.0 and not task.done(truth), "never open already"
    assert all(truth.position(slide) == pytest.approx(far) for slide, far in task.layout.items())
    assert draw("drawer", seed) == task


@pytest.mark.parametrize("seed", range(20))
def test_every_handle_is_before_the_arm_and_faces_it(seed):
    scene = kitchen(np.random.default_rng(seed))
    chest, stands, foot = scene.thing("cabinet").asset, scene.thing("cabinet").pose, scene.thing("arm").pose.position
    for name in drawers_of(chest):
        x, y, z = np.array(stands.apply(np.array(handle_of(chest, name)))) - np.array(foot)
        assert abs(x) < 0.1 and 0.63 < y < 0.70 and 0.02 < z < 0.66
    assert stands.rotation()[1, 1] > 0.97
    assert sum(thing.moves for thing in scene.things) <= 3
