"""What a camera's sensor makes of the light that reaches it: exposure, white balance, and noise."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, UInt8

from armillary.core import seeded


@dataclass(frozen=True, kw_only=True)
class Sensor:
    """`gains` are the factors of red, green and blue. Noise is normal; `read_noise` is the standard deviation of that which is the same
    everywhere, `shot_noise` of that which grows with the square root of the brightness, where it is full. Both are shares of full
    brightness."""

    gains: tuple[float, float, float] = (1.0, 1.0, 1.0)
    read_noise: float = 0.0
    shot_noise: float = 0.0

    def expose(self, picture: UInt8[np.ndarray, "h w 3"], rng: np.random.Generator) -> UInt8[np.ndarray, "h w 3"]:
        """The picture as the sensor gives it, in whole levels and cut off at black and white."""
        if self == Sensor():
            return picture
        height, width, _ = picture.shape
        gains = np.tile(np.array(self.gains, dtype=np.float32), width)  # of a whole row: factors three by three take five times as long
        values = (picture.reshape(height, -1) * gains).reshape(picture.shape)
        if self.read_noise or self.shot_noise:
            deviation = values * np.float32(255.0 * self.shot_noise**2)
            deviation += np.float32((255.0 * self.read_noise) ** 2)
            np.sqrt(deviation, out=deviation)
            deviation *= _normal(picture.shape, rng)
            values += deviation
        np.rint(values, out=values)
        return np.clip(values, 0, 255, out=values).astype(np.uint8)


def _normal(shape: tuple[int, ...], rng: np.random.Generator) -> Float32[np.ndarray, "h w 3"]:
    """PyTorch draws them in less than half of NumPy's time, which would be a fiftieth of all that a labelled picture takes."""
    return torch.empty(shape, dtype=torch.float32).normal_(generator=seeded(int(rng.integers(2**63)))).numpy()
