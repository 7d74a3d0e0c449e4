"""A small residual CNN like IMPALA's: pictures in, one vector out, in which positions stay readable."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from armillary.core import ConfigError

PATCH = 4  # pixels between two places of the first feature map


class ResidualBlock(nn.Module):
    """x + conv(relu(conv(relu(x)))), as in IMPALA (arXiv:1802.01561, figure 3)."""

    def __init__(self, channels: int):
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        return x + self.second(functional.relu(self.first(functional.relu(x))))


class Encoder(nn.Module):
    """A picture, or several laid on one another, as one vector: a residual CNN like IMPALA's, with strided convolutions in place of its
    pooling.

    The first layer is an 8 x 8 convolution of stride 4: at full resolution IMPALA's own first stack costs more than all that follows.
    Every place of the last feature map has its own weights in the final linear layer, so that positions stay readable.

    With `pooled`, that vector also knows how much of what is in the picture, wherever it is: a second linear layer reads the means over
    the picture of the first layer's answers (rectified) and of their squares, each in its deviation over the batches seen in training.
    How far a block is turned is there, and hardly in the last features (docs/LOG.md).
    """

    def __init__(
        self,
        *,
        height: int,
        width: int,
        latent_size: int,
        channels: Sequence[int] = (32, 64),
        blocks: int = 1,
        num_pictures: int = 1,
        pooled: bool = False,
    ):
        super().__init__()
        factor = PATCH * 2 ** (len(channels) - 1)
        if not channels or height % factor or width % factor:
            raise ConfigError(
                f"picture sides must be multiples of {factor} for {len(channels)} stages, received {height} x {width}; "
                f"set data.height and data.width, or fewer model.channels"
            )
        first = nn.Conv2d(3 * num_pictures, channels[0], 2 * PATCH, stride=PATCH, padding=PATCH // 2)
        stages = [first, *_blocks(channels[0], blocks)]
        for before, after in pairwise(channels):
            stages += [nn.ReLU(), nn.Conv2d(before, after, 3, stride=2, padding=1), *_blocks(after, blocks)]
        self.stages = nn.Sequential(*stages)
        self.head = nn.Linear(channels[-1] * (height // factor) * (width // factor), latent_size)
        self.pooled_norm = nn.BatchNorm1d(2 * channels[0]) if pooled else None
        self.pooled_head = nn.Linear(2 * channels[0], latent_size) if pooled else None

    def forward(self, frames: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """Frames in [0, 1]; `c` is 3 for each picture."""
        first = self.stages[0](2.0 * frames - 1.0)
        features = functional.relu(self.stages[1:](first))
        told = self.head(features.flatten(1))
        if self.pooled_head is None:
            return told
        amounts = torch.cat([functional.relu(first).mean(dim=(2, 3)), first.square().mean(dim=(2, 3))], dim=1)
        return told + self.pooled_head(self.pooled_norm(amounts.to(self.pooled_norm.weight.dtype)))


def _blocks(channels: int, count: int) -> list[nn.Module]:
    return [ResidualBlock(channels) for _ in range(count)]
