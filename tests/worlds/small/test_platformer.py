"""The platformer: jumps by formula, tiles that stop, and what coins, pits and flags do."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from armillary.core import Prompt, WorldError, seeded
from armillary.worlds.small.level import COIN, EARTH, EMPTY, FLAG, GRASS, ROWS, build_level
from armillary.worlds.small.platformer import HALF_WIDTH_M, HEIGHT_M, START_X_M, Platformer
from armillary.worlds.small.policies import ToAndFro

WORLD = Platformer(size=16)
DT = 1 / 15
STAND, LEFT, RIGHT, JUMP, JUMP_RIGHT = 0, 1, 2, 3, 5


def start(batch_size: int = 1, seed: int = 0, **layout) -> tuple:
    rng = seeded(seed)
    return WORLD.start(Prompt(batch_size=batch_size, layout=layout), rng), rng


def flat(state, height: int = 2):
    """The same state in a level of nothing but ground."""
    tiles = torch.zeros_like(state.tiles)
    tiles[:, :height] = EARTH
    return replace(state, tiles=tiles, coins=tiles == COIN, position=torch.tensor([[START_X_M, float(height)]] * state.batch_size))


@pytest.mark.parametrize("gravity", [15.0, 30.0, 45.0])
def test_a_jump_is_a_parabola(gravity):
    state, rng = start(gravity_m_s2=gravity, jump_m_s=8.0)
    state = flat(state)
    for step in range(1, int(2 * 8.0 / gravity / DT)):
        state = WORLD.step(state, torch.tensor([JUMP if step == 1 else STAND]), rng)
        time = step * DT
        assert float(state.position[0, 1]) == pytest.approx(2.0 + 8.0 * time - gravity * time**2 / 2, abs=1e-3)
        assert not bool(state.grounded)


def test_nobody_jumps_in_the_air():
    state, rng = start()
    state = flat(state)
    once, held = state, state
    for step in range(6):
        once = WORLD.step(once, torch.tensor([JUMP if step == 0 else STAND]), rng)
        held = WORLD.step(held, torch.tensor([JUMP]), rng)
        assert torch.equal(once.position, held.position)


def test_running_reaches_its_speed_and_ice_takes_longer():
    state, rng = start(2, run_m_s=4.0, slipperiness_s=[0.02, 0.4])
    state = WORLD.rollout(flat(state), torch.full((2, 5), RIGHT), rng)[-1]
    assert float(state.velocity[0, 0]) == pytest.approx(4.0, rel=1e-3)
    assert float(state.velocity[1, 0]) == pytest.approx(4.0 * (1 - np.exp(-5 * DT / 0.4)), rel=1e-3)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10**6))
@example(32836)  # the top of a jump between two moments, just under a ceiling
def test_nobody_is_ever_inside_a_tile(seed):
    state, rng = start(32, seed, **dict.fromkeys(WORLD.factors, "random"))
    action = torch.zeros(32, dtype=torch.long)
    for step in range(60):
        if step % 4 == 0:
            action = torch.randint(6, (32,), generator=rng)
        state = WORLD.step(state, action, rng)
        solid = state.solid()
        for across in (-HALF_WIDTH_M + 2e-3, 0.0, HALF_WIDTH_M - 2e-3):
            for up in (2e-3, HEIGHT_M / 2, HEIGHT_M - 2e-3):
                x, y = state.position[:, 0] + across, state.position[:, 1] + up
                assert (x >= 0).all() and (x <= WORLD.columns).all()
                row, column = y.floor().long(), x.floor().long().clamp(0, WORLD.columns - 1)
                seen = (row >= 0) & (row < ROWS)
                assert not (solid[torch.arange(32), row.clamp(0, ROWS - 1), column] & seen).any()


def test_a_wall_stops_the_runner_where_it_stands():
    state, rng = start()
    state = flat(state)
    tiles = state.tiles.clone()
    tiles[:, 2:4, 4] = EARTH
    state = WORLD.rollout(replace(state, tiles=tiles), torch.full((1, 15), RIGHT), rng)[-1]
    assert float(state.position[0, 0]) == pytest.approx(4.0 - HALF_WIDTH_M, abs=5e-3)
    assert float(state.velocity[0, 0]) == 0.0


def test_a_ceiling_stops_the_jump():
    state, rng = start()
    state = flat(state)
    tiles = state.tiles.clone()
    tiles[:, 4, :] = GRASS
    states = WORLD.rollout(replace(state, tiles=tiles), torch.full((1, 8), JUMP), rng)
    assert max(float(s.position[0, 1]) for s in states) + HEIGHT_M <= 4.0


def test_a_coin_is_paid_once():
    state, rng = start()
    state = flat(state)
    tiles = state.tiles.clone()
    tiles[:, 2, 3] = COIN
    state = replace(state, tiles=tiles, coins=tiles == COIN)
    rewards, left = [], []
    for action in [RIGHT] * 8 + [LEFT] * 8:
        state = WORLD.step(state, torch.tensor([action]), rng)
        rewards.append(float(state.last_reward))
        left.append(int(state.coins.sum()))
    assert sum(rewards) == pytest.approx(0.1) and sorted(rewards)[-2] == 0.0
    assert left[np.argmax(rewards)] == 0 and left[np.argmax(rewards) - 1] == 1  # paid in the step that takes it


def test_a_pit_costs_one_and_the_next_step_begins_again():
    state, rng = start()
    state = flat(state)
    tiles = state.tiles.clone()
    tiles[:, :, 3:5] = EMPTY
    state = replace(state, tiles=tiles)
    for _ in range(40):
        state = WORLD.step(state, torch.tensor([RIGHT if float(state.position[0, 0]) < 3.6 else STAND]), rng)
        if float(state.going) == 0.0:
            break
    assert float(state.last_reward) == -1.0 and float(state.position[0, 1]) < 0
    again = WORLD.step(state, torch.tensor([STAND]), rng)
    assert float(again.going) == 1.0 and again.position.tolist() == [[START_X_M, 2.0]] and float(again.last_reward) == 0.0


def test_the_flag_pays_one_and_ends():
    state, rng = start()
    state = flat(state)
    tiles = state.tiles.clone()
    tiles[:, 2, 4] = FLAG
    states = WORLD.rollout(replace(state, tiles=tiles), torch.full((1, 12), RIGHT), rng)
    ends = [float(s.going) for s in states]
    assert 0.0 in ends
    assert [float(s.last_reward) for s in states][: ends.index(0.0) + 1] == [0.0] * ends.index(0.0) + [1.0]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 65535), st.integers(8, 48))
def test_levels_can_be_walked(number, columns):
    tiles = build_level(number, columns)
    assert tiles.shape == (ROWS, columns) and np.array_equal(tiles, build_level(number, columns))
    heights = ((tiles == EARTH) | (tiles == GRASS)).sum(axis=0)
    assert (heights[:3] == 2).all() and heights[-3:].min() >= 1
    assert (tiles == FLAG).sum() == 1
    pit, ground = 0, 2
    for height in heights:
        pit = pit + 1 if height == 0 else 0
        assert pit <= 2
        if height:
            assert abs(int(height) - ground) <= 1
            ground = int(height)


def test_the_layouts_number_is_the_level():
    state, _ = start(3, level=[5, 5, 6])
    assert torch.equal(state.tiles[0], state.tiles[1]) and not torch.equal(state.tiles[0], state.tiles[2])
    other, _ = start(3, seed=9, level=[5, 5, 6])
    assert torch.equal(state.tiles, other.tiles)
    drawn, _ = start(20)
    assert len({tuple(tiles.flatten().tolist()) for tiles in drawn.tiles}) > 15


def wins(level: int) -> bool:
    """Whether a search finds the flag: 192 players with sticky random actions, of whom the farthest half goes on."""
    state, rng = start(192, level, level=level)
    action = torch.full((192,), JUMP_RIGHT)
    for step in range(160):
        if step % 3 == 0:
            action = torch.multinomial(torch.tensor([0.05, 0.05, 0.4, 0.0, 0.05, 0.45]).expand(192, -1), 1, generator=rng)[:, 0]
        state = WORLD.step(state, action, rng)
        if bool((state.last_reward > 0.5).any()):
            return True
        if step % 6 == 5:
            alive = torch.where(state.going > 0.5, state.position[:, 0], -1.0)
            state = state.rows(alive.argsort(descending=True)[:96]).repeat(2)
    return False


def test_every_level_can_be_won():
    assert all(wins(level) for level in range(6))


def test_the_picture_scrolls_with_the_player_and_a_short_level_does_not():
    state, rng = start(level=3)
    far = replace(state, position=torch.tensor([[12.0, 4.0]]))
    assert (WORLD.render(state)["rgb"] - WORLD.render(far)["rgb"]).abs().mean() > 0.02
    fixed = Platformer(size=64, columns=8)
    state = fixed.start(Prompt(layout={"level": 3}), rng)
    moved = replace(state, position=state.position + torch.tensor([[1.0, 0.0]]))
    changed = (fixed.render(state)["rgb"] - fixed.render(moved)["rgb"]).abs().sum(dim=1)[0] > 1e-3
    assert changed.any(dim=0).nonzero().max() < 32 and changed.float().mean() < 0.1  # only the player


@pytest.mark.parametrize("action", [-1, 6])
def test_unknown_actions_are_refused(action):
    state, rng = start()
    with pytest.raises(WorldError, match="0 to 5"):
        WORLD.step(state, torch.tensor([action]), rng)


def test_pages_turn_where_the_player_crosses_from_one_to_the_next():
    world = Platformer(size=64, columns=16, pages=True)
    state = flat(world.start(Prompt(layout={"level": 3}), seeded(0)).repeat(4))
    state = replace(state, position=torch.tensor([[1.5, 2.0], [7.9, 2.0], [8.1, 2.0], [15.0, 2.0]]))
    first, last, over, end = world.render(state)["rgb"]
    changed = [((one - other).abs().amax(dim=0) > 1e-3).float().mean() for one, other in ((first, last), (over, end), (last, over))]
    assert max(changed[:2]) < 0.06 < changed[2], "within a page only the player moves"


def test_to_and_fro_comes_back():
    policy, memory, rng = ToAndFro(legs=(3, 5), jumps=0.5), ToAndFro(legs=(3, 5)).start(64), seeded(0)
    taken = []
    for _ in range(24):
        action, memory = policy.act(torch.zeros(64, 6), memory, rng)
        taken.append(action)
    runs = torch.stack(taken, dim=1) % 3
    assert (runs[:, :3] == 2).all() and set(runs.unique().tolist()) == {1, 2}
    turns = (runs[:, 1:] != runs[:, :-1]).sum(dim=1)
    assert (turns >= 5).all() and (turns <= 8).all()
    assert 0.4 < (torch.stack(taken) >= 3).float().mean() < 0.6
