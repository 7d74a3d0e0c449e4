"""What the video probes are asked: the right frames, the right motion, and signs counted only where something moved."""

import numpy as np
import torch

from armillary.core import Episode
from recipes.video_probes import WINDOW, in_units, pooled, windows, wrong_signs

CAMERA = "view"


def recording(length: int = 90) -> Episode:
    """At 30 Hz; the picture's grey and every joint tell the frame's number."""
    number = np.arange(length)
    frames = np.broadcast_to(number[:, None, None, None], (length, 8, 8, 3)).astype(np.uint8)
    state = np.repeat(number[:, None].astype(np.float32), 26, axis=1)
    return Episode(frames={CAMERA: frames}, actions=np.zeros((length, 1), np.float32), state=state, seconds_per_step=1 / 30)


def test_windows_end_at_the_moment_that_is_asked_for():
    found = windows([recording(), recording(60)], CAMERA)
    grey = (found.read(lambda frames: frames[:, :, 0, 0, 0]) * 255).round()
    assert grey.shape == (len(found.state), WINDOW) and found.episode == [8, 3]
    assert (grey[:, -1] == found.state[:, 0]).all()
    assert (grey.diff(dim=1) == 6).all()  # 0.2 s
    assert (found.motion == 12).all() and found.motion.shape[1] == 7  # 0.4 s


def test_units_are_those_of_the_fitted_windows():
    one = windows([recording()], CAMERA)
    scaled, other = in_units(one, [one, windows([recording(60)], CAMERA)])
    torch.testing.assert_close(scaled.state.std(0), torch.ones(26))
    torch.testing.assert_close(other.state * one.state.std(0), windows([recording(60)], CAMERA).state)


def test_tokens_are_averaged_in_their_own_part_of_the_picture():
    tokens = torch.zeros(1, 2, 8, 8, 3)
    tokens[0, 1, 2:4, 6:8, 1] = 5.0
    found = pooled(tokens).unflatten(1, (2, 4, 4, 3))
    assert found[0, 1, 1, 3, 1] == 5.0 and found.sum() == 5.0


def test_signs_count_where_a_joint_moved():
    test = windows([recording(60)], CAMERA)
    truth = torch.tensor([[1.0, -1.0], [0.4, -2.0], [0.0, 3.0]])
    wrong, asked = wrong_signs(torch.tensor([[0.1, 0.1], [-5.0, -0.1], [1.0, 1.0]]), truth, test)
    assert (wrong, asked) == ([1.0], [4.0])
