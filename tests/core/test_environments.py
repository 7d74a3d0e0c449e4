"""Worlds as Gymnasium environments: alignment by hand on a counting world, and parity with Gymnasium's own vector environment."""

import warnings

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from armillary.core import Prompt, World, WorldEnv, WorldError, WorldVectorEnv
from tests.core.counting import CountingWorld, NoisyWorld
from tests.core.test_check import FromFrames

ONE = np.ones(1, np.float32)


@pytest.mark.parametrize("world", [CountingWorld(), NoisyWorld()], ids=lambda world: type(world).__name__)
def test_gymnasium_accepts_them(world):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*value is -?infinity")  # a count has no end
        check_env(WorldEnv(world, max_steps=5), skip_render_check=True)


def test_gymnasium_accepts_the_rendering_of_a_registered_world():
    gymnasium.register("armillary/Noisy-v0", entry_point=lambda render_mode=None: WorldEnv(NoisyWorld(), render_mode=render_mode))
    try:
        check_env(gymnasium.make("armillary/Noisy-v0", render_mode="rgb_array", disable_env_checker=True).unwrapped)
    finally:
        del gymnasium.registry["armillary/Noisy-v0"]


def test_reward_and_termination_belong_to_the_action_that_earned_them():
    env = WorldEnv(CountingWorld(limit=2.0))
    observation, _ = env.reset(seed=0)
    assert observation.tolist() == [0.0, 0.0]
    seen = [env.step(ONE * action) for action in (0.5, 1.0, 0.75)]
    assert [s[0][0] for s in seen] == [0.5, 1.5, 2.25]
    assert [s[1] for s in seen] == [0.5, 1.0, 0.75]
    assert [s[2] for s in seen] == [False, False, True]
    assert [s[3] for s in seen] == [False, False, False]


def test_truncation_comes_after_exactly_max_steps():
    env = WorldEnv(CountingWorld(limit=100.0), max_steps=3)
    for _ in range(2):
        env.reset(seed=0)
        assert [env.step(ONE)[3] for _ in range(3)] == [False, False, True]


def test_the_same_seed_repeats_and_the_next_episode_differs():
    env = WorldEnv(NoisyWorld())
    first, again = (env.reset(seed=5)[0], env.reset()[0]), (env.reset(seed=5)[0], env.reset()[0])
    assert np.array_equal(first[0], again[0]) and np.array_equal(first[1], again[1])
    assert not np.array_equal(first[0], first[1])


def test_pictures_are_uint8_and_equal_to_the_render():
    env = WorldEnv(NoisyWorld(), render_mode="rgb_array")
    observation, _ = env.reset(seed=1)
    assert observation.dtype == np.uint8 and observation.shape == (4, 6, 3)
    assert np.array_equal(env.render(), observation)
    assert env.metadata["render_fps"] == 2


def test_a_prompt_gives_the_starting_points():
    frames = torch.stack([torch.zeros(2, 3, 4, 6), torch.ones(2, 3, 4, 6)])
    prompt = Prompt(batch_size=2, frames=frames, actions=torch.zeros(2, 1, 1))
    env = WorldEnv(FromFrames(), prompt=prompt)
    bright = {int(env.reset(seed=seed)[0][0, 0, 0]) for seed in range(20)}
    assert bright == {128, 186}  # the sigmoid of 0 and of 1: each row is drawn

    def dark(count: int, rng: torch.Generator) -> Prompt:
        return Prompt(batch_size=count, frames=torch.zeros(count, 2, 3, 4, 6), actions=torch.zeros(count, 1, 1))

    drawn = WorldVectorEnv(FromFrames(), 6, prompt=dark)
    assert (drawn.reset(seed=0)[0] == 128).all()


def test_what_cannot_be_an_environment_says_why():
    class Mute(World):
        spec = CountingWorld().spec

        def start(self, prompt, rng):
            raise NotImplementedError

        def step(self, state, action, rng):
            raise NotImplementedError

    with pytest.raises(WorldError, match="neither Renders nor Embeds"):
        WorldEnv(Mute())
    with pytest.raises(WorldError, match="starts from frames, actions"):
        WorldEnv(FromFrames())
    with pytest.raises(WorldError, match="render_mode"):
        WorldEnv(CountingWorld(), render_mode="rgb_array")
    with pytest.raises(WorldError, match="num_envs"):
        WorldVectorEnv(CountingWorld(), 0)


@pytest.mark.parametrize("make", [lambda: WorldEnv(CountingWorld()), lambda: WorldVectorEnv(CountingWorld(), 2)])
def test_stepping_before_reset_is_an_error(make):
    env = make()
    with pytest.raises(ResetNeeded):
        env.step(env.action_space.sample())


def pair(mode: AutoresetMode, max_steps: int | None) -> tuple[WorldVectorEnv, SyncVectorEnv]:
    """Ours, and Gymnasium's own loop over single environments of the same deterministic world."""
    ours = WorldVectorEnv(CountingWorld(limit=2.0), 3, max_steps=max_steps, autoreset_mode=mode)
    theirs = SyncVectorEnv([lambda: WorldEnv(CountingWorld(limit=2.0), max_steps=max_steps)] * 3, autoreset_mode=mode)
    return ours, theirs


@pytest.mark.parametrize("max_steps", [None, 4])
@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_the_vector_environment_equals_gymnasiums_own(mode, max_steps):
    ours, theirs = pair(mode, max_steps)
    assert ours.metadata["autoreset_mode"] == theirs.metadata["autoreset_mode"] == mode
    assert ours.observation_space == theirs.observation_space and ours.action_space == theirs.action_space
    assert np.array_equal(ours.reset(seed=0)[0], theirs.reset(seed=0)[0])
    chance, resets = np.random.default_rng(0), 0
    for _ in range(40):
        actions = chance.uniform(0, 1, (3, 1)).astype(np.float32)
        left, right = ours.step(actions), theirs.step(actions)
        for mine, its in zip(left[:4], right[:4], strict=True):
            np.testing.assert_allclose(mine, its, rtol=1e-6)
            assert mine.dtype == its.dtype
        assert left[4].keys() == right[4].keys()
        if "final_obs" in left[4]:
            assert np.array_equal(left[4]["_final_obs"], right[4]["_final_obs"])
            for mine, its in zip(left[4]["final_obs"], right[4]["final_obs"], strict=True):
                assert (mine is None) == (its is None) and (mine is None or np.allclose(mine, its))
        ended = left[2] | left[3]
        resets += int(ended.sum())
        if mode == AutoresetMode.DISABLED and ended.any():
            options = {"reset_mask": ended}
            assert np.allclose(ours.reset(options=dict(options))[0], theirs.reset(options=dict(options))[0])
    assert resets >= 20


def test_disabled_autoreset_insists_on_a_reset():
    ours, _ = pair(AutoresetMode.DISABLED, 1)
    ours.reset(seed=0)
    ours.step(np.zeros((3, 1), np.float32))
    with pytest.raises(ResetNeeded, match="reset_mask"):
        ours.step(np.zeros((3, 1), np.float32))
    with pytest.raises(WorldError, match="3 booleans"):
        ours.reset(options={"reset_mask": np.zeros(3, np.bool_)})


def test_a_reset_row_leaves_its_neighbours_alone():
    env = WorldVectorEnv(NoisyWorld(limit=1e9), 3)
    env.reset(seed=0)
    before = env.step(np.ones((3, 1), np.float32))[0]
    after, _ = env.reset(options={"reset_mask": np.array([False, True, False])})
    assert np.array_equal(after[[0, 2]], before[[0, 2]]) and not np.array_equal(after[1], before[1])


def test_the_vector_environment_renders_and_repeats():
    env = WorldVectorEnv(NoisyWorld(), 2, render_mode="rgb_array")
    first, _ = env.reset(seed=3)
    assert np.array_equal(np.stack(env.render()), first)
    assert np.array_equal(env.reset(seed=3)[0], first) and not np.array_equal(env.reset(seed=4)[0], first)
