"""Every family that draws: its worlds step, branch, are planned with, and pass as Gymnasium environments. Tiny, with random weights."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env

from armillary.core import Prompt, Rewards, WorldEnv, WorldVectorEnv, seeded
from armillary.planning.cem import CEM, CEMConfig
from armillary.planning.objectives import GoalPixels
from armillary.policies.planner import PlannerPolicy
from armillary.worlds.vmc.train import build
from tests.worlds.autoregressive import small_autoregressive
from tests.worlds.diffusion import small_diffusion
from tests.worlds.genie import small_genie
from tests.worlds.vmc import small_vmc

WORLDS = {
    "vmc": lambda: small_vmc.small_world().eval(),
    "vmc of two": lambda: small_vmc.small_world(members=2).eval(),
    "diffusion": lambda: small_diffusion.small_world().eval(),
    "autoregressive": lambda: small_autoregressive.small_world(temperature=0.0, passes=2),
    "genie": lambda: small_genie.small_world(),
}


@pytest.fixture(params=WORLDS)
def world(request):
    return WORLDS[request.param]()


def prompt_of(world, rows: int = 2) -> Prompt:
    """Random pictures and the actions between them."""
    height, width = world.spec.sees
    steps, rng = world.spec.context_steps, seeded(0)
    frames = torch.rand(rows, steps, 3, height, width, generator=rng)
    return Prompt(batch_size=rows, frames=frames, actions=torch.randn(rows, steps - 1, 3, generator=rng))


def shown(world, state) -> dict[str, torch.Tensor]:
    return state.tensors() | world.render(state)


@torch.no_grad()
def test_a_state_may_be_kept_branched_and_stepped_again(world):
    state = world.start(prompt_of(world), seeded(1))
    before = {name: tensor.clone() for name, tensor in shown(world, state).items()}
    actions = torch.randn(2, 3, generator=seeded(2))
    first = shown(world, world.step(state, actions, seeded(3)))
    other = world.step(state, actions + 1.0, seeded(3))
    again = shown(world, world.step(state, actions, seeded(3)))
    assert all(torch.equal(first[name], again[name]) for name in first), "the same seed, the same step"
    assert not torch.equal(first["rgb"], world.render(other)["rgb"]), "another action shows another picture"
    assert all(torch.equal(before[name], tensor) for name, tensor in shown(world, state).items()), "the first state is as it was"
    assert float(first["rgb"].min()) >= 0 and float(first["rgb"].max()) <= 1


def test_gymnasium_accepts_it(world):
    env = WorldEnv(world, prompt=prompt_of(world), max_steps=3, render_mode="rgb_array")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*symmetric and normalized")  # actions are in the robot's units
        check_env(env, skip_render_check=True)
    observation, _ = env.reset(seed=4)
    assert np.array_equal(env.render(), observation) and observation.shape == (*world.spec.sees, 3)
    action = env.action_space.low * 0.5
    outcomes = [env.step(action) for _ in range(3)]
    assert [one[3] for one in outcomes] == [False, False, True] or any(one[2] for one in outcomes)


def test_rewards_are_minus_the_objective_and_else_the_worlds_own(world):
    prompt = prompt_of(world)
    goal = prompt.frames[0, -1]
    plain = WorldEnv(world, prompt=prompt)
    aimed = WorldEnv(world, prompt=prompt, objective=GoalPixels(world, goal, distance="l1"))
    many = WorldVectorEnv(world, 3, prompt=prompt, objective=GoalPixels(world, goal, distance="l1"))
    action = (plain.action_space.high * 0.3).astype(np.float32)
    for env in (plain, aimed):
        env.reset(seed=5)
    seen, reward, *_ = aimed.step(action)
    assert reward == pytest.approx(-float(np.abs(seen / 255.0 - goal.permute(1, 2, 0).numpy()).mean()), abs=3e-3)
    assert isinstance(world, Rewards) or plain.step(action)[1] == 0.0
    many.reset(seed=5)
    pictures, rewards, *_ = many.step(np.stack([action] * 3))
    truth = -np.abs(pictures / 255.0 - goal.permute(1, 2, 0).numpy()).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(rewards, truth, atol=3e-3)


@torch.no_grad()
def test_planning_finds_a_picture_that_an_action_leads_to(world):
    """The goal is what the world itself shows after some action: the plan must come nearer to it than resting does."""
    state = world.start(prompt_of(world, rows=1), seeded(1))
    space = world.spec.action_space
    wanted = torch.from_numpy(space.low + 0.8 * (space.high - space.low))[None]
    objective = GoalPixels(world, world.render(world.step(state, wanted, seeded(3)))["rgb"], distance="squared")
    plan = CEM(CEMConfig(horizon=1, samples=24, elites=4, iterations=3, max_rows=24)).plan(world, state, objective, seeded(0))
    resting = torch.from_numpy((space.low + space.high) / 2)[None]

    def cost(action):
        return float(objective.cost(world, [world.step(state, action, seeded(3))], action[:, None]))

    assert cost(wanted) <= cost(plan.actions[:, 0]) < 0.7 * cost(resting)
    assert (plan.actions >= torch.from_numpy(space.low)).all() and (plan.actions <= torch.from_numpy(space.high)).all()


def test_a_planner_acts_with_it_from_pictures_alone(world):
    pictures = prompt_of(world).frames[:, -1]
    objective = GoalPixels(world, pictures.flip(0))
    planner = CEM(CEMConfig(horizon=2, samples=4, elites=2, iterations=1))
    policy, rng = PlannerPolicy(world, planner, objective), seeded(0)
    memory = policy.start(2)
    for _ in range(2):
        action, memory = policy.act(pictures, memory, rng)
        assert action.shape == (2, 3) and bool(torch.isfinite(action).all())


def test_a_world_that_never_saw_rewards_pays_none_and_never_ends():
    """Untrained heads would pay and end episodes at random."""
    blind = build(small_vmc.small_config(), replace(small_vmc.SHAPE, has_rewards=False)).eval()
    env = WorldEnv(blind, prompt=prompt_of(blind))
    env.reset(seed=0)
    assert all(env.step(env.action_space.sample())[1:4] == (0.0, False, False) for _ in range(5))
