"""The pusher's block against the closed forms of friction and impact, and rails that nothing leaves."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from armillary.core import Prompt, seeded
from armillary.worlds.small.block import GRAVITY_M_S2, Block, slide, touch_disc, touch_rails
from armillary.worlds.small.policies import Mixed, push_to_goal, push_to_place
from armillary.worlds.small.pusher import AGENT_MASS_KG, AGENT_RADIUS_M, RAIL_M, TOP_SPEED_M_S, Pusher, angle_error

WORLD = Pusher(size=16)
unit = st.floats(-1.0, 1.0)


def block(**changes) -> Block:
    values = {
        "position": torch.tensor([[0.5, 0.5]]),
        "velocity": torch.zeros(1, 2),
        "angle": torch.zeros(1),
        "spin": torch.zeros(1),
        "size_m": torch.tensor([0.2]),
        "mass_kg": torch.tensor([0.5]),
        "friction": torch.tensor([0.3]),
    }
    return Block(**(values | changes))


def start(batch_size: int = 1, seed: int = 0, **layout) -> tuple:
    rng = seeded(seed)
    return WORLD.start(Prompt(batch_size=batch_size, layout=layout), rng), rng


@settings(max_examples=40, deadline=None)
@given(st.floats(0.05, 1.5), st.floats(0.05, 0.6), st.floats(0.0, 6.28), st.floats(0.003, 0.05))
def test_a_block_slides_v_squared_over_two_mu_g(speed, friction, heading, dt):
    """Whatever the length of the substeps."""
    way = torch.stack([torch.tensor([heading]).cos(), torch.tensor([heading]).sin()], dim=-1)
    moving = block(velocity=speed * way, friction=torch.tensor([friction]))
    for _ in range(int(speed / (friction * GRAVITY_M_S2) / dt) + 2):
        moving = slide(moving, dt)
    assert float(moving.velocity.norm()) < 1e-6
    torch.testing.assert_close(moving.position, 0.5 + way * speed**2 / (2 * friction * GRAVITY_M_S2), rtol=1e-3, atol=1e-5)


@settings(max_examples=8, deadline=None)
@given(st.floats(0.5, 8.0), st.floats(0.1, 0.6))
def test_a_spinning_block_stops_whatever_its_mass(spin, friction):
    """Turning by w^2 / (2 alpha), alpha = 6 * 0.3826 mu g / side: the mass cancels."""
    turned = []
    for mass in (0.2, 2.0):
        moving = block(spin=torch.tensor([spin]), friction=torch.tensor([friction]), mass_kg=torch.tensor([mass]))
        total = 0.0
        for _ in range(300):
            after = slide(moving, 0.02)
            total += float(torch.remainder(after.angle - moving.angle, 2 * torch.pi))
            moving = after
        turned.append(total)
    alpha = 6 * 0.3826 * friction * GRAVITY_M_S2 / 0.2
    assert turned[0] == pytest.approx(turned[1], rel=1e-4) == pytest.approx(spin**2 / (2 * alpha), rel=2e-3)


@settings(max_examples=80, deadline=None)
@given(st.floats(0, 6.28), st.floats(0.02, 0.079), st.floats(0.2, 2.0), st.floats(0, 6.28), unit, unit, unit, unit, st.floats(-3, 3))
def test_an_impact_conserves_momentum_and_angular_momentum_and_makes_no_energy(bearing, gap, mass, angle, vx, vy, ux, uy, spin):
    body = block(mass_kg=torch.tensor([mass]), angle=torch.tensor([angle]), velocity=torch.tensor([[ux, uy]]), spin=torch.tensor([spin]))
    corner = 0.1 * 2**0.5
    center = torch.tensor([[0.5, 0.5]]) + (corner + gap - 0.04) * torch.tensor([[torch.tensor(bearing).cos(), torch.tensor(bearing).sin()]])
    velocity = torch.tensor([[vx, vy]])

    def totals(body: Block, center: torch.Tensor, velocity: torch.Tensor, place: torch.Tensor, where: torch.Tensor) -> tuple:
        momentum = body.mass_kg * body.velocity[0] + AGENT_MASS_KG * velocity[0]
        orbital = mass * (place[0, 0] * body.velocity[0, 1] - place[0, 1] * body.velocity[0, 0])
        orbital = orbital + AGENT_MASS_KG * (where[0, 0] * velocity[0, 1] - where[0, 1] * velocity[0, 0])
        energy = 0.5 * (mass * body.velocity.square().sum() + body.inertia * body.spin**2 + AGENT_MASS_KG * velocity.square().sum())
        return momentum, orbital + body.inertia * body.spin, energy

    after, moved, speed = touch_disc(body, center, velocity, AGENT_RADIUS_M, AGENT_MASS_KG, give=0.5)
    before = totals(body, center, velocity, body.position, center)
    now = totals(after, moved, speed, body.position, center)
    torch.testing.assert_close(now[0], before[0], rtol=1e-4, atol=1e-5)
    # The impulse acts at the block's nearest point and points at the disc's middle, hence no torque between the two.
    torch.testing.assert_close(now[1], before[1], rtol=1e-3, atol=1e-4)
    assert float(now[2]) <= float(before[2]) * (1 + 1e-4) + 1e-6
    apart, _, _ = touch_disc(after, moved, speed, AGENT_RADIUS_M, AGENT_MASS_KG, give=0.5)
    torch.testing.assert_close(apart.position, after.position, rtol=0, atol=1e-5)  # they no longer overlap


def test_a_blow_through_the_middle_gives_the_common_velocity_of_an_inelastic_impact():
    body = block(mass_kg=torch.tensor([0.5]))
    after, _, speed = touch_disc(body, torch.tensor([[0.5 - 0.1 - 0.079, 0.5]]), torch.tensor([[0.6, 0.0]]), AGENT_RADIUS_M, 1.0, give=0.5)
    common = 0.6 * 1.0 / 1.5
    torch.testing.assert_close(after.velocity, torch.tensor([[common, 0.0]]))
    torch.testing.assert_close(speed, torch.tensor([[common, 0.0]]))
    assert float(after.spin) == pytest.approx(0.0, abs=1e-6)


def test_a_blow_off_the_middle_turns_the_block_the_right_way():
    after, _, _ = touch_disc(block(), torch.tensor([[0.33, 0.55]]), torch.tensor([[0.6, 0.0]]), AGENT_RADIUS_M, 1.0, give=0.5)
    assert float(after.spin) < 0  # pushed to the right above its middle: clockwise


def test_a_rail_turns_a_block_that_hits_it_squarely_back_with_its_restitution():
    body = block(
        position=torch.tensor([[0.139, 0.5]]),
        velocity=torch.tensor([[-0.5, 0.0]]),
        angle=torch.tensor([torch.pi / 4]),
        size_m=torch.tensor([0.14]),
    )
    after = touch_rails(body, 0.04 + 1e-3, 0.96, restitution=0.5)
    assert float(after.velocity[0, 0]) == pytest.approx(0.25, abs=1e-4) and float(after.spin) == pytest.approx(0.0, abs=1e-4)


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 10**6))
def test_nothing_leaves_the_table_and_nothing_goes_through_anything(seed):
    state, rng = start(32, seed, **dict.fromkeys(WORLD.factors, "random"))
    actor = Mixed(aims=(push_to_place, push_to_goal))
    memory = actor.start(32)
    for _ in range(40):
        action, memory = actor.act(WORLD.embed(state), memory, rng)
        state = WORLD.step(state, action * 1.5, rng)
        low = RAIL_M + AGENT_RADIUS_M
        assert (state.agent >= low - 1e-6).all() and (state.agent <= 1 - low + 1e-6).all()
        reach = state.block.size_m / 2 * (state.block.angle.cos().abs() + state.block.angle.sin().abs())
        assert (state.block.position - reach[:, None] > RAIL_M - 1e-4).all()
        assert (state.block.position + reach[:, None] < 1 - RAIL_M + 1e-4).all()
        half = (state.block.size_m / 2)[:, None]
        own = state.block.to_own(state.agent - state.block.position)
        overlap = AGENT_RADIUS_M - (own - own.clamp(-half, half)).norm(dim=-1)
        assert overlap.max() < 0.02  # squeezed against a rail by full force, the disc gives a little


def test_the_agent_takes_up_the_wanted_speed():
    state, rng = start()
    state = replace(state, agent=torch.tensor([[0.3, 0.15]]), block=replace(state.block, position=torch.tensor([[0.5, 0.7]])))
    after = WORLD.rollout(state, torch.tensor([[[1.0, 0.0]] * 5]), rng)
    assert float(after[-1].agent_velocity[0, 0]) == pytest.approx(TOP_SPEED_M_S, rel=1e-3)
    assert float(after[-1].agent[0, 0] - after[-2].agent[0, 0]) == pytest.approx(0.1 * TOP_SPEED_M_S, rel=1e-2)


def test_a_heavy_or_rough_block_is_pushed_less_far():
    for factor in ("block_mass_kg", "friction"):
        bounds = WORLD.factors[factor]
        state, rng = start(2, **{factor: [bounds.low, bounds.high]})
        both = state.rows([0, 0])
        made = replace(both.block, **{f: getattr(state.block, f) for f in ("mass_kg", "friction")}, angle=torch.zeros(2))
        begun = replace(both, agent=torch.tensor([[0.2, 0.5]] * 2), block=replace(made, position=torch.tensor([[0.45, 0.5]] * 2)))
        end = WORLD.rollout(begun, torch.tensor([[[1.0, 0.0]] * 3 + [[-1.0, 0.0]] * 3] * 2), rng)[-1]
        far = (end.block.position - 0.45)[:, 0]
        assert far[0] > far[1] + 0.01, factor


def test_left_alone_nothing_moves():
    state, rng = start(16, **dict.fromkeys(WORLD.factors, "random"))
    after = WORLD.step(state, torch.zeros(16, 2), rng)
    assert torch.equal(after.block.position, state.block.position) and torch.equal(after.agent, state.agent)


def test_rewards_add_up_to_the_way_done_and_pay_one_at_the_goal():
    state, rng = start()
    state = replace(
        state,
        agent=torch.tensor([[0.2, 0.5]]),
        block=replace(state.block, position=torch.tensor([[0.45, 0.5]]), angle=torch.zeros(1)),
        goal=torch.tensor([[0.65, 0.5]]),
        goal_angle=torch.tensor([torch.pi / 2 + 0.1]),
    )
    first, total, paid = 0.2, 0.0, False
    for _ in range(6):
        state = WORLD.step(state, torch.tensor([[1.0, 0.0]]), rng)
        reward, going = WORLD.reward(state)
        total += float(reward)
        paid = paid or float(going) == 0.0
        if paid:
            break
    assert paid and total == pytest.approx(first - float((state.block.position - state.goal).norm()) + 1.0, abs=1e-4)


def test_a_quarter_turn_of_a_square_is_no_turn():
    angles = torch.tensor([0.0, torch.pi / 2, 3.0 * torch.pi, 0.2, torch.pi / 2 - 0.2])
    torch.testing.assert_close(angle_error(angles, torch.zeros(5)), torch.tensor([0.0, 0.0, 0.0, 0.2, 0.2]), rtol=0, atol=1e-5)
