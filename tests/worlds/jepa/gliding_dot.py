"""The smallest world that a model can foresee from pixels and actions."""

import numpy as np

from armillary.core import Episode
from armillary.worlds.small.record import CAMERA


def gliding_dot(index: int, num_steps: int = 12) -> Episode:
    """A soft dot on 16 x 16 pixels; the next position is the position plus the action, in pixels, and never leaves the picture."""
    draw = np.random.default_rng(index)
    places = draw.uniform(3.0, 12.0, size=(num_steps + 1, 2)).astype(np.float32)
    pixels = np.arange(16)
    rows, columns = (np.exp(-((pixels - places[:-1, i, None]) ** 2) / 4.0) for i in (0, 1))
    dots = (255 * rows[:, :, None] * columns[:, None, :]).astype(np.uint8)
    frames = np.repeat(dots[..., None], 3, axis=-1)
    return Episode(
        frames={CAMERA: frames},
        actions=places[1:] - places[:-1],
        state=places[:-1],
        seconds_per_step=0.1,
        index=index,
        content_hash=f"dot {index}",
    )
