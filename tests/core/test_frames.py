"""The one converter between pictures on disk and pictures in models."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from armillary.core import to_disk, to_model


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(1, 3), max_size=2))
def test_uint8_survives_the_round_trip(seed, lead):
    frames = np.random.default_rng(seed).integers(0, 256, (*lead, 4, 5, 3), dtype=np.uint8)
    model = to_model(frames)
    assert model.shape == (*lead, 3, 4, 5)
    assert np.array_equal(to_disk(model), frames)


def test_every_level_and_both_ends():
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    model = to_model(levels)
    assert model.min() == 0.0 and model.max() == 1.0
    assert np.array_equal(to_disk(model), levels)


def test_rows_columns_and_channels_go_where_they_belong():
    frame = np.zeros((4, 5, 3), dtype=np.uint8)
    frame[1, 2, 0] = 255
    assert to_model(frame)[0, 1, 2] == 1.0
    assert to_model(frame).sum() == 1.0


def test_out_of_range_is_clipped_and_nothing_wraps():
    frames = torch.tensor([-0.5, 1.5, 0.999]).reshape(3, 1, 1)
    assert to_disk(frames)[0, 0].tolist() == [0, 255, 255]


def test_the_source_is_not_written_to():
    frames = np.full((2, 2, 3), 7, dtype=np.uint8)
    to_model(frames)
    tensor = torch.full((3, 2, 2), 1.5)
    to_disk(tensor)
    assert (frames == 7).all() and (tensor == 1.5).all()
