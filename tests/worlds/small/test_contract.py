"""Every small world keeps the World contract and Gymnasium's, in every theme and size."""

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env

from armillary.core import (
    ConfigError,
    Embeds,
    EnvWorld,
    Prompt,
    Renders,
    Rewards,
    WorldEnv,
    WorldError,
    WorldVectorEnv,
    check_world,
    seeded,
)
from armillary.worlds.catalog import SMALL, build_small
from armillary.worlds.small.exact import PICTURES_AT_ONCE
from armillary.worlds.small.themes import THEME_NAMES

NAMES = list(SMALL)


@pytest.mark.parametrize("name", NAMES)
def test_check_world(name):
    check_world(build_small(name))
    world = build_small(name, size=32)
    check_world(world, Prompt(batch_size=2, layout=dict.fromkeys(["theme", *world.factors], "random")), seed=1)


@pytest.mark.parametrize("name", NAMES)
def test_check_env_with_rendering(name):
    entry = f"armillary/{name}-v0"
    gymnasium.register(entry, entry_point=lambda render_mode=None: WorldEnv(build_small(name, size=32), render_mode=render_mode))
    try:
        check_env(gymnasium.make(entry, render_mode="rgb_array", disable_env_checker=True).unwrapped)
    finally:
        del gymnasium.registry[entry]


@pytest.mark.parametrize("name", NAMES)
def test_vector_environment_resets_itself(name):
    env = WorldVectorEnv(build_small(name, size=16), 3, max_steps=2)
    observation, _ = env.reset(seed=0, options={"layout": {"theme": "candy"}})
    assert env.observation_space.contains(observation)
    seen = [env.step(env.action_space.sample()) for _ in range(6)]
    assert all(env.observation_space.contains(step[0]) for step in seen)
    assert [bool(step[3].all()) for step in seen] == [False, True, False, False, True, False]


def test_a_small_world_survives_being_wrapped_twice():
    check_world(EnvWorld(lambda: WorldEnv(build_small("two-rooms", size=16))))


@pytest.mark.parametrize("name", NAMES)
def test_abilities(name):
    world = build_small(name)
    assert isinstance(world, Renders) and isinstance(world, Embeds)
    assert isinstance(world, Rewards) == (name != "bouncing-balls")


@pytest.mark.parametrize("size", [16, 64, 96])
@pytest.mark.parametrize("name", NAMES)
def test_every_theme_at_every_size_looks_different(name, size):
    world = build_small(name, size=size)
    state = world.start(Prompt(batch_size=len(THEME_NAMES), layout={"theme": list(THEME_NAMES)}), seeded(0))
    state = state.rows([0] * len(THEME_NAMES)).with_tensors({**state.rows([0] * len(THEME_NAMES)).tensors(), "theme": state.theme})
    pictures = world.render(state)["rgb"]
    assert pictures.shape == (len(THEME_NAMES), 3, size, size)
    apart = (pictures[:, None] - pictures[None]).abs().mean(dim=(2, 3, 4))
    assert (apart + torch.eye(len(THEME_NAMES)) > 0.05).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_does_not_depend_on_its_chunk(name):
    world = build_small(name, size=32)
    state = world.start(Prompt(batch_size=PICTURES_AT_ONCE + 3, layout={"theme": "random"}), seeded(0))
    together = world.render(state)["rgb"]
    for row in (0, PICTURES_AT_ONCE - 1, PICTURES_AT_ONCE, PICTURES_AT_ONCE + 2):
        torch.testing.assert_close(world.render(state.rows([row]))["rgb"][0], together[row], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_pictures_at_two_sizes_show_the_same_scene(name):
    small, large = build_small(name, size=32), build_small(name, size=128)
    state = small.start(Prompt(batch_size=4), seeded(5))
    shrunk = torch.nn.functional.avg_pool2d(large.render(state)["rgb"], 4)
    assert (small.render(state)["rgb"] - shrunk).abs().mean() < 0.035


@pytest.mark.parametrize("name", NAMES)
def test_the_action_changes_what_is_seen(name):
    world, rng = build_small(name), seeded(0)
    start = world.start(Prompt(batch_size=8), rng)
    if name == "platformer":
        here, there = torch.zeros(8, 6, dtype=torch.long), torch.full((8, 6), 5)
    else:
        here, there = -torch.ones(8, 6, 2), torch.ones(8, 6, 2)
    pictures = [world.render(world.rollout(start, actions, rng)[-1])["rgb"] for actions in (here, there)]
    assert ((pictures[0] - pictures[1]).abs().amax(dim=(1, 2, 3)) > 0.1).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_action_is_refused(name):
    world, rng = build_small(name), seeded(0)
    state = world.start(Prompt(batch_size=2), rng)
    for wrong in (torch.zeros(3, 2), torch.zeros(2), torch.zeros(3, dtype=torch.long)):
        with pytest.raises(WorldError, match="received"):
            world.step(state, wrong, rng)


def test_an_action_beyond_its_bounds_counts_as_the_bound():
    world, rng = build_small("two-rooms"), seeded(0)
    state = world.start(Prompt(), rng)
    assert torch.equal(world.step(state, torch.full((1, 2), 9.0), rng).agent, world.step(state, torch.ones(1, 2), rng).agent)


def test_the_catalog_suggests_the_nearest_name():
    with pytest.raises(ConfigError, match="did you mean 'pusher'"):
        build_small("puscher")
    with pytest.raises(ConfigError, match="choose one of two-rooms"):
        build_small("zzz")


@pytest.mark.parametrize(
    ("name", "options"),
    [("pusher", {"size": 8}), ("platformer", {"size": 60}), ("platformer", {"columns": 4}), ("bouncing-balls", {"num_balls": 10})],
)
def test_impossible_worlds_are_refused(name, options):
    with pytest.raises(ValueError, match="received"):
        build_small(name, **options)


@pytest.mark.parametrize("name", NAMES)
def test_no_start_is_already_solved(name):
    world = build_small(name)
    if not isinstance(world, Rewards):
        return
    state = world.start(Prompt(batch_size=300), seeded(0))
    assert np.all(world.reward(state)[1].numpy() == 1.0)
    still = torch.zeros(300, dtype=torch.long) if name == "platformer" else torch.zeros(300, 2)
    solved = world.reward(world.step(state, still, seeded(0)))[1] == 0
    assert not solved.any()
