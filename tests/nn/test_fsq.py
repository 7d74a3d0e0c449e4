"""Finite scalar quantisation against a loop over plain numbers."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from armillary.core import ConfigError, seeded
from armillary.nn.fsq import Fsq

COSMOS = (8, 8, 8, 5, 5, 5)


def by_hand(numbers: list[float], levels: tuple[int, ...]) -> tuple[list[float], int]:
    """The values and the code of one latent, number by number (section 3.1 and appendix A.1 of the paper)."""
    values, code, place_value = [], 0, 1
    for number, count in zip(numbers, levels, strict=True):
        half_range = (count - 1) * 1.001 / 2
        down = 0.5 if count % 2 == 0 else 0.0
        level = round(math.tanh(number + math.atanh(down / half_range)) * half_range - down)
        values.append(level / (count // 2))
        code += (level + count // 2) * place_value
        place_value *= count
    return values, code


@pytest.mark.parametrize("levels", [COSMOS, (2, 3, 4, 7), (16,)])
def test_it_equals_the_loop(levels):
    z = 1.5 * torch.randn(300, len(levels), generator=seeded(0), dtype=torch.float64)
    made = Fsq(levels).quantise(z)
    for row in range(len(z)):
        values, code = by_hand(z[row].tolist(), levels)
        assert made.z[row].tolist() == pytest.approx(values, abs=1e-12)
        assert int(made.codes[row]) == code


@pytest.mark.parametrize("levels", [(3,), (2, 2), (4, 3, 5), (8, 5, 2)])
def test_every_code_can_be_reached_and_stands_for_its_own_latent(levels):
    fsq, num_codes = Fsq(levels), math.prod(levels)
    assert (fsq.num_codes, fsq.size) == (num_codes, len(levels))
    # A fine grid of latents meets them all.
    grid = torch.tensor(list(itertools.product(torch.linspace(-8, 8, 45).tolist(), repeat=len(levels))))
    assert sorted(set(fsq.quantise(grid).codes.tolist())) == list(range(num_codes))
    latents = fsq.codes_to_z(torch.arange(num_codes))
    assert len({tuple(row) for row in latents.tolist()}) == num_codes
    digits = torch.tensor(list(itertools.product(*(range(count) for count in reversed(levels))))).flip(1)  # the first is the fastest
    half = torch.tensor([count // 2 for count in levels])
    torch.testing.assert_close(latents, (digits - half) / half, rtol=0.0, atol=0.0)


def test_all_of_cosmos_codes_come_back():
    fsq = Fsq(COSMOS)
    assert fsq.num_codes == 64_000
    codes = torch.arange(64_000)
    half = torch.tensor(COSMOS) // 2
    # What the bound makes of these is the level itself: its inverse, number by number.
    levels = (fsq.codes_to_z(codes) * half).double()
    half_range = (torch.tensor(COSMOS).double() - 1) * 1.001 / 2
    down = torch.where(torch.tensor(COSMOS) % 2 == 0, 0.5, 0.0)
    z = torch.atanh((levels + down) / half_range) - torch.atanh(down / half_range)
    made = fsq.quantise(z.float())
    assert torch.equal(made.codes, codes)
    assert torch.equal(made.z, fsq.codes_to_z(codes))


@given(st.lists(st.integers(2, 40), min_size=1, max_size=6), st.integers(0, 2**40))
def test_codes_and_digits_are_one_number(levels, number):
    fsq = Fsq(levels)
    code = number % fsq.num_codes
    values = fsq.codes_to_z(torch.tensor([code]))[0].tolist()
    digits = [round(value * (count // 2)) + count // 2 for value, count in zip(values, levels, strict=True)]
    assert all(0 <= digit < count for digit, count in zip(digits, levels, strict=True))
    assert sum(digit * math.prod(levels[:place]) for place, digit in enumerate(digits)) == code


@pytest.mark.parametrize("count", [2, 3, 8, 999, 1000])
def test_the_bound_ends_at_the_outermost_levels_and_keeps_zero(count):
    fsq = Fsq((count,))
    z = torch.tensor([[-math.inf], [-50.0], [0.0], [50.0], [math.inf]])
    low, high = -(count // 2), (count - 1) // 2
    assert fsq.bound(z).round().flatten().tolist() == [low, low, 0, high, high]
    assert abs(float(fsq.bound(z)[2])) < 1e-4
    rising = fsq.bound(torch.linspace(-3, 3, 200)[:, None]).flatten()
    assert bool((rising.diff() > 0).all())


def test_the_gradient_is_that_of_the_bound():
    fsq, weight = Fsq((8, 5)), torch.randn(40, 2, generator=seeded(1), dtype=torch.float64)
    z = torch.randn(40, 2, generator=seeded(2), dtype=torch.float64, requires_grad=True)
    (fsq.quantise(z).z * weight).sum().backward()
    passed = z.grad.clone()
    half = torch.tensor([4, 2])
    (direct,) = torch.autograd.grad((fsq.bound(z) / half * weight).sum(), z)
    torch.testing.assert_close(passed, direct, rtol=1e-12, atol=0.0)
    # d/dz of R tanh(z + s) is R (1 - tanh(z + s)^2)
    half_range, shift = torch.tensor([3.5035, 2.002]).double(), torch.tensor([math.atanh(0.5 / 3.5035), 0.0]).double()
    slope = half_range * (1 - torch.tanh(z.detach() + shift) ** 2)
    torch.testing.assert_close(passed, slope / half * weight, rtol=1e-6, atol=0.0)


def test_nothing_is_learned_or_kept():
    fsq = Fsq(COSMOS)
    assert not fsq.state_dict() and not list(fsq.parameters()) and not fsq.quantise(torch.zeros(1, 6)).losses


@pytest.mark.parametrize("levels", [(), (8, 1), (1001,), (0,), (1000,) * 7])
def test_levels_that_make_no_codes_are_refused(levels):
    with pytest.raises(ConfigError, match="one whole number from 2 to 1000 a channel") as failure:
        Fsq(levels)
    assert str(levels) in str(failure.value)
