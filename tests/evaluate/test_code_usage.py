"""Code usage against counts by hand, and its honest limits."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from armillary.core import ConfigError, DataError, seeded
from armillary.evaluate.code_usage import CodeCounts, CodeUsage, bits_per_code, bits_per_pixel


def usage(codes: torch.Tensor, num_codes: int) -> CodeUsage:
    seen = CodeCounts(num_codes)
    seen.update(codes)
    return seen.usage()


def test_counts_by_hand():
    found = usage(torch.tensor([[3, 3, 3, 3], [0, 0, 5, 7]]), 10)
    assert (found.num_codes, found.num_positions, found.num_used) == (10, 8, 4)
    assert found.entropy_bits == pytest.approx(0.5 * 1 + 0.25 * 2 + 2 * 0.125 * 3)
    assert found.perplexity == pytest.approx(2**1.75)
    assert found.share == pytest.approx(4 / 8)  # ten codes cannot be seen at eight places


@given(st.lists(st.integers(0, 11), min_size=1, max_size=60), st.integers(1, 7))
def test_pieces_make_the_whole(codes, size):
    pieces = CodeCounts(12)
    for start in range(0, len(codes), size):
        pieces.update(torch.tensor(codes[start : start + size]))
    whole = usage(torch.tensor(codes), 12)
    assert pieces.usage() == whole
    assert whole.num_used == len(set(codes))
    assert 1.0 - 1e-9 <= whole.perplexity <= whole.num_used + 1e-9


def test_all_as_frequent_is_the_most_and_one_code_the_least():
    even, alone = usage(torch.arange(64).repeat(5), 64), usage(torch.zeros(9, dtype=torch.int64), 64)
    assert (even.share, even.perplexity) == (1.0, pytest.approx(64.0)) and even.entropy_bits == pytest.approx(bits_per_code(64))
    assert (alone.share, alone.perplexity, alone.entropy_bits) == (pytest.approx(1 / 9), 1.0, 0.0)


@pytest.mark.parametrize(("num_codes", "num_positions"), [(50, 20), (50, 50), (50, 150), (1, 3)])
def test_what_uniform_draws_would_show(num_codes, num_positions):
    codes = np.random.default_rng(0).integers(num_codes, size=(4000, num_positions))
    mean = np.mean([len(set(row)) for row in codes.tolist()]) / min(num_codes, num_positions)
    of = CodeUsage(num_codes=num_codes, num_positions=num_positions, num_used=1, entropy_bits=0.0)
    assert of.uniform_share == pytest.approx(mean, abs=0.005)


def test_few_places_hide_idle_codes():
    """Half of the codes lie idle; as many places as codes do not tell, many do."""
    codes = torch.randint(500, (20_000,), generator=seeded(0))
    few, many = usage(codes[:300], 1000), usage(codes, 1000)
    assert few.share > 0.7 and few.uniform_share - few.share < 0.15
    assert many.share == pytest.approx(0.5) and many.uniform_share > 0.99


def test_counts_of_processes_add_up():
    codes = torch.randint(20, (100,), generator=seeded(1))
    first, second = CodeCounts(20), CodeCounts(20)
    first.update(codes[:30])
    second.update(codes[30:])
    first.counts += second.counts
    assert first.usage() == usage(codes, 20)


def test_bits():
    assert bits_per_code(1) == 0.0 and bits_per_code(1024) == 10.0
    assert bits_per_code(64_000) == pytest.approx(3 * math.log2(8) + 3 * math.log2(5))
    # an image is one layer of codes, 8x8 pixels each; 17 frames are five layers
    assert bits_per_pixel(64_000, num_positions=16 * 16, num_pixels=128 * 128) == pytest.approx(15.966 / 64, abs=1e-4)
    assert bits_per_pixel(1024, num_positions=5 * 4, num_pixels=17 * 16 * 16) == pytest.approx(200 / 4352)


def test_what_cannot_be_counted_is_refused():
    with pytest.raises(DataError, match="no code was counted"):
        CodeCounts(4).usage()
    seen = CodeCounts(4)
    with pytest.raises(DataError, match="between 0 and 3, received 1 to 4"):
        seen.update(torch.tensor([1, 4]))
    assert int(seen.counts.sum()) == 0
    with pytest.raises(ConfigError, match="received 0"):
        CodeCounts(0)
    with pytest.raises(ConfigError, match="received -3"):
        bits_per_code(-3)
    with pytest.raises(ConfigError, match="received 0 and 5"):
        bits_per_pixel(8, num_positions=5, num_pixels=0)
