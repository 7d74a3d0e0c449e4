"""Still pictures that people hand in: read as their pixels are, or refused with the reason."""

import numpy as np
import pytest
from PIL import Image

from armillary.core import DataError
from armillary.data.picture_file import is_picture, read_picture

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)


def test_a_png_is_its_pixels(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    assert is_picture(tmp_path / "a.png") and np.array_equal(read_picture(tmp_path / "a.png"), PIXELS)


def test_other_kinds_become_rgb(tmp_path):
    smooth = np.full((16, 16, 3), 90, np.uint8)
    Image.fromarray(smooth).save(tmp_path / "a.jpg")
    assert is_picture(tmp_path / "a.jpg") and np.abs(read_picture(tmp_path / "a.jpg").astype(int) - 90).max() <= 2
    Image.fromarray(PIXELS[..., 0]).save(tmp_path / "gray.png")
    assert np.array_equal(read_picture(tmp_path / "gray.png"), np.repeat(PIXELS[..., :1], 3, axis=-1))
    opaque = np.concatenate([PIXELS, np.full_like(PIXELS[..., :1], 255)], axis=-1)
    Image.fromarray(opaque).save(tmp_path / "opaque.png")
    assert np.array_equal(read_picture(tmp_path / "opaque.png"), PIXELS)


def test_a_camera_that_was_turned_is_turned_back(tmp_path):
    image = Image.fromarray(PIXELS)
    turned = Image.Exif()
    turned[0x0112] = 6  # the top of the scene is at the right of the stored rows
    image.save(tmp_path / "a.png", exif=turned)
    assert np.array_equal(read_picture(tmp_path / "a.png"), np.rot90(PIXELS, -1))


def test_what_is_no_sound_picture_is_refused(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "whole.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:60])
    clear = np.concatenate([PIXELS, np.full_like(PIXELS[..., :1], 254)], axis=-1)
    Image.fromarray(clear).save(tmp_path / "clear.png")
    Image.fromarray(np.full((4, 4), 40_000, np.uint16)).save(tmp_path / "deep.png")
    Image.new("1", (8200, 8200)).save(tmp_path / "large.png")
    (tmp_path / "text.png").write_text("not a picture")
    for name, said in (
        ("cut", "cannot be read"),
        ("clear", "transparent"),
        ("deep", "8-bit"),
        ("large", "shrink it"),
        ("text", "cannot be read"),
    ):
        with pytest.raises(DataError, match=said):
            read_picture(tmp_path / f"{name}.png")
    assert not is_picture(tmp_path / "text.png")
