"""Rotary positions: logits know only differences, the loop written out agrees, and the released convention is as it is."""

import math

import pytest
import torch

from armillary.core import seeded
from armillary.nn.rope3d import RotaryTable, axis_size, rotary_table

HEAD = 16  # 3 axes of 4 dimensions, 4 that are not turned


def logits(table: RotaryTable, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
    return torch.einsum("bnd,bmd->bnm", table.rotate(query), table.rotate(key))


def shifted(positions: torch.Tensor, by: tuple[int, int, int], convention: str) -> torch.Tensor:
    rng = seeded(0)
    query, key = (torch.randn(1, 1, HEAD, generator=rng).expand(1, positions.shape[1], HEAD) for _ in range(2))
    there, here = (rotary_table(p, HEAD, convention=convention) for p in (positions + torch.tensor(by), positions))
    return (logits(there, query, key) - logits(here, query, key)).abs().max()


POSITIONS = torch.tensor([[[0, 0, 0], [1, 4, 2], [3, 0, 7], [5, 6, 1]]])


def test_logits_depend_on_differences_of_positions_only():
    assert shifted(POSITIONS, (2, 5, 3), "exact") < 1e-5


def test_the_released_convention_is_no_rotation():
    assert shifted(POSITIONS, (2, 5, 3), "released") > 0.1


def test_each_axis_matters():
    table = rotary_table(torch.tensor([[[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]]), HEAD)
    ones = torch.ones(1, 4, HEAD)
    turned = table.rotate(ones)[0]
    assert all(not torch.allclose(turned[0], turned[i]) for i in (1, 2, 3))
    assert torch.equal(turned[:, 3 * axis_size(HEAD) :], ones[0, :, 3 * axis_size(HEAD) :])
    assert torch.allclose(turned.norm(dim=-1), ones[0].norm(dim=-1))


@pytest.mark.parametrize("convention", ["exact", "released"])
def test_it_equals_planes_turned_one_by_one(convention):
    size, half = axis_size(HEAD), axis_size(HEAD) // 2
    value = torch.randn(HEAD, dtype=torch.float64, generator=seeded(1))
    position = (3, 1, 6)
    expected = value.clone()
    for axis in range(3):
        for plane in range(half):
            first = axis * size + 2 * plane
            numbers = (plane, plane) if convention == "exact" else ((2 * plane) % half, (2 * plane + 1) % half)
            a, b = (position[axis] * 10_000.0 ** (-number / half) for number in numbers)
            expected[first] = value[first] * math.cos(a) - value[first + 1] * math.sin(a)
            expected[first + 1] = value[first + 1] * math.cos(b) + value[first] * math.sin(b)
    ours = rotary_table(torch.tensor([[position]]), HEAD, convention=convention).rotate(value[None, None])
    torch.testing.assert_close(ours[0, 0], expected, atol=1e-6, rtol=0)


def test_heads_between_share_the_positions():
    table = rotary_table(POSITIONS, HEAD)
    many = torch.randn(2, 4, 3, 5, HEAD, generator=seeded(2))
    torch.testing.assert_close(table.rotate(many)[:, :, 1, 2], table.rotate(many[:, :, 1, 2]))
    index = torch.tensor([[2, 0], [3, 1]])
    one = many[:, :, 0, 0]
    picked = one.gather(1, index[..., None].expand(-1, -1, HEAD))
    torch.testing.assert_close(table.take(index).rotate(picked)[1, 0], table.rotate(one)[1, 3])


@pytest.mark.parametrize(
    ("size", "convention", "words"), [(4, "exact", "received 4"), (15, "exact", "received 15"), (16, "half", "'half'")]
)
def test_what_cannot_be_turned_is_refused(size, convention, words):
    with pytest.raises(ValueError, match=words):
        rotary_table(POSITIONS, size, convention=convention)
