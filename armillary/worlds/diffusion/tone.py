"""The colour of a picture's light: taken away before a network looks, given back to what it draws."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

LEAST_DEVIATION = 0.02


@dataclass(frozen=True)
class Tone:
    """Mean and deviation of each colour channel of one picture a row (reversible instance normalisation)."""

    mean: Float[Tensor, "b 3 1 1"]
    deviation: Float[Tensor, "b 3 1 1"]

    @staticmethod
    def of(pictures: Float[Tensor, "b 3 h w"]) -> "Tone":
        """What each picture's own light is; a plain one counts as having a little contrast."""
        variance, mean = torch.var_mean(pictures, dim=(-2, -1), keepdim=True)
        return Tone(mean, variance.sqrt().clamp(min=LEAST_DEVIATION))

    def remove(self, video: Float[Tensor, "b t 3 h w"]) -> Float[Tensor, "b t 3 h w"]:
        """Each row's frames in units of its light."""
        return (video - self.mean[:, None]) / self.deviation[:, None]

    def give(self, video: Float[Tensor, "b t 3 h w"]) -> Float[Tensor, "b t 3 h w"]:
        """The reverse of `remove`."""
        return video * self.deviation[:, None] + self.mean[:, None]
