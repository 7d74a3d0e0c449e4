"""A still picture that a person hands in: PNG or JPEG, checked before it is decoded."""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from armillary.core.errors import DataError
from armillary.data.video.limits import VideoLimits

_BEGINNINGS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
_FORMATS, _MODES = ("PNG", "JPEG"), ("RGB", "L", "P", "RGBA", "LA")


def is_picture(path: Path | str) -> bool:
    """Whether a file begins as PNG or JPEG files do."""
    with open(path, "rb") as file:
        return file.read(8).startswith(_BEGINNINGS)


def read_picture(path: Path | str) -> UInt8[np.ndarray, "h w 3"]:
    """The picture as RGB, upright as its camera says.

    DataError where it is damaged, has more pixels than a video's frame may have, is transparent somewhere, or has more than 8 bits.
    """
    from PIL import Image, ImageOps

    most = VideoLimits().pixels
    try:
        with Image.open(path, formats=_FORMATS) as image:
            width, height = image.size
            if width * height > most:
                raise DataError(f"{path} has {height} x {width} pixels, more than the {most:,} that are read; shrink it first")
            if image.mode not in _MODES:
                raise DataError(f"{path} holds {image.mode} pixels; save it as 8-bit RGB")
            upright = ImageOps.exif_transpose(image)
            if upright.has_transparency_data and upright.convert("RGBA").getchannel("A").getextrema()[0] < 255:
                raise DataError(f"{path} is transparent somewhere, where no colour is known; save it without transparency")
            return np.array(upright.convert("RGB"))
    except DataError:
        raise
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} cannot be read as a picture ({error}); save it as PNG") from error
