"""The next code: causality, the memory against the whole, losses against their formulas."""

import math

import pytest
import torch

from armillary.core import Prompt, seeded
from armillary.nn.fsq import Fsq
from armillary.worlds.autoregressive import decoding
from armillary.worlds.autoregressive.codes import CodeTable
from armillary.worlds.autoregressive.losses import decibel_loss, next_code_loss
from armillary.worlds.autoregressive.model import Known
from tests.worlds.autoregressive.small_autoregressive import small_batch, small_world

GRID = (4, 4)


def known(steps: int, codes: torch.Tensor, actions: torch.Tensor) -> Known:
    """Frames in a row, the first of which has nothing before it; the last real one is frame 0."""
    there = torch.ones(len(codes), steps, dtype=torch.bool)
    there[:, 0] = False
    return Known(
        before=codes.roll(1, dims=1),
        has_before=there,
        action=actions,
        has_action=there,
        real=codes[:, 0],
        origin=torch.zeros(len(codes), actions.shape[-1]),
        has_origin=torch.zeros(len(codes), dtype=torch.bool),
    )


def follow(world, codes, actions):
    predictor = world.predictor
    table = predictor.codes(world.tokenizer.discrete())
    return predictor.logits(table, predictor.follow(table, known(codes.shape[1], codes, actions), codes))


def some_codes(steps: int, rows: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(3)
    return torch.randint(0, 60, (rows, steps, *GRID), generator=rng), torch.randn(rows, steps, 3, generator=rng)


@torch.no_grad()
def test_a_later_code_never_changes_earlier_logits():
    world = small_world()
    codes, actions = some_codes(3)
    before = follow(world, codes, actions)
    changed = codes.clone()
    changed[:, 1, 2, 1] = (changed[:, 1, 2, 1] + 7) % 60  # place 9 of frame 1
    after = follow(world, changed, actions)
    assert torch.equal(before[:, 0], after[:, 0])
    assert torch.equal(before[:, 1, :10], after[:, 1, :10])
    assert (before[:, 1, 10:] != after[:, 1, 10:]).any(-1).all()
    assert (before[:, 2] != after[:, 2]).any()


@torch.no_grad()
def test_an_action_changes_its_own_frame_and_none_before():
    world = small_world()
    codes, actions = some_codes(3)
    before = follow(world, codes, actions)
    actions[:, 1] += 1.0
    after = follow(world, codes, actions)
    assert torch.equal(before[:, 0], after[:, 0])
    assert (before[:, 1] != after[:, 1]).any(-1).all()


@torch.no_grad()
@pytest.mark.parametrize("context_steps", [1, 2, 3])
def test_steps_with_a_memory_are_the_whole_sequence(context_steps, monkeypatch):
    """Every frame's logits while it is drawn equal those of one pass over all frames, also where old frames have left the window."""
    world = small_world(context_steps=context_steps, temperature=0.0)
    batch, steps, seen = small_batch(steps=6), 5, []
    whole_choose = decoding.choose
    monkeypatch.setattr(
        decoding, "choose", lambda logits, *rest, **settings: (seen.append(logits), whole_choose(logits, *rest, **settings))[1]
    )
    state = world.start(Prompt(batch_size=2, frames=batch.frames[:, :1]), seeded(0))
    codes = [state.real]
    for step in range(steps):
        state = world.step(state, batch.actions[:, step], seeded(0))
        codes.append(state.codes[:, -1])
    codes = torch.stack(codes, dim=1)
    actions = torch.cat([torch.zeros(2, 1, 3), world.standardise(batch.actions[:, :steps])], dim=1)
    whole = follow(world, codes, actions)[:, 1:].flatten(1, 2)
    assert torch.allclose(torch.stack(seen, dim=1), whole, atol=1e-5 * float(whole.abs().max()))


@torch.no_grad()
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_guesses_that_are_checked_are_the_codes_of_one_by_one(temperature):
    batch = small_batch()
    found = []
    for passes in (0, 16):
        world = small_world(temperature=temperature, passes=passes)
        state = world.start(Prompt(batch_size=2, frames=batch.frames[:, :3], actions=batch.actions[:, :2]), seeded(0))
        for step in range(2):
            state = world.step(state, batch.actions[:, step], seeded(step))
        found.append(state)
    assert torch.equal(found[0].codes, found[1].codes)
    assert torch.allclose(found[0].memory, found[1].memory, atol=1e-5)


def test_next_code_loss_is_its_formula():
    rng = torch.Generator().manual_seed(0)
    logits, codes = torch.randn(5, 7, generator=rng), torch.randint(0, 7, (5,), generator=rng)
    cross_entropy, z_loss = next_code_loss(logits, codes)
    denominators = [math.log(sum(math.exp(value) for value in row)) for row in logits.tolist()]
    expected = [d - row[code] for d, row, code in zip(denominators, logits.tolist(), codes.tolist(), strict=True)]
    assert cross_entropy.item() == pytest.approx(sum(expected) / 5, abs=1e-5)
    assert z_loss.item() == pytest.approx(sum(d * d for d in denominators) / 5, abs=1e-5)


def test_decibels_are_those_of_each_picture():
    real = torch.zeros(2, 3, 4, 4)
    drawn = torch.stack([torch.full((3, 4, 4), 0.1), torch.full((3, 4, 4), 0.01)])
    loss, told = decibel_loss(drawn, real)
    assert told.item() == pytest.approx(30.0, abs=1e-4)  # the mean of 20 and 40
    assert loss.item() == pytest.approx((math.log(0.01001) + math.log(0.00011)) / 2, abs=1e-4)


def test_codes_that_stand_for_near_latents_look_alike():
    torch.manual_seed(0)
    fsq = Fsq((8, 8))
    table = CodeTable(fsq, 32)(fsq).detach()
    near, far = (table[27] - table[26]).norm(), (table[0] - table[63]).norm()
    assert 0 < near < 0.5 * far
