"""The contact sheet: which tiles it has, and that each randomiser shows in its own."""

import numpy as np
import pytest

from armillary.core import ConfigError
from armillary.worlds.twin.preview import PER_ROW, SHOWN, contact_sheet
from armillary.worlds.twin.randomise import Randomiser

HEIGHT, WIDTH = 60, 80


def tiles(scene: str, *, randomisers: bool) -> list[np.ndarray]:
    sheet = contact_sheet([scene], seed=0, picture=(HEIGHT, WIDTH), quality="draft", randomised=[scene] if randomisers else [])
    assert sheet.shape[1] == PER_ROW * WIDTH and sheet.shape[0] % HEIGHT == 0
    rows = [np.split(row, PER_ROW, axis=1) for row in np.split(sheet, sheet.shape[0] // HEIGHT)]
    return [tile for row in rows for tile in row if (tile != 255).any()]


def test_a_sheet_has_every_camera_and_every_randomiser_which_each_shows():
    plain, full = tiles("tabletop", randomisers=False), tiles("tabletop", randomisers=True)
    assert len(plain) == 3 and len(full) == 3 + len(SHOWN)
    below = slice(24, None)  # where there are no words
    assert all((one == other).all() for one, other in zip(plain, full, strict=False)), "cameras come first and as they are"
    for setting, tile in zip(SHOWN, full[3:], strict=True):
        assert (np.abs(tile[below].astype(int) - plain[0][below]).max(axis=2) > 12).mean() > 0.02, f"{setting} does not show"


def test_what_a_scene_cannot_hold_is_left_out():
    assert len(tiles("dominoes", randomisers=True)) == 4 + len(SHOWN) - 1


def test_what_is_shown_are_settings():
    assert set(SHOWN) <= set(vars(Randomiser()))
    for setting, value in SHOWN.items():
        Randomiser(**{setting: value})


def test_a_scene_that_there_is_not_is_said():
    with pytest.raises(ConfigError, match="there is no scene 'attic'"):
        contact_sheet(["attic"], seed=0)
