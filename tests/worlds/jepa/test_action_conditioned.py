"""The action-conditioned predictor: what it may look at, what stands where, and that it begins by moving nothing."""

import pytest
import torch

from armillary.core import seeded
from armillary.nn.rope3d import rotary_table
from armillary.worlds.jepa.action_conditioned import ActionPredictor, block_causal, frame_positions
from armillary.worlds.jepa.frozen_encoder import normalised
from armillary.worlds.jepa.vit import TokenGrid

GRID = TokenGrid(times=1, rows=2, columns=3)
FRAMES = 4
SIZES = {"token_size": 10, "action_size": 3, "state_size": 2, "width": 16, "depth": 2, "heads": 2}


def predictor(*, loud: bool = True, **changes) -> ActionPredictor:
    torch.manual_seed(0)
    found, rng = ActionPredictor(grid=GRID, max_frames=FRAMES, **(SIZES | changes)).double(), seeded(1)
    for parameter in found.parameters():
        parameter.data += 0.2 * loud * torch.randn(parameter.shape, dtype=torch.float64, generator=rng)
    return found


def inputs(rows: int = 2, frames: int = FRAMES) -> list[torch.Tensor]:
    """Tokens, actions, states, and that all states are known."""
    rng = seeded(2)
    sizes = ((GRID.count, SIZES["token_size"]), (SIZES["action_size"],), (SIZES["state_size"],))
    tokens, actions, states = (torch.randn(rows, frames, *size, dtype=torch.float64, generator=rng) for size in sizes)
    return [normalised(tokens), actions, states, torch.ones(rows, frames, dtype=torch.bool)]


@torch.no_grad()
@pytest.mark.parametrize("which", range(4), ids=["tokens", "actions", "states", "known"])
@pytest.mark.parametrize("frame", range(FRAMES))
def test_a_changed_frame_changes_itself_and_what_follows_and_nothing_before(which, frame):
    model, given = predictor(), inputs()
    before = model(*given)
    given[which] = given[which].clone()
    given[which][:, frame] = ~given[which][:, frame] if which == 3 else given[which][:, frame] + 1.0
    if which == 0:
        given[0] = given[0] * (1.0 + 0.3 * torch.arange(10))  # not a mere shift, which the normalisation would take out
        before = model(inputs()[0] * (1.0 + 0.3 * torch.arange(10)), *given[1:])
    after = model(*given)
    for old, new in zip(before, after, strict=True):
        assert torch.equal(old[:, :frame], new[:, :frame])
        assert all(not torch.allclose(old[:, t], new[:, t], atol=1e-9) for t in range(frame, FRAMES))


@torch.no_grad()
def test_every_token_of_a_frame_sees_all_of_its_frame():
    """The last patch reaches the first patch's prediction and the state's, and the action reaches every patch's."""
    model, given = predictor(depth=1), inputs(rows=1, frames=1)
    tokens, change = model(*given)
    moved = given[0].clone()
    moved[:, :, -1] = moved[:, :, -1].roll(1, -1)
    other_tokens, other_change = model(moved, *given[1:])
    assert not torch.allclose(tokens[:, :, 0], other_tokens[:, :, 0]) and not torch.allclose(change, other_change)
    acted = model(given[0], given[1] + 1.0, *given[2:])[0]
    assert ((acted - tokens).abs().amax(-1) > 1e-6).all()


def test_the_mask_equals_the_sentence():
    allowed = block_causal(3, 4)
    for i in range(12):
        assert allowed[i].tolist() == [j // 4 <= i // 4 for j in range(12)]


def test_patches_have_three_positions_and_controls_a_time_only():
    places = frame_positions(2, GRID.rows, GRID.columns)[0].unflatten(0, (2, -1))
    assert places[1, :2].tolist() == [[1, 0, 0], [1, 0, 0]]
    assert places[1, 2:].tolist() == [[1, row, column] for row in range(2) for column in range(3)]
    table = rotary_table(frame_positions(2, GRID.rows, GRID.columns), 12)
    assert (table.sin[0, 8 + 1, 4:] == 0).all() and (table.sin[0, 8 + 1, :4] != 0).any()


@torch.no_grad()
def test_only_differences_in_time_matter():
    """The last two frames alone, told as the first two, give what the same frames give where earlier ones cannot be seen."""
    model, given = predictor(depth=1), inputs()
    alone = model(*(one[:, 2:] for one in given))
    model.allowed[:, :] &= torch.arange(FRAMES).repeat_interleave(2 + GRID.count)[None, :] >= 2
    model.allowed |= torch.eye(len(model.allowed), dtype=torch.bool)
    late = model(*given)
    for short, long in zip(alone, late, strict=True):
        torch.testing.assert_close(short, long[:, 2:], atol=1e-5, rtol=0)  # positions are kept in float32


@torch.no_grad()
@pytest.mark.parametrize("predict_change", [True, False])
def test_what_is_predicted_is_normalised_and_begins_where_it_is(predict_change):
    model, given = predictor(loud=False, predict_change=predict_change), inputs()
    tokens, change = model(*given)
    torch.testing.assert_close(tokens.mean(-1), torch.zeros(2, FRAMES, GRID.count, dtype=torch.float64), atol=1e-6, rtol=0)
    assert (change == 0).all()
    assert torch.allclose(tokens, given[0], atol=1e-4) == predict_change
    torch.testing.assert_close(predictor()(*given)[0].std(-1, correction=0), torch.ones(2, FRAMES, GRID.count).double(), atol=1e-3, rtol=0)


@torch.no_grad()
def test_an_unknown_state_is_not_looked_at():
    model, given = predictor(), inputs()
    given[3][:, 1] = False
    blank = given[2].clone()
    blank[:, 1] = 100.0
    for one, other in zip(model(*given), model(given[0], given[1], blank, given[3]), strict=True):
        assert torch.equal(one, other)


@torch.no_grad()
def test_data_without_states():
    model, given = predictor(state_size=0), inputs()
    tokens, change = model(given[0], given[1], given[2][..., :0], ~given[3])
    assert tokens.shape == given[0].shape and change.shape == (2, FRAMES, 0)
