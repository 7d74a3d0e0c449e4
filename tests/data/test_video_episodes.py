"""Loose videos at another rate and as a square: which frames, which part of the picture."""

from pathlib import Path

import numpy as np
import pytest

from armillary.core import ConfigError
from armillary.data.dataset import open_dataset
from armillary.data.record import write_dataset
from armillary.data.video import encode_video
from armillary.data.video_episodes import frames_at_rate, read_square_video, video_episode


@pytest.mark.parametrize(("recorded", "wanted"), [(30.0, 5.0), (29.97, 5.0), (25.0, 10.0), (60.15, 5.0), (10.0, 10.0)])
def test_each_moment_gets_the_frame_that_is_nearest(recorded, wanted):
    chosen = frames_at_rate(200, recorded, wanted, offset_s=0.1)
    moments = 0.1 + np.arange(len(chosen)) / wanted
    assert np.abs(chosen / recorded - moments).max() <= 0.5 / recorded + 1e-9
    assert chosen[-1] < 200 <= chosen[-1] + recorded / wanted + 1
    assert (np.diff(chosen) > 0).all()


def test_from_every_first_frame_each_frame_is_used_once():
    parts = [frames_at_rate(60, 30.0, 5.0, offset_s=first / 30.0) for first in range(6)]
    assert sorted(np.concatenate(parts).tolist()) == list(range(60))


def test_frames_are_not_invented():
    with pytest.raises(ConfigError, match="4 frames a second cannot be seen at 5"):
        frames_at_rate(10, 4.0, 5.0)


@pytest.mark.parametrize("portrait", [False, True])
def test_the_middle_square_is_kept(tmp_path: Path, portrait: bool):
    frames = np.zeros((6, 64, 128, 3), np.uint8)
    frames[:, :, 32:96] = 200
    frames = frames.swapaxes(1, 2) if portrait else frames
    encode_video(tmp_path / "a.mp4", np.ascontiguousarray(frames), 10, crf=10)
    square, fps = read_square_video(tmp_path / "a.mp4", 32)
    assert square.shape == (6, 32, 32, 3) and fps == pytest.approx(10)
    assert np.abs(square[:, 2:-2, 2:-2].astype(int) - 200).max() < 12
    with pytest.raises(ConfigError, match="at most the shorter one, received 65"):
        read_square_video(tmp_path / "a.mp4", 65)


def test_an_episode_of_pictures_alone_can_be_recorded(tmp_path: Path):
    frames = np.full((9, 16, 16, 3), 90, np.uint8)
    episode = video_episode(frames, 5.0, camera="observation.images.view", task="a clip")
    dataset = open_dataset(write_dataset(tmp_path / "clips", [episode]))
    assert dataset.info.fps == 5.0 and dataset.episodes[0].length == 9 and dataset.episodes[0].tasks == ("a clip",)
