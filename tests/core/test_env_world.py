"""Gymnasium environments as worlds: the same trajectory as the environment's own, branched and saved."""

import gymnasium
import numpy as np
import pytest
import torch

from armillary.core import Embeds, EnvWorld, Prompt, Renders, Rewards, WorldEnv, WorldError, check_world, seeded
from tests.core.counting import CountingWorld, NoisyWorld


def cart_pole() -> gymnasium.Env:
    return gymnasium.make("CartPole-v1")


@pytest.mark.parametrize("branching", ["copy", "replay"])
@pytest.mark.parametrize(
    "factory",
    [cart_pole, lambda: gymnasium.make("Pendulum-v1"), lambda: WorldEnv(NoisyWorld()), lambda: WorldEnv(CountingWorld(limit=0.5))],
    ids=["discrete", "continuous", "pictures", "ends early"],
)
def test_environments_keep_the_world_contract(factory, branching):
    world = EnvWorld(factory)
    world.branching = branching
    check_world(world)


def test_the_abilities_follow_the_observations():
    seen, felt = EnvWorld(lambda: WorldEnv(NoisyWorld())), EnvWorld(cart_pole)
    assert isinstance(seen, Renders) and not isinstance(seen, Embeds)
    assert isinstance(felt, Embeds) and not isinstance(felt, Renders)
    assert isinstance(seen, Rewards) and isinstance(felt, EnvWorld)
    assert felt.spec.seconds_per_step == pytest.approx(1 / 50)


@pytest.mark.parametrize("branching", ["copy", "replay"])
def test_it_goes_where_the_environment_itself_goes(branching):
    world, rng = EnvWorld(cart_pole), seeded(1)
    world.branching = branching
    state = world.start(Prompt(batch_size=2), rng)
    envs = [cart_pole() for _ in range(2)]
    for row, env in enumerate(envs):
        observation, _ = env.reset(seed=int(state.seed[row]))
        assert np.array_equal(world.embed(state)[row], observation)
    ended = [False, False]
    for t in range(40):
        action = torch.tensor([1, t % 2])
        state = world.step(state, action, rng)
        for row, env in enumerate(envs):
            if ended[row]:
                assert state.last_reward[row] == 0 and state.going[row] == 0
                continue
            observation, reward, terminated, _, _ = env.step(int(action[row]))
            assert np.array_equal(world.embed(state)[row], observation)
            assert state.last_reward[row] == reward and bool(state.going[row] == 0) == terminated
            ended[row] = terminated
    assert ended[0]  # always pushing right must have ended


@pytest.mark.parametrize("branching", ["copy", "replay"])
def test_an_old_state_branches_long_after_its_environment_is_gone(branching):
    world, rng = EnvWorld(cart_pole, max_live=2), seeded(0)
    world.branching = branching
    middle = world.rollout(world.start(Prompt(batch_size=3), rng), torch.tensor([[0, 1, 0]] * 3), rng)[-1]
    future = torch.tensor([[1, 1, 0, 1]] * 3)
    first = world.rollout(middle, future, rng)[-1]
    world.rollout(world.start(Prompt(batch_size=4), rng), torch.zeros(4, 5, dtype=torch.long), rng)
    again = world.rollout(middle, future, rng)[-1]
    elsewhere = EnvWorld(cart_pole).rollout(middle, future, rng)[-1]  # another process would do the same with a saved state
    assert torch.equal(first.observation, again.observation) and torch.equal(first.observation, elsewhere.observation)


class Unrepeatable(gymnasium.Env):
    """Ignores its seed and cannot be copied."""

    observation_space = gymnasium.spaces.Box(-10, 10, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)
    births = 0

    def __init__(self):
        Unrepeatable.births += 1
        self.place = float(Unrepeatable.births)

    def __deepcopy__(self, memo):
        raise TypeError("holds a socket")

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.array([self.place], np.float32), {}

    def step(self, action):
        self.place += 0.5
        return np.array([self.place], np.float32), 0.0, False, False, {}


def test_an_environment_that_does_not_repeat_itself_runs_but_cannot_branch():
    world, rng = EnvWorld(Unrepeatable), seeded(0)
    assert world.branching == "replay"
    start = world.start(Prompt(batch_size=1), rng)
    one = world.step(start, torch.tensor([0]), rng)
    world.step(one, torch.tensor([0]), rng)
    with pytest.raises(WorldError, match="Unrepeatable cannot branch"):
        world.step(start, torch.tensor([1]), rng)


def test_other_observations_and_too_many_steps_are_refused():
    with pytest.raises(WorldError, match="FlattenObservation"):
        EnvWorld(lambda: gymnasium.make("Blackjack-v1"))
    world, rng = EnvWorld(cart_pole, max_steps=2), seeded(0)
    state = world.rollout(world.start(Prompt(), rng), torch.zeros(1, 2, dtype=torch.long), rng)[-1]
    with pytest.raises(WorldError, match="max_steps=2"):
        world.step(state, torch.tensor([0]), rng)
