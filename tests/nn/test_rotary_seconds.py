"""Rotary positions in seconds: what two tokens see of one another depends on the time between them, not on the frame rate."""

import pytest
import torch

from armillary.core import seeded
from armillary.nn.rope3d import rotary_table
from armillary.nn.rotary_seconds import TICKS_PER_SECOND, rotary_seconds

HEAD = 14  # three axes of four dimensions, two left alone


def logits(times_s, rows=2, columns=3):
    """Query-key products of one random vector at every place of every frame."""
    vector = torch.randn(HEAD, generator=seeded(0))
    table = rotary_seconds(torch.tensor([times_s]), rows=rows, columns=columns, head_size=HEAD)
    turned = table.rotate(vector.expand(1, len(times_s) * rows * columns, 1, HEAD))[0, :, 0]
    return turned @ turned.T


def test_whole_ticks_are_the_3d_table_of_whole_positions():
    place = torch.cartesian_prod(torch.arange(2), torch.arange(2), torch.arange(3))[None]
    expected = rotary_table(place, HEAD)
    found = rotary_seconds(torch.tensor([[0.0, 1.0 / TICKS_PER_SECOND]]), rows=2, columns=3, head_size=HEAD)
    assert torch.allclose(found.cos, expected.cos, atol=1e-6)
    assert torch.allclose(found.sin, expected.sin, atol=1e-6)


def test_the_frame_rate_does_not_matter_but_the_seconds_do():
    """Frames at 0 and 0.2 s of a film at 5 frames a second are the first and third at 10."""
    slow, fast = logits([0.0, 0.2]), logits([0.0, 0.1, 0.2])
    chosen = torch.cat([torch.arange(6), torch.arange(12, 18)])
    assert torch.allclose(slow, fast[chosen][:, chosen], atol=1e-5)
    assert not torch.allclose(slow, logits([0.0, 0.1]), atol=1e-2)


def test_only_differences_of_time_matter():
    assert torch.allclose(logits([0.0, 0.3]), logits([2.5, 2.8]), atol=1e-4)


def test_a_turn_keeps_lengths_and_spares_what_is_left_over():
    vector = torch.randn(1, 6, 1, HEAD, generator=seeded(1))
    turned = rotary_seconds(torch.tensor([[0.7]]), rows=2, columns=3, head_size=HEAD).rotate(vector)
    assert torch.allclose(turned.norm(dim=-1), vector.norm(dim=-1), atol=1e-5)
    assert torch.equal(turned[..., 12:], vector[..., 12:])


def test_small_heads_are_refused():
    with pytest.raises(ValueError, match="6 or more; received 4"):
        rotary_seconds(torch.zeros(1, 1), rows=1, columns=1, head_size=4)
