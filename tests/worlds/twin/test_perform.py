"""Episodes with a task: who acts, that they succeed, and that the dataset says what happened."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch

from armillary.core import ArmillaryError, ConfigError, DataError
from armillary.data.record import write_dataset
from armillary.studies.simulate import simulate
from armillary.worlds.twin import perform as module
from armillary.worlds.twin.demonstrations import Demonstrations
from armillary.worlds.twin.manifest import Manifest
from armillary.worlds.twin.perform import perform, world_of
from armillary.worlds.twin.record import record_episode
from armillary.worlds.twin.tasks.replay import Replay
from armillary.worlds.twin.tasks.task import TaskWorld

REACH = Manifest(scene="tabletop", task="reach", policy="expert", size=32, episodes=2, modalities=("rgb",), quality="draft")


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    return simulate(REACH, tmp_path_factory.mktemp("perform") / "shown")


def idle(manifest, world, episode, attempt) -> tuple[Replay, float]:
    return Replay(world, torch.zeros(0, len(world.targets))), 1.0


def test_an_expert_s_episode_ends_when_the_task_is_done():
    made = perform(REACH, 0)
    assert len(made.states) == len(made.actions) == len(made.rewards) == len(made.done)
    assert made.done[-2] and not made.done[:-2].any()
    assert made.rewards[-2] == pytest.approx(1.0) and made.rewards[0] < 0.9
    reward, going = made.world.reward(made.states[-1])  # the last picture is of the moment when it is done
    assert reward[0] == pytest.approx(made.rewards[-2]) and not going[0]


def test_a_recording_has_the_words_and_the_rewards_of_its_task():
    episode = record_episode(REACH, 0).episode
    made = perform(REACH, 0)
    assert episode.task == "Bring the fingertips to the red mark."
    np.testing.assert_array_equal(episode.rewards, made.rewards)
    np.testing.assert_array_equal(episode.terminated, made.done)
    np.testing.assert_array_equal(episode.actions, made.actions)
    assert len(episode.frames["observation.images.front"]) == len(made.actions)


def test_what_failed_is_tried_again_with_things_drawn_anew(monkeypatch):
    real = module._actor
    monkeypatch.setattr(module, "_actor", lambda *words: (idle if words[3] == 0 else real)(*words))
    found = record_episode(REACH, 0)
    with np.load(io.BytesIO(found.labels)) as labels:
        assert labels["attempt"] == 1
        world = world_of(REACH, 0, 1)
        assert tuple(labels["thing"]) == tuple(label.thing for label in world.labels)
        first = world.poses(perform(REACH, 0).states[0])[0].numpy()
        np.testing.assert_array_equal(labels["world_from_body"][0], first)
    assert found.episode.terminated[-1]
    assert world_of(REACH, 0, 0).scene.thing("mark").pose != world.scene.thing("mark").pose


def test_who_never_succeeds_is_told_so(monkeypatch):
    monkeypatch.setattr(module, "ATTEMPTS", 2)
    monkeypatch.setattr(module, "_actor", idle)
    with pytest.raises(ArmillaryError, match=r"episode 1: 2 attempts at 'reach' by 'expert' failed"):
        perform(REACH, 1)


def test_what_fails_at_once_leaves_no_dataset_behind(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "ATTEMPTS", 1)
    monkeypatch.setattr(module, "_actor", idle)
    with pytest.raises(ArmillaryError, match="episode 0: 1 attempts"):
        simulate(REACH, tmp_path / "none")
    assert not list(tmp_path.iterdir())


def test_random_motion_at_a_task_is_kept_as_it_is():
    made = perform(replace(REACH, policy="random"), 0)
    assert isinstance(made.world, TaskWorld) and made.attempt == 0
    assert len(made.actions) == 61  # the task's 6 s, and the last once more
    assert not made.done.any()


def test_latency_is_in_the_states_not_in_the_actions():
    late = replace(REACH, randomise=replace(REACH.randomise, latency_s=0.5))
    episode = next(number for number in range(10) if late.delay(number) > 1)
    made, held = perform(late, episode), late.delay(episode)
    driven = [state.physics[0, 1:8] for state in made.states]
    assert torch.allclose(driven[held], driven[0], atol=0.01)  # it sags a little
    assert not np.allclose(made.actions[0], made.actions[held])


def test_demonstrations_are_carried_over(shown):
    mimic = replace(REACH, policy="mimic", demonstrations=str(shown), seed=5)
    made = perform(mimic, 0)
    assert made.done[-2]
    assert made.world.task.scene.thing("mark").pose != Demonstrations(shown).task(0).scene.thing("mark").pose
    assert len(Demonstrations(shown)) == 2 and Demonstrations(shown).task(2).scene == Demonstrations(shown).task(0).scene


def test_demonstrations_of_another_task_are_refused(shown):
    with pytest.raises(ConfigError, match=r"shown shows the task 'reach', not 'grasp'"):
        perform(replace(REACH, task="grasp", policy="mimic", demonstrations=str(shown)), 0)


def test_what_was_not_simulated_at_a_task_shows_nothing(shown, tmp_path):
    plain = write_dataset(tmp_path / "plain", [record_episode(REACH, 0).episode])
    with pytest.raises(DataError, match=r"plain has no simulation.json"):
        Demonstrations(plain)
    random = simulate(replace(REACH, task="", policy="random", episodes=1, steps=3), tmp_path / "random")
    with pytest.raises(DataError, match=r"made with task '' and policy 'random'"):
        Demonstrations(random)
    carried = simulate(replace(REACH, policy="mimic", demonstrations=str(shown), episodes=1), tmp_path / "carried")
    with pytest.raises(DataError, match=r"not made of demonstrations"):
        Demonstrations(carried)
