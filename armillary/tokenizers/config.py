"""Settings of a video tokenizer, and which lengths and sizes of video suit them."""

import re
from dataclasses import dataclass

from armillary.core import ConfigError, WorldError

BOTTLENECKS = ("plain", "gaussian", "fsq", "vq")
_RATE = re.compile(r"(?:([0-9]{1,3})x)?([0-9]{1,3})x([0-9]{1,3})")


@dataclass(frozen=True, kw_only=True)
class TokenizerConfig:
    """One causal network for images and video: its rate, its sizes and its bottleneck.

    ConfigError where they do not hold together.

    >>> TokenizerConfig(rate="4x8x8").num_latents(17)
    5
    """

    rate: str = "4x8x8"  # frames x rows x columns of pixels for one latent; rows x columns alone: every frame is an image of its own
    channels: int = 16  # of the first layer, in multiples of which the levels are counted
    multipliers: tuple[int, ...] = (2, 4, 4)
    blocks: int = 2  # residual blocks of a level of the encoder; the decoder has one more
    latent_channels: int = 16  # numbers of a latent; with fsq as many as `levels`
    patch: int = 4  # sides of the wavelet patches, in pixels (and frames)
    attention_levels: tuple[int, ...] = ()  # levels of the encoder, from 0, with attention; the middle always has it
    bottleneck: str = "plain"  # "gaussian": a mean and a log variance for every latent; "fsq", "vq": one code for every latent
    levels: tuple[int, ...] = (8, 8, 8, 5, 5, 5)  # of fsq: values of each number of a latent
    num_codes: int = 4096  # of vq
    linear_path: bool = False  # beside the network: each cell's lowest frequencies, so that an untrained one is no worse than a DCT

    def __post_init__(self):
        counts = (self.channels, self.blocks, self.latent_channels, *self.multipliers)
        if not self.multipliers or min(counts) < 1:
            raise ConfigError(f"channels, blocks, latent_channels and at least one of multipliers must be 1 or more, received {self}")
        if self.bottleneck not in BOTTLENECKS:
            raise ConfigError(f"bottleneck must be one of {', '.join(BOTTLENECKS)}, received {self.bottleneck!r}")
        if self.bottleneck == "fsq" and self.latent_channels != len(self.levels):
            raise ConfigError(
                f"fsq has levels for each number of a latent: give {len(self.levels)} latent_channels or other levels, "
                f"received {self.latent_channels} latent_channels and levels = {self.levels}"
            )
        if not set(self.attention_levels) <= set(range(len(self.multipliers))):
            raise ConfigError(f"attention_levels must be among 0 to {len(self.multipliers) - 1}, received {self.attention_levels}")
        sides = (self.patch, self.time_rate, self.space_rate)
        if min(sides) < 1 or any(side & (side - 1) for side in sides):
            raise ConfigError(f"patch and the numbers of rate must be powers of two, received patch = {self.patch}, rate = {self.rate!r}")
        steps = len(self.multipliers) - 1
        if not 0 <= self.time_steps <= self.space_steps <= steps or self.time_steps == steps > 0:
            raise ConfigError(
                f"rate = {self.rate!r} cannot be made of patch = {self.patch} and {steps} steps between levels: every step halves once and "
                f"the first of the decoder never time, so space takes {self.space_steps} steps, time {self.time_steps} of them (or is 1); "
                f"choose another patch, or more multipliers"
            )

    @property
    def time_rate(self) -> int:
        """Frames that one latent stands for."""
        return self._rates()[0]

    @property
    def space_rate(self) -> int:
        """Pixels of each side that one latent stands for."""
        return self._rates()[1]

    @property
    def discrete(self) -> bool:
        """Whether a latent is a code."""
        return self.bottleneck in ("fsq", "vq")

    @property
    def in_time(self) -> bool:
        """Whether anything looks across frames: not where every frame is an image of its own."""
        return self.time_rate > 1

    @property
    def space_steps(self) -> int:
        """How often the levels halve space, after the patches."""
        return _halvings(self.space_rate) - _halvings(self.patch)

    @property
    def time_steps(self) -> int:
        """How often the levels halve time, after the patches."""
        return _halvings(self.time_rate) - _halvings(self.patch) if self.in_time else 0

    def num_latents(self, num_frames: int, *, begins: bool = True) -> int:
        """Frames of latents for so many frames of video; `begins` is false for a later chunk of a stream. WorldError if illegal."""
        first, rate = int(begins), self.time_rate
        if num_frames < max(first, 1) or (num_frames - first) % rate:
            legal = ", ".join(str(first + count * rate) for count in range(1 - first, 4 - first))
            where = "a video" if begins else "a later chunk of a stream"
            raise WorldError(
                f"{where} at rate {self.rate} must have {'1 + ' * first}a multiple of {rate} frames ({legal}, ...), "
                f"received {num_frames}; leave some out, or repeat the last"
            )
        return first + (num_frames - first) // rate

    def check_picture(self, channels: int, height: int, width: int) -> None:
        """WorldError unless pictures are of 3 channels and sides that the rate divides."""
        rate = self.space_rate
        if channels != 3 or min(height, width) < 1 or height % rate or width % rate:
            raise WorldError(
                f"pictures at rate {self.rate} must have 3 channels and sides in multiples of {rate} ({rate}, {2 * rate}, ...), "
                f"received {channels} channels, {height} x {width}; resize or cut them"
            )

    def _rates(self) -> tuple[int, int]:
        found = _RATE.fullmatch(self.rate)
        if found is None or found[2] != found[3]:
            raise ConfigError(f"rate must be like 4x8x8 (frames, rows, columns, both sides equal) or 8x8 (images), received {self.rate!r}")
        return int(found[1] or 1), int(found[2])


def _halvings(number: int) -> int:
    return number.bit_length() - 1


PRESETS = {
    "small": TokenizerConfig(linear_path=True),
    "medium": TokenizerConfig(channels=32, linear_path=True),
    "published": TokenizerConfig(channels=128),
}
