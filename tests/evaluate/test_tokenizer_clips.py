"""Clips for tokenizers: scenes apart, no frame twice, squares that cover the picture."""

import numpy as np
import pytest
import torch

from armillary.core import ConfigError, DataError
from armillary.data.dataset import open_dataset
from armillary.data.video import encode_video
from recipes import tokenizer_clips
from recipes.tokenizer_clips import (
    HELD_OUT,
    TRAINING,
    bits_of_a_clip,
    held_out_clips,
    rows_of,
    spread_clips,
    squares,
    training_dataset,
)


def write_video(path, frames: int = 12, height: int = 32, width: int = 48, fps: float = 30.0) -> None:
    """Grey from left to right; the blue tells the frame's number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pictures = np.zeros((frames, height, width, 3), np.uint8)
    pictures[..., 0] = np.linspace(0, 240, width).astype(np.uint8)
    pictures[..., 2] = (np.arange(frames) * 10)[:, None, None]
    encode_video(path, pictures, fps, crf=1)


def test_no_scene_is_both_learned_from_and_judged_on():
    assert not set(TRAINING) & set(HELD_OUT) and len(set(TRAINING)) == len(TRAINING)
    drive = {"video/cosmos_drive_4.mp4", "video/cosmos_drive_5.mp4"}  # one drive (PROVENANCE.md)
    assert drive <= set(HELD_OUT) and {"video/cosmos_drive_2.mp4", "video/cosmos_drive_3.mp4"} <= set(TRAINING)


def test_clips_are_spread_over_the_video_and_do_not_overlap():
    frames = np.arange(100, dtype=np.uint8)[:, None, None, None].repeat(3, axis=3)
    found = [(clip[:, 0, 0, 0] * 255).round().int().tolist() for clip in spread_clips(frames, 17, 4)]
    assert [one[0] for one in found] == [0, 28, 55, 83] and all(one == list(range(one[0], one[0] + 17)) for one in found)
    assert len(spread_clips(frames, 17, 99)) == 5 and spread_clips(frames[:16], 17, 4) == []
    assert len({frame for one in spread_clips(frames, 17, 99) for frame in (one[:, 0, 0, 0] * 255).round().int().tolist()}) == 85


def test_held_out_clips_show_the_middle_and_a_fast_video_every_other_picture(tmp_path, monkeypatch):
    monkeypatch.setattr(tokenizer_clips, "HELD_OUT", ("slow.mp4", "fast.mp4"))
    write_video(tmp_path / "slow.mp4")
    write_video(tmp_path / "fast.mp4", fps=60.0)
    found = held_out_clips(tmp_path, length=5, side=16, most=2)
    assert {video: len(clips) for video, clips in found.items()} == {"slow.mp4": 2, "fast.mp4": 1}
    assert all(clip.shape == (5, 3, 16, 16) for clips in found.values() for clip in clips)
    blue = {video: clips[0][:, 2].mean((-2, -1)).diff() * 255 for video, clips in found.items()}
    torch.testing.assert_close(blue["slow.mp4"], torch.full((4,), 10.0), atol=2, rtol=0)
    torch.testing.assert_close(blue["fast.mp4"], torch.full((4,), 20.0), atol=2, rtol=0)
    assert found["slow.mp4"][0][:, 0].mean() * 255 == pytest.approx(120, abs=4)


def test_squares_cover_the_picture_at_every_zoom(tmp_path):
    write_video(tmp_path / "one.mp4")
    found = list(squares(tmp_path, ("one.mp4",), side=16))
    places = [piece.place for piece in found]
    assert places[:2] == ["zoom 1, row 0, column 0", "zoom 1, row 0, column 8"]
    assert places[2:] == [f"zoom 2, row {row}, column {column}" for row in (0, 16) for column in (0, 16, 32)]
    assert all(piece.frames.shape == (12, 16, 16, 3) for piece in found)
    left, right = (piece.frames[..., 0].mean() for piece in found[2:5:2])
    assert left < 60 and right > 180
    with pytest.raises(ConfigError, match="32 x 48 pixels cannot be seen at 48"):
        list(squares(tmp_path, ("one.mp4",), side=16, zooms=(3,)))


def test_the_dataset_holds_every_piece_and_is_written_once(tmp_path, monkeypatch):
    write_video(tmp_path / "one.mp4")
    write_video(tmp_path / "two.mp4", fps=25.0, frames=9)
    monkeypatch.setattr(tokenizer_clips, "TRAINING", ("one.mp4", "two.mp4"))
    folder = training_dataset(tmp_path, tmp_path / "out", side=16)
    dataset = open_dataset(folder)
    assert [len(dataset.load(number)) for number in range(len(dataset))] == [12] * 8 + [9] * 8 and dataset.info.fps == 30
    assert training_dataset(tmp_path / "nowhere", tmp_path / "out", side=16) == folder


def test_a_missing_video_is_told(tmp_path):
    with pytest.raises(DataError, match=r"there is no video/cosmos_drive_4\.mp4 under"):
        held_out_clips(tmp_path)


def test_the_bits_of_a_clip_are_those_of_its_codes():
    assert bits_of_a_clip() == int(5 * 16 * 16 * np.log2(8 * 8 * 8 * 5 * 5 * 5))


def test_rows_tell_what_was_taken_and_what_did_not_fit():
    subject = tokenizer_clips.Subject(name="it", psnr_db=(20.0, 30.0), ssim=(0.5, 0.7), bits=99.0, over_budget=1)
    found = {row["metric"]: (row["value"], row["n"]) for row in rows_of([subject])}
    assert found == {"PSNR": (25.0, 2), "SSIM": (0.6, 2), "bits a clip": (99.0, 2), "clips over the budget": (1.0, 2)}
