"""Recordings: aligned to the step, repeatable, and moved by their actions."""

import numpy as np
import pytest
import torch

from armillary.core import ConfigError, Prompt, seeded, to_model
from armillary.worlds.catalog import SMALL, build_small
from armillary.worlds.small.policies import Sticky
from armillary.worlds.small.record import CAMERA, DEMO_WORLD, EPISODES_AT_ONCE, record_episodes


@pytest.mark.parametrize("name", list(SMALL))
@pytest.mark.parametrize("policy", ["mixed", "uniform"])
def test_the_columns_hold_what_they_say(name, policy):
    episodes = record_episodes(name, num_episodes=3, num_steps=6, size=32, policy=policy)
    space = build_small(name).spec.action_space
    width = int(space.n) if hasattr(space, "n") else space.shape[0]
    assert [episode.index for episode in episodes] == [0, 1, 2]
    for episode in episodes:
        assert episode.frames[CAMERA].shape == (6, 32, 32, 3) and episode.frames[CAMERA].dtype == np.uint8
        assert episode.actions.shape == (6, width) and np.abs(episode.actions).max() <= 1.0
        assert (episode.rewards is None) == (episode.terminated is None) == (name == "bouncing-balls")
        assert len(episode.content_hash) == 64 and episode.task
    assert len({episode.content_hash for episode in episodes}) == 3
    if hasattr(space, "n"):
        assert (episodes[0].actions.sum(axis=1) == 1).all()


def test_the_seed_decides_everything():
    first, again, other = (record_episodes("pusher", num_episodes=2, num_steps=5, size=16, seed=seed) for seed in (1, 1, 2))
    assert [e.content_hash for e in first] == [e.content_hash for e in again] != [e.content_hash for e in other]


def test_an_action_leads_from_its_own_frame_to_the_next():
    """In the open a step moves the agent by action * 0.06 m: true of the same row, false of the rows beside it."""
    exact = {-1: [], 0: [], 1: []}
    for episode in record_episodes("two-rooms", num_episodes=8, num_steps=40, size=16):
        place = episode.state[:, :2]
        open_air = ((place > 0.17) & (place < 0.83)).all(axis=1) & (np.abs(place[:, 0] - 0.5) > 0.16)
        for t in range(1, len(episode) - 2):
            if open_air[t]:
                for shift, found in exact.items():
                    found.append(np.abs(place[t + 1] - place[t] - 0.06 * episode.actions[t + shift]).max() < 1e-4)
    assert len(exact[0]) > 50 and np.mean(exact[0]) == 1.0
    assert np.mean(exact[-1]) < 0.3 and np.mean(exact[1]) < 0.3


def test_a_reward_belongs_to_the_action_beside_it():
    for episode in record_episodes("two-rooms", num_episodes=6, num_steps=60, size=16):
        here, goal = episode.state[:, :2], episode.state[:, 4:6]
        door = episode.state[:, 2:4]
        straight = np.linalg.norm(here - goal, axis=1)
        by_door = np.linalg.norm(here - door, axis=1) + np.linalg.norm(door - goal, axis=1)
        way = np.where((here[:, 0] < door[:, 0]) != (goal[:, 0] < door[:, 0]), by_door, straight)
        progress = way[:-1] - way[1:]
        ordinary = episode.rewards[:-1] < 0.5
        np.testing.assert_allclose(episode.rewards[:-1][ordinary], progress[ordinary], atol=1e-5)
        np.testing.assert_array_equal(episode.terminated[:-1], np.linalg.norm(here - goal, axis=1)[1:] < 0.08)


def test_frames_show_the_state_beside_them():
    """A world put in the recorded state renders the recorded frame."""
    episode = record_episodes("two-rooms", num_episodes=1, num_steps=12, size=32, theme="candy")[0]
    world = build_small("two-rooms", size=32)
    state = world.start(Prompt(batch_size=12, layout={"theme": "candy"}), seeded(0))
    recorded = torch.as_tensor(episode.state)
    tensors = state.tensors() | {"agent": recorded[:, :2], "goal": recorded[:, 4:6], "wall_x_m": recorded[:, 2], "door_y_m": recorded[:, 3]}
    shown = world.render(state.with_tensors(tensors))["rgb"]
    assert (shown - to_model(episode.frames[CAMERA])).abs().max() < 0.01


def test_the_mixed_policy_moves_farther_than_chance():
    def reach(policy: str) -> float:
        episodes = record_episodes(DEMO_WORLD, num_episodes=8, num_steps=40, size=16, policy=policy)
        return float(np.mean([np.ptp(e.state[:, :2], axis=0).mean() for e in episodes]))

    assert reach("mixed") > 1.5 * reach("uniform")


def test_in_the_demo_world_the_block_is_moved_too():
    episodes = record_episodes(num_episodes=16, num_steps=80, size=16)
    travelled = [np.linalg.norm(np.diff(e.state[:, 2:4], axis=0), axis=1).sum() for e in episodes]
    assert np.median(travelled) > 0.5


def test_more_episodes_than_fit_one_batch_are_all_different():
    episodes = record_episodes("two-rooms", num_episodes=EPISODES_AT_ONCE + 2, num_steps=3, size=16)
    assert len({e.content_hash for e in episodes}) == EPISODES_AT_ONCE + 2


def test_a_policy_of_ones_own_and_the_worlds_options():
    right = Sticky(weights=(0.0, 0.0, 1.0, 0.0, 0.0, 0.0))
    told = {"num_episodes": 1, "num_steps": 40, "size": 16, "policy": right, "layout": {"level": 2}}
    short, long = (record_episodes("platformer", **told, options={"columns": columns})[0] for columns in (8, 32))
    assert (short.actions.argmax(axis=1) == 2).all()
    assert short.state[:, 0].max() < 8.0 < long.state[:, 0].max()


def test_themes_and_factors_are_passed_on():
    one, other = (record_episodes("pusher", num_episodes=1, num_steps=4, size=16, theme=theme)[0] for theme in ("paper", "candy"))
    assert np.array_equal(one.state, other.state) and not np.array_equal(one.frames[CAMERA], other.frames[CAMERA])
    heavy = record_episodes("pusher", num_episodes=1, num_steps=60, size=16, layout={"block_mass_kg": 2.0})[0]
    light = record_episodes("pusher", num_episodes=1, num_steps=60, size=16, layout={"block_mass_kg": 0.2})[0]
    assert not np.array_equal(heavy.state, light.state)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"policy": "clever"}, "clever"),
        ({"num_episodes": 0}, "received 0"),
        ({"num_steps": 1}, "of 1"),
        ({"name": "pushr"}, "did you mean"),
    ],
)
def test_what_cannot_be_recorded_says_why(options, complaint):
    with pytest.raises(ConfigError, match=complaint):
        record_episodes(**({"size": 16} | options))
