"""Push: what can be pushed, how the hand meets it, and that the expert does it and nothing else does."""

import math
from dataclasses import replace

import numpy as np
import pytest

from armillary.core import Prompt, seeded
from armillary.worlds.twin.objects.families import FAMILIES, make
from armillary.worlds.twin.objects.materials import material
from armillary.worlds.twin.objects.parts import box, one_body
from armillary.worlds.twin.scenes.tabletop import TABLE_M
from armillary.worlds.twin.tasks.push_outline import nearest, slides, surface, wide

pytest.importorskip("mujoco")
from armillary.worlds.twin.randomise import Randomiser, randomise
from armillary.worlds.twin.tasks.attempt import attempt
from armillary.worlds.twin.tasks.catalogue import TASKS, draw
from armillary.worlds.twin.tasks.push import NEAR_M, WAY_M
from armillary.worlds.twin.tasks.task import TaskWorld
from armillary.worlds.twin.tasks.truth import Truth


@pytest.fixture(scope="module")
def pushed():
    """A world and what the expert did in it."""
    world = TaskWorld(draw("push", 3))
    return world, attempt(world, TASKS["push"].expert(world))


def block(size: tuple[float, float, float]):
    return one_body("block", (box("block", size, (0, 0, size[2] / 2), "wood"),), (material("wood", "wood", (0.5, 0.4, 0.3)),))


@pytest.mark.parametrize("family", ["box", "brick", "can", "jar", "mug"])
def test_what_stands_on_a_wide_foot_slides(family):
    assert all(slides(make(family, seed)) for seed in range(4))


@pytest.mark.parametrize("family", ["ball", "apple", "banana", "screwdriver", "bottle", "fork", "plate", "lamp"])
def test_what_rolls_falls_over_or_is_out_of_the_hands_size_does_not(family):
    assert not any(slides(make(family, seed)) for seed in range(4))


def test_a_block_slides_as_long_as_its_foot_is_half_as_far_as_its_middle_is_high():
    assert slides(block((0.06, 0.06, 0.118))) and not slides(block((0.06, 0.06, 0.122)))
    assert not slides(block((0.034, 0.10, 0.04))), "its foot is too narrow"
    assert wide(surface(block((0.06, 0.08, 0.05)))) == pytest.approx(0.05)


def test_the_nearest_point_of_a_hull_within_a_band():
    along, across = np.array([0.0, 0.1, 0.3, 0.0]), np.array([0.2, 0.0, -0.2, 0.2])
    assert nearest(along, across, 0.05) == pytest.approx(0.075), "on the edge from (0, 0.2) to (0.1, 0), at the band's end"
    assert nearest(along, across, 0.2) == 0.0
    assert nearest(along, across + 1.0, 0.05) == math.inf


def test_the_expert_pushes_the_thing_onto_the_mark_and_progress_rises(pushed):
    world, tried = pushed
    task, rewards = world.task, tried.rewards.numpy()
    last = Truth(world, tried.states[-1])
    assert tried.done and task.miss_m(last) < NEAR_M and last.pace(task.thing) < 0.02
    assert rewards[-1] == pytest.approx(1.0) and rewards[-1] - rewards[0] > 0.3
    assert np.diff(rewards).min() > -0.02, "never away from the mark"
    assert max(Truth(world, state).place(task.thing)[2] for state in tried.states) < TABLE_M[2] + 0.01, "it is not lifted"


def test_it_does_so_from_another_start_with_other_masses_and_friction():
    task = draw("push", 4)
    world = TaskWorld(replace(task, scene=randomise(task.scene, Randomiser(), np.random.default_rng(0))))
    assert attempt(world, TASKS["push"].expert(world)).done


def test_doing_nothing_does_not():
    world, rng = TaskWorld(draw("push", 0)), seeded(0)
    state = world.start(Prompt(), rng)
    before = world.reward(state)[0]
    for _ in range(10):
        state = world.step(state, world.targets[None], rng)
    reward, going = world.reward(state)
    assert going.item() == 1.0 and reward.item() == pytest.approx(before.item(), abs=1e-3) and reward.item() < 0.6


def test_a_thing_that_fell_over_or_floats_is_not_done():
    world, rng = TaskWorld(draw("push", 0)), seeded(0)
    task = world.task
    x, y, z = task.scene.thing("mark").pose.position
    root = f"{task.thing}/{task.scene.thing(task.thing).asset.roots()[0].name}"
    for pose, done in (((x, y, z), True), ((x, y, z + 0.05), False), ((x, y, z, math.sqrt(0.5), math.sqrt(0.5), 0.0, 0.0), False)):
        state = world.start(Prompt(layout={root: pose}), rng)
        assert task.done(Truth(world, state)) is done
    assert task.progress(Truth(world, state)) == 0.0


@pytest.mark.parametrize("seed", range(6))
def test_the_words_name_the_thing_and_the_mark_is_some_way_off(seed):
    task = draw("push", seed)
    assert task.words == f"Push the {task.thing} onto the mark." and task.thing in FAMILIES
    assert sum(thing.name == task.thing for thing in task.scene.things) == 1
    start, mark = (np.array(task.scene.thing(name).pose.position[:2]) for name in (task.thing, "mark"))
    assert WAY_M[0] <= np.linalg.norm(mark - start) <= WAY_M[1], "so it is never there already"
    assert draw("push", seed) == task
