"""The last layers of the denoiser, on pixels: they mend the seams between patches and reuse what the last frame shows."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from armillary.worlds.diffusion.guess import moved

FEATURES = 16  # that the transformer gives each pixel, beside a flow
MOST = 4.0  # spreads; what a moved pixel says beyond that is no likely frame
FLOW_UNIT = 0.1  # of half the picture
LIGHTNESS, RED_GREEN, YELLOW_BLUE = (3**-0.5,) * 3, (2**-0.5, -(2**-0.5), 0.0), (6**-0.5, 6**-0.5, -2 * 6**-0.5)


class Finish(nn.Module):
    """From the transformer's features to the clean rest, in units of the spread."""

    def __init__(self, width: int = 32):
        super().__init__()
        self.enter = nn.Conv2d(FEATURES + 6, width, 3, padding=1)
        self.middle = nn.Conv2d(width, width, 3, padding=1)
        self.leave = nn.Conv2d(width, 3, 3, padding=1)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(
        self,
        drawn: Float[Tensor, "n f h w"],
        noisy: Float[Tensor, "n 3 h w"],
        last: Float[Tensor, "n 3 h w"],
        guess: Float[Tensor, "n 3 h w"],
        spread: Float[Tensor, "n 3 h w"],
    ) -> Float[Tensor, "n 3 h w"]:
        """`drawn` holds FEATURES channels and a flow, by which the last frame's pixels move to where they may be now."""
        flow = FLOW_UNIT * drawn[:, FEATURES:].float()
        there = (opponent(moved(last.float(), flow) - guess) * torch.exp(-spread)).clamp(-MOST, MOST)
        features = functional.silu(self.enter(torch.cat([drawn[:, :FEATURES], noisy, there], dim=1)))
        return self.leave(features + functional.silu(self.middle(features))).float()


def opponent(pictures: Float[Tensor, "*lead 3 h w"]) -> Float[Tensor, "*lead 3 h w"]:
    """Colour as lightness and two opponent hues, a rotation: errors of lightness are far larger than those of hue."""
    return _turned(pictures, (LIGHTNESS, RED_GREEN, YELLOW_BLUE))


def from_opponent(pictures: Float[Tensor, "*lead 3 h w"]) -> Float[Tensor, "*lead 3 h w"]:
    """The reverse of `opponent`."""
    return _turned(pictures, tuple(zip(LIGHTNESS, RED_GREEN, YELLOW_BLUE, strict=True)))


def _turned(pictures: Float[Tensor, "*lead 3 h w"], rows: Sequence[Sequence[float]]) -> Float[Tensor, "*lead 3 h w"]:
    """A matrix times the colours, in the pictures' own precision (autocast would round a matrix product)."""
    channels = pictures.unbind(-3)
    return torch.stack([sum(factor * channel for factor, channel in zip(row, channels, strict=True)) for row in rows], dim=-3)
