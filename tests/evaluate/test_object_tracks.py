"""Following coloured squares whose places are known by hand."""

import numpy as np
import pytest

from armillary.evaluate.object_tracks import track, tracks_of

SIZE = 24
PLATE = np.full((3, SIZE, SIZE), 0.8, dtype=np.float32)
RED, BLUE = np.array([[0.9, 0.1, 0.1]], dtype=np.float32), np.array([[0.1, 0.2, 0.9]], dtype=np.float32)


def film(ways, colours, side=4):
    """Frames and exact masks of squares whose upper left corners (x, y) are told step by step; later squares cover earlier ones."""
    steps = len(ways[0])
    frames, masks = np.repeat(PLATE[None], steps, axis=0).copy(), np.zeros((steps, len(ways), SIZE, SIZE), dtype=bool)
    for t in range(steps):
        for number, (way, colour) in enumerate(zip(ways, colours, strict=True)):
            x, y = way[t]
            frames[t, :, y : y + side, x : x + side] = colour[0][:, None, None]
            masks[t, :, y : y + side, x : x + side] = False
            masks[t, number, y : y + side, x : x + side] = True
    return frames, masks


def test_squares_are_found_where_they_are():
    frames, masks = film([[(2 * t, 3) for t in range(8)], [(18, 2 * t) for t in range(8)]], [RED, BLUE])
    found = track(frames[1:], masks[:1], PLATE, [RED, BLUE])
    assert (found.masks == masks[1:]).all()
    assert found.centres[2, 0] == pytest.approx([2 * 3 + 1.5, 3 + 1.5])


def test_two_of_one_colour_are_told_apart_by_where_they_were():
    ways = [[(2 * t, 2) for t in range(8)], [(2 * t, 14) for t in range(8)]]
    frames, masks = film(ways, [RED, RED])
    assert (track(frames[2:], masks[:2], PLATE, [RED, RED]).masks == masks[2:]).all()


def test_an_object_that_jumps_is_found_again_by_its_colour():
    frames, masks = film([[(0, 0)] + [(19, 19)] * 3], [RED])
    assert (track(frames[1:], masks[:1], PLATE, [RED]).masks == masks[1:]).all()


def test_a_mixture_at_an_edge_belongs_to_a_neighbour_and_not_to_a_third_object():
    """Red over blue is nearly the colour of the third square, which lies elsewhere."""
    third, mixed = (RED + BLUE) / 2, 0.65 * RED + 0.35 * BLUE
    frames, masks = film([[(4, 4)] * 2, [(9, 4)] * 2, [(4, 16)] * 2], [RED, BLUE, third])
    frames[1, :, 4:8, 8] = mixed[0][:, None]
    found = track(frames[1:], masks[:1], PLATE, [RED, BLUE, third]).masks[0]
    assert found[0, 4:8, 8].all() and not found[2, 4:8, 8].any()


def test_what_vanished_is_not_found_and_what_was_never_seen_is_not_looked_for():
    frames, masks = film([[(4, 4)] * 3, [(12, 12)] * 3], [RED, BLUE])
    masks[0, 1] = False
    frames[2] = PLATE
    found = track(frames[1:], masks[:1], PLATE, [RED, BLUE])
    assert found.found.tolist() == [[True, False], [False, False]]


def test_half_blurred_frames_give_the_same_edges():
    """An edge pixel of less than half an object's colour is the background's, of more the object's."""
    frames, masks = film([[(8, 8)] * 2], [RED])
    frames[1, :, 8:12, 7] = 0.4 * RED[0][:, None] + 0.6 * 0.8
    frames[1, :, 8:12, 12] = 0.6 * RED[0][:, None] + 0.4 * 0.8
    found = track(frames[1:], masks[:1], PLATE, [RED]).masks[0, 0]
    assert not found[8:12, 7].any() and found[8:12, 12].all()


def test_a_third_of_an_object_still_counts_as_found():
    first = np.zeros((1, SIZE, SIZE), dtype=bool)
    first[0, :3, :3] = True
    seen = np.zeros((3, 1, SIZE, SIZE), dtype=bool)
    seen[0, 0, :3, :3] = seen[1, 0, 0, :3] = seen[2, 0, 0, :2] = True
    assert tracks_of(seen, first).found[:, 0].tolist() == [True, True, False]
