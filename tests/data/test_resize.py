"""Area resize against whole-number arithmetic."""

from fractions import Fraction

import numpy as np
import pytest

from armillary.data.resize import area_resize, overlap_weights


def exact(frame: np.ndarray, height: int, width: int) -> np.ndarray:
    """Naive: each output pixel is the sum of input pixels times the area they share with it, in fractions."""
    source_height, source_width, channels = frame.shape
    tall, wide = Fraction(source_height, height), Fraction(source_width, width)
    out = np.zeros((height, width, channels), dtype=np.uint8)
    for i in range(height):
        for j in range(width):
            for c in range(channels):
                total = Fraction(0)
                for y in range(int(i * tall), source_height):
                    share_y = min(y + 1, (i + 1) * tall) - max(y, i * tall)
                    if share_y <= 0:
                        break
                    for x in range(int(j * wide), source_width):
                        share_x = min(x + 1, (j + 1) * wide) - max(x, j * wide)
                        if share_x <= 0:
                            break
                        total += share_y * share_x * int(frame[y, x, c])
                out[i, j, c] = int(total / (tall * wide) + Fraction(1, 2))
    return out


@pytest.mark.parametrize("source,target", [((15, 20), (8, 8)), ((12, 16), (4, 4)), ((7, 11), (5, 3)), ((6, 5), (9, 10)), ((5, 5), (5, 2))])
def test_every_pixel_is_the_exact_mean_of_its_box(source, target):
    frames = np.random.default_rng(0).integers(0, 256, size=(3, *source, 3), dtype=np.uint8)
    resized = area_resize(frames, target)
    np.testing.assert_array_equal(resized, np.stack([exact(frame, *target) for frame in frames]))


def test_halves_are_rounded_up_whatever_the_chunk():
    frames = np.zeros((40, 300, 320, 3), dtype=np.uint8)
    frames[:, ::2] = 1
    assert (area_resize(frames, (150, 160)) == 1).all()


def test_the_same_size_is_the_same_picture_and_extremes_survive():
    frames = np.random.default_rng(1).integers(0, 256, size=(2, 9, 7, 3), dtype=np.uint8)
    np.testing.assert_array_equal(area_resize(frames, (9, 7)), frames)
    for value in (0, 255):
        assert (area_resize(np.full((1, 123, 77, 3), value, dtype=np.uint8), (64, 64)) == value).all()


def test_weights_are_whole_and_sum_to_the_box():
    weights = overlap_weights(480, 64)
    assert weights.shape == (2, 15)
    assert weights.sum(axis=1).tolist() == [15.0, 15.0]


def test_a_size_below_one_pixel_is_named():
    with pytest.raises(ValueError, match=r"\(0, 64\)"):
        area_resize(np.zeros((1, 4, 4, 3), dtype=np.uint8), (0, 64))
