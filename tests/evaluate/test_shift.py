"""Appearance shifts: each changes what it says and nothing else."""

import numpy as np
import pytest
import torch

from armillary.core import Episode
from armillary.evaluate.shift import SHIFTS, YIQ, shift_episodes, still_background, tiles

CAMERA = "view"


def moving_square(index: int = 0, length: int = 24, size: int = 64) -> Episode:
    """A red square of 12 pixels that goes right by 2 pixels a frame before a still gray gradient."""
    rows = np.linspace(90, 130, size).astype(np.uint8)
    frames = np.broadcast_to(rows[None, :, None, None], (length, size, size, 3)).copy()
    for t in range(length):
        frames[t, 20 + index : 32 + index, 2 * t : 2 * t + 12] = (220, 30, 30)
    return Episode(
        frames={CAMERA: frames, "other": frames.copy()},
        actions=np.full((length, 1), 2.0, np.float32),
        seconds_per_step=0.1,
        index=index,
        content_hash=f"square-{index}",
    )


EPISODES = [moving_square(index) for index in range(3)]


@pytest.mark.parametrize("name", SHIFTS)
def test_a_shift_repeats_keeps_everything_else_and_changes_the_pictures(name):
    before = [episode.frames[CAMERA].copy() for episode in EPISODES]
    changed, again = shift_episodes(EPISODES, name, camera=CAMERA), shift_episodes(EPISODES, name, camera=CAMERA)
    for old, frames, new, same in zip(EPISODES, before, changed, again, strict=True):
        assert np.array_equal(old.frames[CAMERA], frames)
        assert np.array_equal(new.frames[CAMERA], same.frames[CAMERA]) and new.frames[CAMERA].shape == frames.shape
        assert not np.array_equal(new.frames[CAMERA], frames)
        assert new.frames["other"] is old.frames["other"] and new.actions is old.actions and new.index == old.index
        assert new.content_hash == same.content_hash != old.content_hash
    assert len({episode.content_hash for episode in changed}) == len(changed)


def test_brightness_darkens_every_pixel_and_keeps_their_order():
    shifted = shift_episodes(EPISODES, "brightness", camera=CAMERA)[0].frames[CAMERA].astype(int)
    real = EPISODES[0].frames[CAMERA].astype(int)
    assert (shifted < real).all()
    assert (np.sign(np.diff(shifted, axis=1)) * np.sign(np.diff(real, axis=1)) >= 0).all()


def test_hue_keeps_luma_and_leaves_gray_alone():
    shifted = shift_episodes(EPISODES, "hue", camera=CAMERA)[0].frames[CAMERA]
    real = EPISODES[0].frames[CAMERA]
    assert np.array_equal(shifted[0, 50], real[0, 50])
    shift = SHIFTS["hue"]
    muted = torch.tensor([0.5, 0.4, 0.45])[None, :, None, None]
    turned = shift(muted, muted[0])
    luma = torch.tensor(YIQ[0])
    assert (turned[0, :, 0, 0] @ luma).item() == pytest.approx((muted[0, :, 0, 0] @ luma).item(), abs=1e-4)
    assert (turned - muted).abs().max() > 0.05


def test_background_keeps_what_moves_and_covers_what_stands_still():
    median = still_background([episode.frames[CAMERA] for episode in EPISODES])
    assert np.abs(median[0, :, 60].numpy() * 255 - EPISODES[0].frames[CAMERA][0, :, 60, 0]).max() < 1
    shifted = shift_episodes(EPISODES, "background", camera=CAMERA)[0].frames[CAMERA]
    for t in (0, 9, 20):
        assert np.abs(shifted[t, 24:28, 2 * t + 4 : 2 * t + 8].astype(int) - (220, 30, 30)).max() <= 3
    floor = (tiles(64, 64) * 255).round().byte().movedim(0, -1).numpy()
    assert np.array_equal(shifted[3, 44:], floor[44:])


def test_camera_keeps_the_centre_near_and_moves_the_rest():
    column, row = np.meshgrid(np.arange(64), np.arange(64))
    ramp = np.stack([column * 4, row * 4, np.zeros_like(row)], axis=-1).astype(np.uint8)
    episode = Episode(frames={CAMERA: np.stack([ramp] * 2)}, actions=np.zeros((2, 1), np.float32), seconds_per_step=0.1)
    seen = shift_episodes([episode], "camera", camera=CAMERA)[0].frames[CAMERA][0].astype(float) / 4
    across, down = seen[32, 40, 0] - seen[32, 24, 0], seen[40, 32, 1] - seen[24, 32, 1]
    assert across == pytest.approx(16 / 1.12, abs=0.6) and down == pytest.approx(16 / 1.12, abs=0.6)
    assert seen[32, 32, 0] == pytest.approx(32 + 0.03 * 64, abs=0.8) and seen[32, 32, 1] == pytest.approx(32 - 0.02 * 64, abs=0.8)
    rolled = (seen[32, 40, 1] - seen[32, 24, 1]) / across
    assert abs(np.degrees(np.arctan(rolled))) == pytest.approx(3.0, abs=1.0)


def test_shifts_scale_with_the_picture():
    wide = moving_square(size=96)
    shifted = shift_episodes([wide], "all", camera=CAMERA)[0].frames[CAMERA]
    assert shifted.shape == wide.frames[CAMERA].shape
    assert tiles(30, 44).shape == (3, 30, 44)


def test_an_unknown_shift_names_the_known_ones():
    with pytest.raises(ValueError, match="brightness, hue, background, camera, all"):
        shift_episodes(EPISODES, "fog", camera=CAMERA)
