"""What a video diffusion world draws: pixels, or the latents of a frozen tokenizer. Both are near unit size here."""

from abc import ABC, abstractmethod

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor, nn

from armillary.core import ConfigError
from armillary.tokenizers.config import TokenizerConfig
from armillary.tokenizers.given_tokenizer import fill
from armillary.tokenizers.network import VideoAutoencoder

PIXEL_SCALE = 2.0  # pictures in [0, 1] become cells in [-1, 1]
LEAST_STD = 1e-3


class Space(nn.Module, ABC):
    """Frames to cells and back; `channels` numbers a cell, `side` pixels wide and high, `rate` frames long but for the first.

    Cameras that stand side by side in a frame do so in its cells, and none of them knows of another.
    """

    channels: int
    side: int
    rate: int

    @abstractmethod
    def to_cells(self, frames: Float[Tensor, "b t 3 h w"]) -> Float[Tensor, "b c f y x"]:
        """Cells of 1 + k rate frames in [0, 1]."""

    @abstractmethod
    def to_frames(self, cells: Float[Tensor, "b c f y x"]) -> Float[Tensor, "b t 3 h w"]:
        """Frames in [0, 1]."""

    def prepare(self) -> None:
        """Called when training begins."""
        return None

    def look_at(self, frames: Float[Tensor, "b t 3 h w"]) -> None:
        """Called with every training batch."""
        return None


class Pixels(Space):
    """The pictures themselves."""

    channels, side, rate = 3, 1, 1

    def to_cells(self, frames: Float[Tensor, "b t 3 h w"]) -> Float[Tensor, "b c f y x"]:
        return PIXEL_SCALE * (frames.transpose(1, 2) - 0.5)

    def to_frames(self, cells: Float[Tensor, "b c f y x"]) -> Float[Tensor, "b t 3 h w"]:
        return (cells.transpose(1, 2) / PIXEL_SCALE + 0.5).clamp(0.0, 1.0)


class Latents(Space):
    """What a tokenizer's encoder says, in units of the first training batch. The tokenizer is read once, when training begins."""

    def __init__(self, sizes: TokenizerConfig, run: str, views: int = 1):
        super().__init__()
        if sizes.discrete:
            raise ConfigError(
                f"model.tokenizer = {run} makes codes (bottleneck {sizes.bottleneck}); diffusion needs plain or gaussian latents"
            )
        self.channels, self.side, self.rate, self.run = sizes.latent_channels, sizes.space_rate, sizes.time_rate, run
        self.views = views
        self.tokenizer = VideoAutoencoder(sizes).requires_grad_(False)
        self.register_buffer("is_filled", torch.tensor(False))
        self.register_buffer("is_measured", torch.tensor(False))
        self.register_buffer("mean", torch.zeros(self.channels))
        self.register_buffer("std", torch.ones(self.channels))

    def to_cells(self, frames: Float[Tensor, "b t 3 h w"]) -> Float[Tensor, "b c f y x"]:
        with torch.no_grad():
            latents = self._beside(self.tokenizer.encode(self._alone(frames)))
            return (latents.float() - _channels(self.mean)) / _channels(self.std)

    def to_frames(self, cells: Float[Tensor, "b c f y x"]) -> Float[Tensor, "b t 3 h w"]:
        latents = self._alone(cells * _channels(self.std) + _channels(self.mean))
        return self._beside(self.tokenizer.decode(latents)).clamp(0.0, 1.0)

    def prepare(self) -> None:
        """Read the tokenizer's weights. Errors are those of `fill`."""
        if not self.is_filled:
            fill(self.tokenizer, self.run)
            self.is_filled.fill_(True)

    @torch.no_grad()
    def look_at(self, frames: Float[Tensor, "b t 3 h w"]) -> None:
        """Take the first batch's mean and deviation of every channel (over all processes)."""
        if self.is_measured:
            return
        mean, std = channel_moments(self.tokenizer.encode(self._alone(frames)))
        self.mean.copy_(mean)
        self.std.copy_(std)
        self.is_measured.fill_(True)

    def _alone(self, pictures: Float[Tensor, "b *more vx"]) -> Float[Tensor, "vb *more x"]:
        """The cameras as more rows."""
        return pictures if self.views == 1 else torch.cat(pictures.chunk(self.views, dim=-1))

    def _beside(self, pictures: Float[Tensor, "vb *more x"]) -> Float[Tensor, "b *more vx"]:
        return pictures if self.views == 1 else torch.cat(pictures.chunk(self.views), dim=-1)


def channel_moments(cells: Float[Tensor, "b c f y x"]) -> tuple[Float[Tensor, " c"], Float[Tensor, " c"]]:
    """Mean and deviation (at least LEAST_STD) of every channel, over all processes."""
    values = cells.double().transpose(0, 1).flatten(1)
    sums = torch.stack([torch.ones_like(values).sum(1), values.sum(1), values.square().sum(1)])
    if dist.is_initialized():
        dist.all_reduce(sums)
    count, total, squares = sums
    return total / count, (squares / count - (total / count).square()).clamp_min(0.0).sqrt().clamp_min(LEAST_STD)


def _channels(values: Float[Tensor, " c"]) -> Float[Tensor, "c 1 1 1"]:
    return values[:, None, None, None]
