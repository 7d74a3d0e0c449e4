"""Bouncing balls against the closed forms of mechanics."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from armillary.core import Prompt, seeded
from armillary.worlds.small.bouncing_balls import BORDER_M, BouncingBalls, _rounds

DT = 0.05


def start(num_balls: int, batch_size: int = 1, seed: int = 0, **layout) -> tuple:
    world, rng = BouncingBalls(size=16, num_balls=num_balls), seeded(seed)
    return world, world.start(Prompt(batch_size=batch_size, layout=layout), rng), rng


def still(state) -> torch.Tensor:
    return torch.zeros(state.batch_size, 2)


def placed(state, position, velocity):
    return replace(state, position=torch.tensor([position]), velocity=torch.tensor([velocity]))


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 7))
def test_elastic_balls_keep_their_energy(seed, num_balls):
    world, state, rng = start(num_balls, 16, seed, gravity_m_s2=0.0, restitution=1.0, radius_spread=0.25, speed_m_s=1.0, radius_m=0.1)
    before = state.energy()
    for _ in range(40):
        state = world.step(state, still(state), rng)
    torch.testing.assert_close(state.energy(), before, rtol=1e-4, atol=0)


def test_a_pair_in_the_open_keeps_its_momentum_and_obeys_the_formula():
    """One axis: v1' = ((m1 - m2) v1 + 2 m2 v2) / (m1 + m2), and places as if each had turned round at the moment of touch."""
    world, state, rng = start(2, gravity_m_s2=0.0, restitution=1.0, radius_m=0.1, radius_spread=0.25, seed=4)
    r1, r2 = state.radius[0].tolist()
    m1, m2 = r1**2, r2**2
    assert abs(m1 - m2) > 1e-4
    v1, v2, x1, x2 = 0.8, -0.4, 0.3, 0.7
    state = placed(state, [[x1, 0.5], [x2, 0.5]], [[v1, 0.0], [v2, 0.0]])
    momentum = state.momentum()
    steps = 5
    for _ in range(steps):
        state = world.step(state, still(state), rng)
    w1 = ((m1 - m2) * v1 + 2 * m2 * v2) / (m1 + m2)
    w2 = ((m2 - m1) * v2 + 2 * m1 * v1) / (m1 + m2)
    torch.testing.assert_close(state.velocity[0, :, 0], torch.tensor([w1, w2]), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(state.momentum(), momentum, rtol=1e-4, atol=1e-6)
    touch = (x2 - x1 - r1 - r2) / (v1 - v2)
    rest = steps * DT - touch
    expected = torch.tensor([x1 + v1 * touch + w1 * rest, x2 + v2 * touch + w2 * rest])
    torch.testing.assert_close(state.position[0, :, 0], expected, rtol=0, atol=1e-4)


@settings(max_examples=30, deadline=None)
@given(st.floats(-0.12, 0.12), st.floats(0.5, 1.0))
def test_oblique_hits_change_only_the_part_along_the_line_of_centres(aside, restitution):
    world, state, rng = start(2, gravity_m_s2=0.0, restitution=restitution, radius_m=0.1, radius_spread=0.0)
    state = placed(state, [[0.35, 0.5], [0.65, 0.5 + aside]], [[0.9, 0.0], [-0.3, 0.0]])
    energy, momentum = state.energy(), state.momentum()
    for _ in range(4):
        state = world.step(state, still(state), rng)
    torch.testing.assert_close(state.momentum(), momentum, rtol=1e-4, atol=1e-6)
    # Equal masses: the centre's energy stays, and of the rest the share along the line falls by e^2.
    along2 = 1.0 - (aside / 0.2) ** 2
    relative2 = 1.2**2 * (1 - along2 * (1 - restitution**2))
    mass = float(state.mass[0, 0])
    expected = 0.5 * 2 * mass * 0.3**2 + 0.5 * (mass / 2) * relative2
    assert float(energy) == pytest.approx(0.5 * 2 * mass * 0.3**2 + 0.5 * (mass / 2) * 1.2**2, rel=1e-4)
    assert float(state.energy()) == pytest.approx(expected, rel=2e-3)


@settings(max_examples=20, deadline=None)
@given(st.floats(0.5, 9.81), st.floats(-0.5, 0.5))
def test_free_fall(gravity, sideways):
    world, state, rng = start(1, gravity_m_s2=gravity)
    state = placed(state, [[0.5, 0.8]], [[sideways, 0.2]])
    floor = BORDER_M + float(state.radius)
    for step in range(1, 5):
        state = world.step(state, still(state), rng)
        time = step * DT
        height = 0.8 + 0.2 * time - gravity * time**2 / 2
        if height > floor:
            torch.testing.assert_close(state.position[0, 0], torch.tensor([0.5 + sideways * time, height]), rtol=1e-4, atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(st.floats(0.5, 1.0), st.floats(1.0, 9.81), st.floats(0.3, 0.7))
def test_a_dropped_ball_comes_back_to_e_squared_of_its_height(restitution, gravity, height):
    world, state, rng = start(1, gravity_m_s2=gravity, restitution=restitution, radius_m=0.1, radius_spread=0.0)
    floor = BORDER_M + 0.1
    state = placed(state, [[0.5, floor + height]], [[0.0, 0.0]])
    while float(state.velocity[0, 0, 1]) <= 0:
        state = world.step(state, still(state), rng)
    peak = float(state.position[0, 0, 1]) - floor + float(state.velocity[0, 0, 1]) ** 2 / (2 * gravity)
    assert peak == pytest.approx(restitution**2 * height, rel=2e-3)


def test_an_elastic_ball_bounces_for_ever_under_gravity():
    world, state, rng = start(1, 16, gravity_m_s2=9.81, restitution=1.0)
    before = state.energy()
    for _ in range(200):
        state = world.step(state, still(state), rng)
    torch.testing.assert_close(state.energy(), before, rtol=2e-3, atol=0)


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 9))
def test_balls_stay_in_the_box_and_out_of_one_another(seed, num_balls):
    layout = dict.fromkeys(("gravity_m_s2", "restitution", "push_m_s2", "radius_m", "speed_m_s"), "random")
    world, state, rng = start(num_balls, 16, seed, **layout)
    first, second = torch.triu_indices(num_balls, num_balls, 1)
    reach = state.radius[:, first] + state.radius[:, second]
    apart = (state.position[:, first] - state.position[:, second]).norm(dim=-1)
    assert (apart >= reach - 1e-6).all()  # from the start on
    for _ in range(40):
        state = world.step(state, torch.randn(16, 2, generator=rng), rng)
        low = BORDER_M + state.radius[..., None]
        assert (state.position >= low - 1e-6).all() and (state.position <= 1 - low + 1e-6).all()
        apart = (state.position[:, first] - state.position[:, second]).norm(dim=-1)
        if num_balls < 6:  # in a crowd a pair may be pressed a little
            assert (apart >= reach - 0.03).all()


def test_without_a_push_nothing_gains_energy():
    world, state, rng = start(5, 32, gravity_m_s2=3.0, restitution=0.8)
    before = state.energy()
    for _ in range(60):
        state = world.step(state, still(state), rng)
    assert (state.energy() <= before * 1.001).all()
    assert state.energy().mean() < 0.9 * before.mean()


def test_the_push_moves_the_first_ball_only_and_can_be_turned_off():
    world, state, rng = start(3, 64, push_m_s2=4.0, gravity_m_s2=0.0, speed_m_s=0.0)
    pushed = world.step(state, torch.tensor([[1.0, -0.5]]).expand(64, 2), rng)
    free = ((pushed.velocity[:, 0] - torch.tensor([0.2, -0.1])).abs().amax(dim=-1) < 1e-5).float().mean()
    assert free > 0.8  # all but those that were against a wall or another ball
    assert ((pushed.velocity[:, 1:].abs().amax(dim=(1, 2)) < 1e-6).float().mean()) > 0.8
    world, state, rng = start(3, 4, push_m_s2=0.0)
    left, right = (world.step(state, torch.full((4, 2), push), rng) for push in (-1.0, 1.0))
    assert torch.equal(left.position, right.position)


@pytest.mark.parametrize("count", range(1, 10))
def test_a_tournament_meets_every_pair_once_and_nobody_twice_in_a_round(count):
    rounds = _rounds(count)
    met = [tuple(pair) for first, second in rounds for pair in zip(first, second, strict=True)]
    assert sorted(met) == [(i, j) for i in range(count) for j in range(i + 1, count)]
    for first, second in rounds:
        assert len({*first, *second}) == 2 * len(first)
