"""What films and stills share: colours, letters, and small pictures made large enough to look at."""

from functools import cache

import numpy as np
from jaxtyping import UInt8

INK, PALE, GROUND, TRACK = (236, 241, 247), (150, 162, 178), (17, 22, 30), (44, 54, 69)
DREAM, SEEN = (108, 178, 255), (120, 132, 148)


def enlarge(picture: UInt8[np.ndarray, "h w c"], side: int) -> UInt8[np.ndarray, "s s 3"]:
    """Scaled to fit a square (bicubic), on dark ground where it is not square; one channel becomes gray."""
    from PIL import Image

    if picture.shape[-1] == 1:
        picture = np.repeat(picture, 3, axis=-1)
    height, width = picture.shape[:2]
    scale = side / max(height, width)
    fitted = (max(round(width * scale), 1), max(round(height * scale), 1))
    tile = Image.new("RGB", (side, side), GROUND)
    enlarged = Image.fromarray(np.ascontiguousarray(picture)).resize(fitted, Image.Resampling.BICUBIC)
    tile.paste(enlarged, ((side - fitted[0]) // 2, (side - fitted[1]) // 2))
    return np.asarray(tile)


@cache
def font(size: int):
    """Matplotlib's own DejaVu Sans: the same letters on every machine."""
    from matplotlib import font_manager
    from PIL import ImageFont

    return ImageFont.truetype(font_manager.findfont("DejaVu Sans"), size)
