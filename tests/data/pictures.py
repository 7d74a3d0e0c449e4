"""Pictures whose right answer is known: a bright square that moves one pixel a frame over a fixed gradient."""

import numpy as np
from jaxtyping import UInt8


def moving_square(count: int, height: int = 48, width: int = 64, seed: int = 0) -> UInt8[np.ndarray, "t h w 3"]:
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height, 0:width]
    background = np.stack([rows * 3, columns * 2, (rows + columns)], axis=-1) % 200 + rng.integers(0, 20, size=3)
    frames = np.repeat(background[None].astype(np.uint8), count, axis=0)
    for t in range(count):
        left, top = (t + seed) % (width - 12), (2 * t) % (height - 12)
        frames[t, top : top + 12, left : left + 12] = 250
    return frames
