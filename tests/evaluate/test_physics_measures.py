"""What tracks say about physics, against motions whose energy, momentum and contacts are known by hand."""

import numpy as np
import pytest

from armillary.evaluate.object_tracks import Tracks
from armillary.evaluate.physics_measures import Scales, compared, contact_error_s, contact_step, energy, kept, momentum, overlap

G, STEP_S, PIXEL_M = 9.81, 0.03, 0.02
ONE = Scales(metres_per_pixel=PIXEL_M, height_px=64, seconds_per_step=STEP_S, masses_kg=np.array([2.0]))


def fall(steps=12, from_px=8.0):
    """Centres (x, y) of a free fall from rest, exact."""
    t = np.arange(steps) * STEP_S
    return np.stack([np.full(steps, 30.0), from_px + G * t**2 / 2 / PIXEL_M], axis=-1)[:, None]


def test_a_free_fall_keeps_its_energy():
    # A parabola's chord is its slope in the middle, so that kinetic energy there is exact; the mean height of both ends is g dt^2 / 8 low.
    found = energy(fall(), ONE)
    assert np.ptp(found) < 1e-12
    lifted = (64 - 8.0) * PIXEL_M - G * STEP_S**2 / 8
    assert found[0] == pytest.approx(lifted / (64 * PIXEL_M))


def test_momentum_of_a_fall_grows_by_g():
    found = momentum(fall(), ONE)
    assert np.diff(found[:, 1]) == pytest.approx(G * STEP_S / np.sqrt(2 * G * 64 * PIXEL_M))
    assert found[:, 0] == pytest.approx(0.0)


def test_two_that_part_have_no_momentum_together():
    way = np.arange(5.0)
    places = np.stack([np.stack([30 + way, np.full(5, 9.0)], -1), np.stack([30 - 2 * way, np.full(5, 9.0)], -1)], axis=1)
    two = Scales(**(vars(ONE) | {"masses_kg": np.array([2.0, 1.0])}))
    assert momentum(places, two) == pytest.approx(0.0)
    assert (energy(places, two) > energy(places * 0 + places[:1], two)).all()


def test_contact_is_where_the_velocity_jumps_first():
    y = np.array([0, 2, 4, 6, 6, 6, 6.0])
    places = np.stack([np.zeros(7), y], axis=-1)[:, None]
    assert contact_step(places) == [3.0]
    assert contact_step(places / 10) == [np.inf]  # slower than LEAST_JUMP_PX: nothing is said
    later = np.stack([np.zeros(7), [0, 2, 4, 6, 8, 8, 8]], axis=-1)[:, None]
    assert contact_error_s(later, places, STEP_S) == pytest.approx(STEP_S)
    assert contact_error_s(places * 0, places, STEP_S) == pytest.approx(6 * STEP_S)  # none in the dream: the whole clip
    assert np.isnan(contact_error_s(places, places * 0, STEP_S))


def test_overlap_by_hand():
    told, true = np.zeros((2, 2, 4, 4), dtype=bool), np.zeros((2, 2, 4, 4), dtype=bool)
    true[0, 0, 0, :4] = told[0, 0, 0, 1:4] = True  # 3 of 4
    told[1, 0, 1, 1] = True  # nothing to be seen in truth: not counted
    true[0, 1, 3, 3] = True  # not judged
    assert overlap(told, true, np.array([True, False])) == pytest.approx(0.75)
    assert np.isnan(overlap(told, true, np.array([False, False])))


def test_what_is_lost_stays_where_it_was():
    centres = np.array([[[1.0, 2.0]], [[np.nan, np.nan]], [[3.0, 4.0]]])
    assert kept(centres, np.zeros((1, 2)))[:, 0].tolist() == [[0, 0], [1, 2], [1, 2], [3, 4]]


def test_the_truth_has_no_error_and_standing_still_loses_the_fall():
    masks = np.zeros((11, 1, 64, 64), dtype=bool)
    for t, (_, y) in enumerate(fall()[1:, 0]):
        masks[t, 0, round(y) : round(y) + 4, 20:24] = True
    true = Tracks(masks=masks, centres=fall()[1:])
    first, judged = fall()[0], np.array([True])
    perfect = compared(true, true, first, judged, ONE)
    assert perfect["iou"] == 1.0 and perfect["energy_error"] == perfect["momentum_error"] == perfect["count_error"] == 0.0
    still = Tracks(masks=np.repeat(masks[:1], 11, axis=0), centres=np.repeat(first[None], 11, axis=0))
    found = compared(still, true, first, judged, ONE)
    assert found["iou"] < 0.3 and found["momentum_error"] > 0.2
    assert found["energy_error"] == pytest.approx(G * STEP_S**2 / 8 / 64 / PIXEL_M, rel=1e-6)  # at rest up there it has as much
