"""The first guess: what most likely comes next, by regression, and how far off it may be at every pixel.

What diffusion then has to draw is only the rest (arXiv:2309.15214 does so for weather). Everything here is in the context's own tone.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

CELL = 2  # the painter works on cells of 2 x 2 pixels
NARROWEST, WIDEST = -4.0, 1.0  # of the log spread, in units of the context's contrast
GROUPS = 8


class Reader(nn.Module):
    """What was seen and done, as one vector: a GRU over (picture or nothing, action)."""

    def __init__(
        self, *, height: int, width: int, action_size: int, size: int, channels: Sequence[int] = (48, 96, 128), look_size: int = 128
    ):
        super().__init__()
        layers = [Convolution(3 * 16, channels[0]), *(Convolution(i, o, stride=2) for i, o in pairwise(channels))]
        self.look = nn.Sequential(nn.PixelUnshuffle(4), *layers, nn.Flatten())
        shrunk = 4 * 2 ** (len(channels) - 1)
        self.summarise = nn.Linear(channels[-1] * (height // shrunk) * (width // shrunk), look_size)
        self.cell = nn.GRUCell(action_size + look_size, size)
        self.look_size, self.size = look_size, size

    def begin(self, context: Float[Tensor, "b k 3 h w"], actions: Float[Tensor, "b l a"]) -> Float[Tensor, "b n"]:
        """After all `k` frames of the context and the `l` = k - 1 actions between them."""
        seen = self.summarise(self.look(context.flatten(0, 1))).unflatten(0, context.shape[:2])
        before = functional.pad(actions, (0, 0, 1, 0)).to(seen.dtype)
        hidden = seen.new_zeros(len(seen), self.size)
        for t in range(context.shape[1]):
            hidden = self.cell(torch.cat([before[:, t], seen[:, t]], dim=-1), hidden)
        return hidden

    def follow(self, hidden: Float[Tensor, "b n"], action: Float[Tensor, "b a"]) -> Float[Tensor, "b n"]:
        """After one more action, whose outcome was not seen."""
        return self.cell(torch.cat([action, action.new_zeros(len(action), self.look_size)], dim=-1).to(hidden.dtype), hidden)


class Convolution(nn.Module):
    """3 x 3 convolution, group norm, SiLU."""

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1):
        super().__init__()
        self.convolve = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1)
        self.norm = nn.GroupNorm(GROUPS, outputs)

    def forward(self, features: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d y x"]:
        return functional.silu(self.norm(self.convolve(features)))


class Steered(nn.Module):
    """Two convolutions with a shortcut, the first scaled and shifted by what was read (FiLM, arXiv:1709.07871)."""

    def __init__(self, inputs: int, outputs: int, steering: int):
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm = nn.GroupNorm(GROUPS, outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.steer = nn.Linear(steering, 2 * outputs)
        self.shortcut = nn.Conv2d(inputs, outputs, 1)

    def forward(self, features: Float[Tensor, "n c h w"], read: Float[Tensor, "n s"]) -> Float[Tensor, "n d h w"]:
        scale, shift = self.steer(read)[..., None, None].chunk(2, dim=1)
        inner = functional.silu(self.norm(self.first(features)) * (1.0 + scale) + shift)
        return self.shortcut(features) + self.second(inner)


class Painter(nn.Module):
    """A U-Net over the context frames, steered by what was read: moves the last frame's pixels, and paints where that is not enough."""

    def __init__(self, *, context_steps: int, read_size: int, channels: Sequence[int] = (32, 64, 128, 128)):
        super().__init__()
        self.enter = Convolution(3 * CELL**2 * context_steps, channels[0])
        self.down = nn.ModuleList(Convolution(i, o, stride=2) for i, o in pairwise(channels))
        self.bottom = Steered(channels[-1], channels[-1], read_size)
        upwards = list(pairwise(reversed(channels)))
        self.up = nn.ModuleList(Steered(i + o, o, read_size) for i, o in upwards)
        self.exit = nn.Conv2d(channels[0], 4 * CELL**2 + 3, 3, padding=1)
        nn.init.normal_(self.exit.weight, std=1e-3)
        nn.init.zeros_(self.exit.bias)

    def forward(
        self, context: Float[Tensor, "b k 3 h w"], read: Float[Tensor, "b f n"]
    ) -> tuple[Float[Tensor, "b f 3 h w"], Float[Tensor, "b f 1 h w"]]:
        """`f` guessed frames of each row and the logarithm of their spread."""
        count = read.shape[1]
        skips = [self.enter(functional.pixel_unshuffle(context.flatten(1, 2), CELL))]
        for layer in self.down:
            skips.append(layer(skips[-1]))
        *skips, features = (x.repeat_interleave(count, dim=0) for x in skips)
        flat = read.flatten(0, 1)
        features = self.bottom(features, flat)
        for layer in self.up:
            grown = functional.interpolate(features, scale_factor=2.0, mode="nearest")
            features = layer(torch.cat([grown, skips.pop()], dim=1), flat)
        guess, spread = self._compose(self.exit(features).float(), context[:, -1].float().repeat_interleave(count, dim=0))
        return guess.unflatten(0, (-1, count)), spread.unflatten(0, (-1, count))

    def _compose(self, raw: Float[Tensor, "n c y x"], last: Float[Tensor, "n 3 h w"]) -> tuple[Tensor, Tensor]:
        painted, kept, smooth = raw.split([3 * CELL**2, CELL**2, 3], dim=1)
        kept = torch.sigmoid(functional.pixel_shuffle(kept, CELL) + 2.0)  # begins as a copy: sigmoid(2) = 0.88
        smooth = functional.interpolate(smooth, scale_factor=float(CELL), mode="bilinear", align_corners=False)
        guess = kept * moved(last, smooth[:, :2]) + (1.0 - kept) * functional.pixel_shuffle(painted, CELL)
        return guess, (smooth[:, 2:] - 1.0).clamp(NARROWEST, WIDEST)


def moved(pictures: Float[Tensor, "n c h w"], flow: Float[Tensor, "n 2 h w"]) -> Float[Tensor, "n c h w"]:
    """The pictures whose pixel at a place is taken from that place + flow, (x, y) in halves of the picture."""
    still = torch.eye(2, 3, device=pictures.device, dtype=pictures.dtype).expand(len(pictures), 2, 3)
    places = functional.affine_grid(still, list(pictures.shape), align_corners=False) + flow.movedim(1, -1)
    return functional.grid_sample(pictures, places, mode="bilinear", padding_mode="border", align_corners=False)
