"""Demonstrations carried over: what is kept, where it goes, and that it does the task where the same actions do not."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from armillary.core import DataError, Prompt, seeded
from armillary.worlds.twin.pose import Pose
from armillary.worlds.twin.robots.arm import OPENING_M
from armillary.worlds.twin.tasks.attempt import Attempt, attempt
from armillary.worlds.twin.tasks.catalogue import TASKS, draw
from armillary.worlds.twin.tasks.hand import Hand
from armillary.worlds.twin.tasks.mimic import NEAR_M, demonstration, plan_mimic
from armillary.worlds.twin.tasks.moves import HandExpert
from armillary.worlds.twin.tasks.replay import Replay
from armillary.worlds.twin.tasks.task import TaskWorld
from armillary.worlds.twin.tasks.truth import Truth


@pytest.fixture(scope="module")
def world() -> TaskWorld:
    return TaskWorld(draw("reach", 0))


@pytest.fixture(scope="module")
def made(world) -> Attempt:
    return attempt(world, TASKS["reach"].expert(world))


def test_told_undoes_command(world):
    hand, draw = Hand(world.compiled), np.random.default_rng(0)
    targets = world.targets.double().numpy()
    for _ in range(5):
        joints, opening = draw.uniform(-0.5, 0.5, 7), float(draw.uniform(0.0, OPENING_M))
        again, open_again = hand.told(hand.command(targets, joints, opening))
        np.testing.assert_allclose(again, joints, atol=1e-6)
        assert open_again == pytest.approx(opening)


def test_what_is_shown_ends_at_the_thing_and_begins_near_it(world, made):
    (part,) = demonstration(world, made).parts
    ways = [float(np.linalg.norm(tip.position)) for tip in part.tips]  # in the mark's frame
    assert len(part.tips) == len(part.openings) < len(made.actions)
    assert ways[0] < NEAR_M < ways[0] + 0.05
    assert ways[-1] < 0.02


def test_what_comes_next_is_the_same_around_the_thing_elsewhere(world, made):
    shown, task = demonstration(world, made), world.task.rearranged(np.random.default_rng(3))
    there = TaskWorld(task)
    truth = Truth(there, there.start(Prompt(batch_size=1), seeded(0)))
    hand = Hand(there.compiled)
    moves = plan_mimic(shown, task, truth, hand, hand.tip(hand.of(truth.positions)))
    last = Pose.of_matrix(truth.thing("mark")).inverse().then(moves[-1].tip)
    np.testing.assert_allclose(last.position, shown.parts[0].tips[-1].position, atol=1e-9)
    assert task.scene.thing("mark").pose != world.task.scene.thing("mark").pose


def test_carried_over_it_does_the_task_where_the_same_actions_do_not(world, made):
    shown, carried, again = demonstration(world, made), 0, 0
    for seed in range(4):
        there = TaskWorld(world.task.rearranged(np.random.default_rng(seed)))
        carried += attempt(there, HandExpert(there, partial(plan_mimic, shown, there.task))).done
        again += attempt(there, Replay(there, made.actions)).done
    assert (carried, again) == (4, 0)


def test_what_failed_shows_nothing(world, made):
    with pytest.raises(DataError, match="only what succeeded can be shown"):
        demonstration(world, replace(made, done=False))


def test_a_task_without_stages_cannot_be_carried_over(made):
    with pytest.raises(DataError, match=r"the task 'Open the .* has no stages"):
        demonstration(TaskWorld(draw("drawer", 0)), made)


def test_a_late_action_acts_late(world):
    actions, rng = world.targets + torch.linspace(0.0, 0.1, 6)[:, None], seeded(0)
    late = attempt(world, Replay(world, actions), delay=2)
    state = world.start(Prompt(batch_size=1), rng)
    for step, told in enumerate((world.targets, world.targets, *actions[:3])):
        assert torch.equal(late.states[step].physics, state.physics)
        state = world.step(state, told[None], rng)
    assert torch.equal(late.actions[:6], actions)
