"""The networks of the end-to-end JEPA: one encoder and one predictor, shared by both recipes."""

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
    """A picture as one vector: a residual CNN like IMPALA's, with strided convolutions in place of its pooling.

    The first layer is an 8 x 8 convolution of stride 4: at full resolution IMPALA's own first stack costs more than all that follows.
    Every place of the last feature map has its own weights in the final linear layer, so that positions stay readable.
    """

    def __init__(self, *, height: int, width: int, latent_size: int, channels: Sequence[int] = (32, 64), blocks: int = 1):
        super().__init__()
        factor = PATCH * 2 ** (len(channels) - 1)
        if not channels or height % factor or width % factor:
            raise ConfigError(
                f"picture sides must be multiples of {factor} for {len(channels)} stages, received {height} x {width}; "
                f"set data.height and data.width, or fewer model.channels"
            )
        stages = [nn.Conv2d(3, channels[0], 2 * PATCH, stride=PATCH, padding=PATCH // 2), *_blocks(channels[0], blocks)]
        for before, after in pairwise(channels):
            stages += [nn.ReLU(), nn.Conv2d(before, after, 3, stride=2, padding=1), *_blocks(after, blocks)]
        self.stages = nn.Sequential(*stages)
        self.head = nn.Linear(channels[-1] * (height // factor) * (width // factor), latent_size)

    def forward(self, frames: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n d"]:
        """Frames in [0, 1]."""
        features = functional.relu(self.stages(2.0 * frames - 1.0))
        return self.head(features.flatten(1))


class Predictor(nn.Module):
    """The next latent from this one and the action: a GRU whose hidden state is the latent itself, as in eb_jepa, plus a memory.

    The memory (of size 0: none) holds what one picture cannot show, such as a velocity. Two layers lift (state, action) before the GRU,
    since a wall makes the effect of an action a sharp function of the place.
    """

    def __init__(self, *, latent_size: int, memory_size: int, action_size: int, width: int):
        super().__init__()
        self.latent_size = latent_size
        size = latent_size + memory_size
        self.lift = nn.Sequential(nn.Linear(size + action_size, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.cell = nn.GRUCell(width, size)

    def forward(
        self, latent: Float[Tensor, "n d"], memory: Float[Tensor, "n m"], action: Float[Tensor, "n a"]
    ) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n m"]]:
        """(next latent, not yet normalised, and next memory) after a standardised action."""
        hidden = torch.cat([latent, memory], dim=-1)
        hidden = self.cell(self.lift(torch.cat([hidden, action], dim=-1)), hidden)
        return hidden[:, : self.latent_size], hidden[:, self.latent_size :]


def _blocks(channels: int, count: int) -> list[nn.Module]:
    return [ResidualBlock(channels) for _ in range(count)]
