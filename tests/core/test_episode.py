"""Alignment: `actions[t]` leads from frame t to frame t + 1, before and after a stride."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from armillary.core import Batch, DataError, Episode

CAMERA = "view"


def numbered(length: int, actions: int = 2) -> Episode:
    """An episode whose every number tells its row: frame t shows t, action t is (10 t, 10 t + 1)."""
    rows = np.arange(length)
    return Episode(
        frames={CAMERA: np.broadcast_to(rows[:, None, None, None], (length, 2, 2, 3)).astype(np.uint8)},
        actions=(10.0 * rows[:, None] + np.arange(actions)).astype(np.float32),
        state=rows[:, None].astype(np.float32),
        rewards=rows.astype(np.float32),
        terminated=rows == length - 1,
        labels={"row": rows},
        seconds_per_step=0.1,
    )


def test_every_by_hand():
    episode = numbered(7).every(3)
    assert len(episode) == 2
    assert episode.frames[CAMERA][:, 0, 0, 0].tolist() == [0, 3]
    assert episode.actions.tolist() == [[0, 1, 10, 11, 20, 21], [30, 31, 40, 41, 50, 51]]
    assert episode.state[:, 0].tolist() == [0, 3]
    assert episode.rewards.tolist() == [0 + 1 + 2, 3 + 4 + 5]
    assert episode.terminated.tolist() == [False, False]
    assert episode.labels["row"].tolist() == [0, 3]
    assert episode.seconds_per_step == pytest.approx(0.3)


def test_a_termination_inside_a_group_ends_the_group():
    assert numbered(6).every(3).terminated.tolist() == [False, True]


@given(st.integers(1, 40), st.integers(1, 8), st.integers(0, 9))
def test_between_two_kept_frames_lie_exactly_the_actions_that_lead_there(length, stride, offset):
    episode = numbered(length)
    if length - offset < stride and (stride, offset) != (1, 0):
        with pytest.raises(DataError, match="fewer than"):
            episode.every(stride, offset)
        return
    strided = episode.every(stride, offset)
    assert len(strided) == (length - offset) // stride
    for t in range(len(strided)):
        first = int(strided.frames[CAMERA][t, 0, 0, 0])
        assert first == offset + t * stride == strided.labels["row"][t] == strided.state[t, 0]
        led_by = strided.actions[t].reshape(stride, 2)[:, 0] / 10
        assert led_by.tolist() == list(range(first, first + stride))
        assert strided.rewards[t] == sum(range(first, first + stride))


@given(st.integers(1, 4), st.integers(1, 4))
def test_strides_compose(first, second):
    once, twice = numbered(40).every(first * second), numbered(40).every(first).every(second)
    assert np.array_equal(once.actions, twice.actions)
    assert np.array_equal(once.frames[CAMERA], twice.frames[CAMERA])
    assert np.array_equal(once.rewards, twice.rewards)


def test_optional_columns_stay_absent():
    episode = Episode(frames={}, actions=np.zeros((4, 1), np.float32), seconds_per_step=0.1).every(2)
    assert episode.rewards is None and episode.terminated is None and episode.state is None


def test_columns_of_other_lengths_are_named():
    with pytest.raises(DataError, match=r"labels\[row\].*3"):
        Episode(frames={}, actions=np.zeros((4, 1), np.float32), labels={"row": np.zeros(3)}, seconds_per_step=0.1)


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan")])
def test_a_rate_that_is_none_is_refused(seconds):
    with pytest.raises(DataError, match="seconds_per_step"):
        Episode(frames={}, actions=np.zeros((4, 1), np.float32), seconds_per_step=seconds)


def test_a_stride_below_one_is_refused():
    with pytest.raises(ValueError, match="received 0"):
        numbered(3).every(0)
    with pytest.raises(ValueError, match="-1"):
        numbered(3).every(1, -1)


def test_batch_rows_move_every_column_together():
    batch = Batch(
        frames=torch.arange(3.0).reshape(3, 1, 1, 1, 1).expand(3, 2, 3, 1, 1),
        actions=torch.arange(3.0).reshape(3, 1, 1).expand(3, 2, 1),
        episode=torch.arange(3),
    )
    chosen = batch.rows(torch.tensor([2, 0]))
    assert len(chosen) == 2
    assert chosen.frames[:, 0, 0, 0, 0].tolist() == chosen.actions[:, 0, 0].tolist() == chosen.episode.tolist() == [2, 0]
