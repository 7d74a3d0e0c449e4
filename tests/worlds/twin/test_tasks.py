"""What holds of every task of the catalogue: the seed decides it, it can be done, and not by doing nothing."""

from dataclasses import replace
from functools import cache

import pytest
import torch

pytest.importorskip("mujoco", reason="twins need the extra of that name")

from armillary.core import ConfigError, Prompt, check_world, seeded
from armillary.worlds.twin.tasks.attempt import attempt
from armillary.worlds.twin.tasks.catalogue import TASKS, draw, kind_of
from armillary.worlds.twin.tasks.replay import Replay
from armillary.worlds.twin.tasks.task import TaskWorld
from tests.worlds.twin.small_twins import table

SIZE = (16, 16)
SEEDS, SEEDS_OF_ROOMS = 20, 5  # of which no start may be done; rooms are slow to compile
drawn = cache(draw)
EVERY = pytest.mark.parametrize("name", TASKS)


@EVERY
def test_the_seed_alone_draws_a_task_of_its_scene(name):
    first, again, other = (draw(name, seed) for seed in (3, 3, 4))
    assert first == again and first.scene != other.scene
    assert first.scene.name == kind_of(name).scene and 0.0 < first.time_limit_s <= 60.0


@EVERY
def test_its_words_are_a_sentence_that_names_a_thing(name):
    task = drawn(name, 0)
    assert task.words.endswith(".") and task.words[0].isupper()
    labels = {label for thing in task.scene.things for label in (thing.asset.label, *(body.label for body in thing.asset.bodies))}
    kinds = {thing.name.split()[-1] for thing in task.scene.things} | labels
    assert any(kind and kind in task.words for kind in kinds)


@EVERY
def test_its_world_keeps_the_contract(name):
    check_world(TaskWorld(drawn(name, 0), size=SIZE))


@EVERY
def test_no_start_is_done_and_progress_is_a_share(name):
    for seed in range(SEEDS_OF_ROOMS if kind_of(name).scene == "rooms" else SEEDS):
        world = TaskWorld(drawn(name, seed))
        progress, going = world.reward(world.start(Prompt(batch_size=1), seeded(0)))
        assert going.item() == 1.0 and 0.0 <= progress.item() < 1.0, seed


@EVERY
@pytest.mark.parametrize("seed", [1, 3])
def test_the_expert_does_it_and_doing_nothing_does_not(name, seed):
    world = TaskWorld(drawn(name, seed))
    made = attempt(world, TASKS[name].expert(world))
    assert made.done and len(made.states) == len(made.actions) + 1
    assert made.rewards.min() >= 0.0 and made.rewards.max() <= 1.0 and made.rewards[-1] > made.rewards[0]
    brief = TaskWorld(replace(world.task, time_limit_s=2.0))
    assert not attempt(brief, Replay(brief, torch.empty(0, len(brief.drives)))).done


def test_an_unknown_task_is_refused_by_name():
    with pytest.raises(ConfigError, match=r"no task 'juggle'; tasks: reach, "):
        draw("juggle", 0)


def test_the_world_of_a_task_has_its_scene():
    with pytest.raises(ConfigError, match="leave `scene` out"):
        TaskWorld(draw("reach", 0), scene=table())
