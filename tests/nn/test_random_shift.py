"""A random shift moves whole windows by whole pixels."""

import torch

from armillary.core import seeded
from armillary.nn.random_shift import random_shift


def test_whole_pixels_each_way_and_no_more_than_asked():
    frames = torch.zeros(64, 1, 3, 64, 64)
    frames[..., 32, 32] = 1.0
    moved = random_shift(frames, 4, seeded(2))
    assert torch.equal(moved.sum((1, 2, 3, 4)), frames.sum((1, 2, 3, 4)))
    places = torch.stack([(place - 32) for place in moved[:, 0, 0].nonzero()[:, 1:]])
    assert len(places.unique(dim=0)) > 10
    assert (places.amin(0) == -4).all() and (places.amax(0) == 4).all()


def test_every_frame_of_a_window_moves_the_same_way_and_the_border_is_repeated():
    ramp = torch.arange(8.0).expand(1, 3, 3, 8, 8)  # every column is its number
    for seed in range(20):
        moved = random_shift(ramp, 2, seeded(seed))
        assert torch.equal(moved, moved[:, :1].expand_as(moved))
        row = moved[0, 0, 0, 0]
        step = int(row[4] - 4)
        assert torch.equal(row, (torch.arange(8) + step).clamp(0, 7).float())


def test_a_shift_of_nothing_changes_nothing():
    frames = torch.rand(3, 2, 3, 8, 8)
    assert torch.equal(random_shift(frames, 0, seeded(0)), frames)
