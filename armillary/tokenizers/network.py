"""The network of a video tokenizer (Cosmos, arXiv:2501.03575, section 5): wavelet patches, then a causal encoder and decoder.

Nothing in it looks ahead: a latent knows its own frames and those before, and the first latent the first frame alone.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from armillary.core import ConfigError, WorldError
from armillary.nn.causal_convolution import FactorisedConvolution, Memory, SpaceConvolution
from armillary.nn.fsq import Fsq
from armillary.nn.levelled_bands import LevelledBands
from armillary.nn.quantise import Quantiser
from armillary.nn.vector_quantise import VectorQuantiser
from armillary.nn.wavelet import HaarPatching
from armillary.tokenizers.blocks import Doubling, FrameNorm, Halving, Level, Middle
from armillary.tokenizers.config import TokenizerConfig
from armillary.tokenizers.linear_path import LinearPath
from armillary.tokenizers.posterior import Posterior


class Encoder(nn.Module):
    """Video in [-1, 1] to latents; twice the channels where it says a log variance too."""

    def __init__(self, config: TokenizerConfig):
        super().__init__()
        in_time, latents = config.in_time, config.latent_channels * (2 if config.bottleneck == "gaussian" else 1)
        widths = [config.channels, *(config.channels * multiplier for multiplier in config.multipliers)]
        self.patching = _patching(config)
        self.enter = FactorisedConvolution(self.patching.channels, widths[0], in_time=in_time)
        self.levels = nn.ModuleList()
        for index, width in enumerate(widths[1:]):
            step = Halving(width, time=index < config.time_steps) if index < config.space_steps else None
            attends = index in config.attention_levels
            self.levels.append(Level(widths[index], width, blocks=config.blocks, in_time=in_time, attends=attends, step=step))
        self.middle = Middle(widths[-1], in_time=in_time)
        self.norm = FrameNorm(widths[-1])
        self.leave = FactorisedConvolution(widths[-1], latents, in_time=in_time)
        self.project = SpaceConvolution(latents, latents, 1)

    def forward(self, video: Float[Tensor, "b 3 t h w"], memory: Memory) -> Float[Tensor, "b d t2 h2 w2"]:
        patches = self.patching(video, begins=memory.begins)
        inner = self.enter(patches.contiguous(memory_format=torch.channels_last_3d), memory)
        for level in self.levels:
            inner = level(inner, memory)
        inner = self.middle(inner, memory)
        return self.project(self.leave(functional.silu(self.norm(inner)), memory))


class Decoder(nn.Module):
    """Latents to video, nearly in [-1, 1].

    Its levels are the encoder's in reverse order. It doubles space as early as it can; time never in its first step (so Cosmos does).
    """

    def __init__(self, config: TokenizerConfig):
        super().__init__()
        in_time, last = config.in_time, len(config.multipliers) - 1
        multipliers = [config.multipliers[-1], *reversed(config.multipliers)]
        widths = [config.channels * multiplier for multiplier in multipliers]
        first = 0 if config.space_steps > config.time_steps else 1
        self.project = SpaceConvolution(config.latent_channels, config.latent_channels, 1)
        self.enter = FactorisedConvolution(config.latent_channels, widths[0], in_time=in_time)
        self.middle = Middle(widths[0], in_time=in_time)
        self.levels = nn.ModuleList()
        for index, width in enumerate(widths[1:]):
            doubles = first <= index < first + config.space_steps
            step = Doubling(width, time=1 <= index <= config.time_steps) if doubles else None
            attends = last - index in config.attention_levels
            self.levels.append(Level(widths[index], width, blocks=config.blocks + 1, in_time=in_time, attends=attends, step=step))
        self.norm = FrameNorm(widths[-1])
        self.patching = _patching(config)
        self.leave = FactorisedConvolution(widths[-1], self.patching.channels, in_time=in_time)

    def forward(self, latents: Float[Tensor, "b d t2 h2 w2"], memory: Memory) -> Float[Tensor, "b 3 t h w"]:
        inner = self.project(latents.contiguous(memory_format=torch.channels_last_3d))
        inner = self.middle(self.enter(inner, memory), memory)
        for level in self.levels:
            inner = level(inner, memory)
        patches = self.leave(functional.silu(self.norm(inner)), memory)
        return self.patching.inverse(patches, begins=memory.begins)


class VideoAutoencoder(nn.Module):
    """Frames to latents and back: `1 + k T` frames give `1 + T` latents, with k the config's time rate; an image is a video of one frame.

    >>> network = VideoAutoencoder(TokenizerConfig(rate="4x8x8", channels=4))
    >>> latents = network.encode(torch.rand(1, 5, 3, 32, 48))
    >>> latents.shape, network.decode(latents).shape
    (torch.Size([1, 16, 2, 4, 6]), torch.Size([1, 5, 3, 32, 48]))
    """

    def __init__(self, config: TokenizerConfig):
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.quantiser = _quantiser(config)
        self.linear_path = None
        if config.linear_path:
            self.linear_path = LinearPath((config.time_rate, config.space_rate, config.space_rate), config.latent_channels)
            for last in (self.encoder.project, self.decoder.leave.time or self.decoder.leave.space):
                nn.init.zeros_(last.weight)
                nn.init.zeros_(last.bias)

    def encode(self, frames: Float[Tensor, "b t c h w"]) -> Float[Tensor, "b d t2 h2 w2"]:
        """The latents of frames in [0, 1], without chance: a gaussian posterior's mean, the values of a discrete network's codes.

        WorldError for an illegal length or size.
        """
        return self.encode_chunk(frames, Memory())

    def codes(self, frames: Float[Tensor, "b t c h w"]) -> Int[Tensor, "b t2 h2 w2"]:
        """The codes of frames in [0, 1]. ConfigError for a network without codes; WorldError for an illegal length or size."""
        return self.discrete().quantise(self.read(frames, Memory())).codes

    def decode_codes(self, codes: Int[Tensor, "b t2 h2 w2"]) -> Float[Tensor, "b t c h w"]:
        """The frames of codes. ConfigError for a network without codes, DataError for a code that does not exist."""
        return self.decode(self.discrete().codes_to_z(codes))

    def discrete(self) -> Quantiser:
        """What makes codes of latents. ConfigError for a network without."""
        if self.quantiser is None:
            raise ConfigError(f"only bottleneck = fsq or vq has codes, this network has {self.config.bottleneck}; use encode and decode")
        return self.quantiser

    def posterior(self, frames: Float[Tensor, "b t c h w"]) -> Posterior:
        """What a gaussian encoder says of every latent. ConfigError for a plain one; WorldError for an illegal length or size."""
        if self.config.bottleneck != "gaussian":
            raise ConfigError(f"only bottleneck = gaussian has a variance, this network has {self.config.bottleneck}; use encode")
        return Posterior.of(self.read(frames, Memory()))

    def decode(self, latents: Float[Tensor, "b d t2 h2 w2"]) -> Float[Tensor, "b t c h w"]:
        """Frames, nearly in [0, 1] (nothing is cut off). WorldError for latents of another number of channels, or none."""
        return self.draw(latents, Memory())

    def encode_chunk(self, frames: Float[Tensor, "b t c h w"], memory: Memory) -> Float[Tensor, "b d t2 h2 w2"]:
        """The latents of one chunk. Errors are those of `encode`."""
        latents = self.read(frames, memory)[:, : self.config.latent_channels]
        return latents if self.quantiser is None else self.quantiser.quantise(latents).z

    def read(self, frames: Float[Tensor, "b t c h w"], memory: Memory) -> Float[Tensor, "b d t2 h2 w2"]:
        """What the encoder says of one chunk, means and log variances. Errors are those of `encode`."""
        self.config.check_picture(*frames.shape[2:])
        self.config.num_latents(frames.shape[1], begins=memory.begins)
        video = 2 * frames.transpose(1, 2) - 1
        encoded = self.encoder(video, memory)
        if self.linear_path is not None:
            straight = self.linear_path.encode(video, begins=memory.begins)
            encoded = encoded.to(straight.dtype) + functional.pad(straight, (0, 0) * 3 + (0, encoded.shape[1] - straight.shape[1]))
        return encoded

    def draw(self, latents: Float[Tensor, "b d t2 h2 w2"], memory: Memory) -> Float[Tensor, "b t c h w"]:
        """The frames of one chunk of latents. Errors are those of `decode`."""
        if latents.shape[1] != self.config.latent_channels or min(latents.shape[2:]) < 1:
            raise WorldError(
                f"latents must be batch, {self.config.latent_channels} channels, times, rows and columns, one or more of each, "
                f"received {tuple(latents.shape)}"
            )
        video = self.decoder(latents, memory)
        if self.linear_path is not None:
            video = video + self.linear_path.decode(latents, begins=memory.begins)
        return (video.transpose(1, 2) + 1) / 2


def _patching(config: TokenizerConfig) -> HaarPatching:
    return (LevelledBands if config.linear_path else HaarPatching)(config.patch, in_time=config.in_time)


def _quantiser(config: TokenizerConfig) -> Quantiser | None:
    if config.bottleneck == "fsq":
        return Fsq(config.levels)
    return VectorQuantiser(num_codes=config.num_codes, size=config.latent_channels) if config.bottleneck == "vq" else None
