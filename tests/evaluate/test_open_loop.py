"""The open-loop protocol on a world whose truth is known by hand: alignment, wrong actions, intervals, faults."""

import math

import numpy as np
import pytest
import torch

from armillary.core import DataError, WorldError
from armillary.evaluate.baselines import average_frame
from armillary.evaluate.open_loop import Protocol, evaluate_open_loop, plan_windows
from tests.evaluate.toy import CAMERA, SIZE, STEP_S, Levels, walk

GRAY = np.full((SIZE, SIZE, 3), 0.5, np.float32)
EPISODES = [walk(index) for index in range(5)]


def judge(world, episodes=EPISODES, **options):
    return evaluate_open_loop(world, episodes, camera=CAMERA, mean_frame=GRAY, **options)


def test_a_perfect_world_is_perfect_and_wrong_actions_break_it():
    result = judge(Levels())
    assert result.estimate("psnr", "model", 2.0).value > 90
    assert result.estimate("psnr", "shuffled_actions", 1.0).value < 40
    assert result.gain("psnr", "model", "shuffled_actions", 1.0).low > 30


def test_a_world_that_ignores_its_actions_is_caught():
    result = judge(Levels(obeys=0.0))
    found = result.gain("psnr", "model", "shuffled_actions", 1.0)
    assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)
    assert result.gain("psnr", "model", "copy_last", 2.0).value == pytest.approx(0.0, abs=1e-4)


def test_copy_last_and_mean_frame_by_hand():
    episode = walk(0, length=40)
    result = judge(Levels(), [episode, walk(1)], protocol=Protocol(starts_every_s=10.0))
    level = episode.frames[CAMERA][:, 0, 0, 0] / 255
    last, future = level[4], level[5:25]
    assert result.curves["psnr"]["copy_last"][0] == pytest.approx(
        [min(-20 * math.log10(abs(last - x) + 1e-9), 100) for x in future], abs=1e-2
    )
    assert result.curves["psnr"]["mean_frame"][0] == pytest.approx([-20 * math.log10(abs(0.5 - x) + 1e-9) for x in future], abs=1e-2)


def test_rows_have_the_documented_form():
    rows = judge(Levels()).rows()
    assert {tuple(row) for row in rows} == {("metric", "horizon_s", "subject", "value", "low", "high", "n")}
    subjects = {row["subject"] for row in rows if row["metric"] == "psnr"}
    assert subjects == {"model", "shuffled_actions", "copy_last", "mean_frame", "constant_velocity"}
    assert {row["horizon_s"] for row in rows} == {0.5, 1.0, 1.5, 2.0}
    assert all(row["n"] == 5 and row["low"] <= row["value"] + 1e-9 and row["value"] <= row["high"] + 1e-9 for row in rows)
    assert {"psnr_gain_over_copy_last", "psnr_gain_over_shuffled_actions", "ssim_gain_over_copy_last"} <= {row["metric"] for row in rows}


def test_differences_are_paired_within_episodes():
    result = judge(Levels(obeys=0.5))
    difference = result.curves["psnr"]["model"][:, 9] - result.curves["psnr"]["copy_last"][:, 9]
    found = result.gain("psnr", "model", "copy_last", 1.0)
    assert found.value == pytest.approx(difference.mean())
    assert difference.min() - 1e-9 <= found.low <= found.high <= difference.max() + 1e-9


def test_every_window_counts_once_whatever_the_batch_size():
    one, many = judge(Levels(obeys=0.7), batch_size=1), judge(Levels(obeys=0.7), batch_size=64)
    assert one.windows == many.windows == (8, 8, 8, 8, 8)
    for subject in one.subjects:
        assert np.allclose(one.curves["psnr"][subject], many.curves["psnr"][subject], atol=1e-3)


def test_donors_are_a_derangement_at_the_same_offset_or_the_last_possible():
    episodes = [walk(0, 60), walk(1, 30), walk(2, 60)]
    windows, notes = plan_windows(episodes, 5, 20, Protocol(), STEP_S, seed=0)
    assert notes == ()
    donors = {window.episode: window.donor_episode for window in windows}
    assert sorted(donors.values()) == [0, 1, 2] and all(mine != other for mine, other in donors.items())
    for window in windows:
        assert window.donor_start == min(window.start, len(episodes[window.donor_episode]) - 25)
    assert windows == plan_windows(episodes, 5, 20, Protocol(), STEP_S, seed=0)[0]


def test_one_episode_borrows_from_far_away_and_says_so():
    result = judge(Levels(), [walk(3, 80)])
    assert "only one episode" in result.notes[0]
    assert result.gain("psnr", "model", "shuffled_actions", 1.0).value > 10


def test_one_window_has_no_other_actions():
    result = judge(Levels(), [walk(3, 25)])
    assert "shuffled_actions" not in result.subjects and "left out" in result.notes[1]


def test_short_episodes_are_named_and_left_out():
    result = judge(Levels(), [*EPISODES, walk(9, 12)])
    assert result.episodes == (0, 1, 2, 3, 4) and "[9]" in result.notes[0]
    with pytest.raises(DataError, match=r"25 steps .* the longest has 12"):
        judge(Levels(), [walk(9, 12)])


def test_the_world_gets_the_context_it_asks_for():
    result = judge(Levels(context_steps=9))
    assert all(sample.context.shape[0] == 9 for sample in result.samples)


def test_samples_show_what_was_judged():
    sample = judge(Levels(), num_samples=2).samples[1]
    real = EPISODES[1].frames[CAMERA]
    assert np.array_equal(sample.context, real[sample.start : sample.start + 5])
    assert np.array_equal(sample.real, real[sample.start + 5 : sample.start + 25])
    assert np.array_equal(sample.predicted["model"], sample.real)


def test_more_predictors_can_be_judged_beside():
    def white(context, context_actions, future_actions, rng):
        return torch.ones(len(context), future_actions.shape[1], 3, SIZE, SIZE)

    assert judge(Levels(), predictors={"white": white}).estimate("psnr", "white", 0.5).value < 15
    with pytest.raises(ValueError, match="copy_last"):
        judge(Levels(), predictors={"copy_last": white})


def test_episodes_that_do_not_fit_the_world_are_refused():
    with pytest.raises(WorldError, match=r"episode\.every"):
        judge(Levels(), [walk(0).every(2)])
    with pytest.raises(DataError, match="no camera 'elsewhere'"):
        evaluate_open_loop(Levels(), EPISODES, camera="elsewhere", mean_frame=GRAY)
    with pytest.raises(DataError, match="received none"):
        judge(Levels(), [])


def test_average_frame_is_the_mean_of_all_pictures():
    expected = np.concatenate([episode.frames[CAMERA] for episode in EPISODES]).mean(axis=0) / 255
    assert np.allclose(average_frame(EPISODES, CAMERA), expected, atol=1e-6)
