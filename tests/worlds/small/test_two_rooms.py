"""Two rooms: motion to the millimetre, and walls that nothing passes."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from armillary.core import Prompt, seeded
from armillary.worlds.small.two_rooms import AGENT_RADIUS_M, BORDER_M, GOAL_RADIUS_M, HALF_WALL_M, TwoRooms

WORLD = TwoRooms(size=16)
ALL_RANDOM = dict.fromkeys(WORLD.factors, "random")


def start(batch_size: int = 1, seed: int = 0, **layout) -> tuple:
    rng = seeded(seed)
    return WORLD.start(Prompt(batch_size=batch_size, layout=layout), rng), rng


def test_in_the_open_it_moves_by_speed_times_time():
    state, rng = start(speed_m_s=0.8)
    state = replace(state, agent=torch.tensor([[0.25, 0.5]]))
    after = WORLD.step(state, torch.tensor([[0.5, -1.0]]), rng)
    torch.testing.assert_close(after.agent, torch.tensor([[0.25 + 0.04, 0.5 - 0.08]]))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_walls_are_never_crossed(seed):
    """Persistent random pushes: no disc ever overlaps a wall, and between the rooms it is always within the door."""
    state, rng = start(32, seed, **ALL_RANDOM)
    drift = torch.zeros(32, 2)
    for _ in range(40):
        drift = 0.8 * drift + torch.randn(32, 2, generator=rng)
        state = WORLD.step(state, drift.clamp(-1, 1), rng)
        for middle, half in state.wall_pieces():
            away = (state.agent - middle) - (state.agent - middle).clamp(-half, half)
            assert (away.norm(dim=-1) >= AGENT_RADIUS_M - 1e-5).all()
        assert (state.agent >= BORDER_M + AGENT_RADIUS_M - 1e-6).all() and (state.agent <= 1 - BORDER_M - AGENT_RADIUS_M + 1e-6).all()
        # A step is shorter than the wall is thick (to the disc's middle), so nobody gets across unseen.
        between = (state.agent[:, 0] - state.wall_x_m).abs() < HALF_WALL_M
        in_door = (state.agent[:, 1] - state.door_y_m).abs() <= state.door_width_m / 2 - AGENT_RADIUS_M + 1e-5
        assert (in_door | ~between).all()


def test_a_step_is_shorter_than_the_wall_is_thick():
    fastest = WORLD.factors["speed_m_s"].high * 2**0.5 * WORLD.spec.seconds_per_step
    assert fastest < 2 * (HALF_WALL_M + AGENT_RADIUS_M)


def test_it_slides_along_a_wall():
    state, rng = start(wall_x_m=0.5, door_y_m=0.3)
    state = replace(state, agent=torch.tensor([[0.5 - HALF_WALL_M - AGENT_RADIUS_M, 0.7]]))
    after = WORLD.step(state, torch.tensor([[1.0, 0.5]]), rng)
    assert after.agent[0, 0] == pytest.approx(0.5 - HALF_WALL_M - AGENT_RADIUS_M, abs=1e-5)
    assert after.agent[0, 1] == pytest.approx(0.7 + 0.03, abs=1e-5)


def test_the_door_lets_it_through():
    state, rng = start(wall_x_m=0.5, door_y_m=0.3, speed_m_s=0.6)
    state = replace(state, agent=torch.tensor([[0.3, 0.3]]))
    final = WORLD.rollout(state, torch.tensor([[[1.0, 0.0]] * 6]), rng)[-1]
    torch.testing.assert_close(final.agent, torch.tensor([[0.66, 0.3]]))


def test_the_goal_is_in_the_other_room():
    state, _ = start(500, **ALL_RANDOM)
    assert ((state.agent[:, 0] < state.wall_x_m) != (state.goal[:, 0] < state.wall_x_m)).all()


def test_rewards_add_up_to_the_way_done_plus_one_on_arrival():
    state, rng = start(1, wall_x_m=0.5, door_y_m=0.3)
    state = replace(state, agent=torch.tensor([[0.3, 0.3]]), goal=torch.tensor([[0.7, 0.3]]))
    first, total, ends = float(state.way_to_goal()), 0.0, []
    assert first == pytest.approx(0.4)
    for _ in range(6):
        state = WORLD.step(state, torch.tensor([[1.0, 0.0]]), rng)
        reward, going = WORLD.reward(state)
        total, ends = total + float(reward), [*ends, float(going)]
    assert total == pytest.approx(first - float(state.way_to_goal()) + 1.0, abs=1e-5)
    assert ends == [1.0, 1.0, 1.0, 1.0, 1.0, 0.0]  # 0.4 - 6 * 0.06 = 0.04 < the goal's radius
    assert float(state.way_to_goal()) < GOAL_RADIUS_M


def test_round_the_wall_is_farther_than_through_it():
    state, _ = start(wall_x_m=0.5, door_y_m=0.3)
    state = replace(state, agent=torch.tensor([[0.4, 0.8]]), goal=torch.tensor([[0.6, 0.8]]))
    assert float(state.way_to_goal()) == pytest.approx(2 * (0.1**2 + 0.5**2) ** 0.5, rel=1e-5)
