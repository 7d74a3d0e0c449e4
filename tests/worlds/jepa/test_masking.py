"""Masks: complements of one another, through all of time, of the published shares, and the same for the same seed."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from armillary.core import WorldError, seeded
from armillary.worlds.jepa.masking import PUBLISHED, BlockMask, FutureMask, draw_masking, draw_maskings
from armillary.worlds.jepa.vit import TokenGrid

GRID = TokenGrid(times=8, rows=16, columns=16)


def cells(tokens: torch.Tensor, grid: TokenGrid) -> list[set[int]]:
    return [set((row % (grid.rows * grid.columns)).tolist()) for row in tokens]


@given(
    rows=st.integers(2, 12), columns=st.integers(2, 12), times=st.integers(1, 4), batch=st.integers(1, 5), seed=st.integers(0, 999),
    mask=st.sampled_from(PUBLISHED),
)  # fmt: skip
def test_seen_and_hidden_never_meet_and_last_through_all_times(rows, columns, times, batch, seed, mask):
    grid = TokenGrid(times=times, rows=rows, columns=columns)
    masking = draw_masking(mask, grid, batch, seeded(seed))
    for tokens in (masking.visible, masking.hidden):
        assert tokens.shape[1] > 0 and tokens.min() >= 0 and tokens.max() < grid.count
        assert (tokens.diff(dim=1) > 0).all()
        assert all(len(cell) * times == tokens.shape[1] for cell in cells(tokens, grid))
    assert all(not seen & hidden for seen, hidden in zip(cells(masking.visible, grid), cells(masking.hidden, grid), strict=True))


@given(rows=st.integers(1, 6), columns=st.integers(1, 6), times=st.integers(2, 5), batch=st.integers(1, 4), seed=st.integers(0, 999))
def test_what_comes_next_is_asked_for_and_all_before_it_is_seen(rows, columns, times, batch, seed):
    grid = TokenGrid(times=times, rows=rows, columns=columns)
    masking, size = draw_masking(FutureMask(), grid, batch, seeded(seed)), rows * columns
    first, rest = divmod(masking.visible.shape[1], size)
    assert rest == 0 and 1 <= first < times
    assert torch.equal(masking.visible, torch.arange(first * size).expand(batch, -1))
    assert masking.hidden.min() >= first * size and masking.hidden.max() < grid.count
    assert (masking.hidden.diff(dim=1) > 0).all()
    asked = max(size // 2, 1)
    assert masking.hidden.shape == (batch, (times - first) * asked)
    assert all(len(cell) == asked for cell in cells(masking.hidden, grid))


def test_what_comes_next_begins_anywhere_and_each_video_is_asked_for_other_places():
    drawn = [draw_masking(FutureMask(), GRID, 2, seeded(seed)) for seed in range(60)]
    assert {one.visible.shape[1] // 256 for one in drawn} == set(range(1, GRID.times))
    assert not torch.equal(*drawn[0].hidden)
    with pytest.raises(WorldError, match="two tubelets"):
        draw_masking(FutureMask(), TokenGrid(times=1, rows=4, columns=4), 2, seeded(0))


@pytest.mark.parametrize("mask", PUBLISHED)
def test_of_one_video_both_make_the_whole(mask):
    masking = draw_masking(mask, GRID, 1, seeded(0))
    assert torch.equal(torch.cat([masking.visible, masking.hidden], dim=1).sort(dim=1).values[0], torch.arange(GRID.count))


@pytest.mark.parametrize(("mask", "low", "high"), [(PUBLISHED[0], 0.60, 0.75), (PUBLISHED[1], 0.75, 0.95)])
def test_shares_are_those_of_the_union_of_blocks(mask, low, high):
    """8 blocks of 0.15, placed at random, cover about 1 - exp(-8 * 0.15) of the picture; 2 of 0.7 mostly overlap."""
    rng = seeded(1)
    share = torch.tensor([draw_masking(mask, GRID, 1, rng).hidden.shape[1] / GRID.count for _ in range(200)])
    assert low < share.mean() < high


def test_a_single_block_has_its_area_and_aspect_ratio():
    rng, mask = seeded(2), BlockMask(blocks=1, area=0.15)
    for _ in range(50):
        hidden = draw_masking(mask, GRID, 1, rng).hidden[0, :]
        (one,) = cells(hidden[None], GRID)
        rows, columns = {cell // 16 for cell in one}, {cell % 16 for cell in one}
        assert len(one) == len(rows) * len(columns) == (max(rows) - min(rows) + 1) * (max(columns) - min(columns) + 1)
        assert abs(len(one) - 0.15 * 256) <= 6
        assert 0.6 <= len(rows) / len(columns) <= 1.8


def test_blocks_reach_every_cell():
    rng, seen = seeded(3), set()
    for _ in range(100):
        seen |= cells(draw_masking(PUBLISHED[0], GRID, 1, rng).hidden, GRID)[0]
    assert len(seen) == 256


def test_no_masking_shows_less_than_asked():
    grid, rng = TokenGrid(times=1, rows=8, columns=8), seeded(4)
    shown = [draw_masking(PUBLISHED[1], grid, 16, rng, least_visible=0.1).visible.shape[1] for _ in range(50)]
    assert min(shown) >= 7


def test_the_seed_decides():
    first, again, other = (draw_maskings(PUBLISHED, GRID, 3, seeded(seed)) for seed in (5, 5, 6))
    assert all(torch.equal(a.visible, b.visible) and torch.equal(a.hidden, b.hidden) for a, b in zip(first, again, strict=True))
    assert any(a.visible.shape != b.visible.shape or not torch.equal(a.visible, b.visible) for a, b in zip(first, other, strict=True))
    assert not torch.equal(first[0].visible[0], first[0].visible[1])


@pytest.mark.parametrize(
    "wrong", [{"blocks": 0, "area": 0.1}, {"blocks": 1, "area": 1.5}, {"blocks": 1, "area": 0.1, "aspect_ratio": (2.0, 1.0)}]
)
def test_masks_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError, match="received"):
        BlockMask(**wrong)
