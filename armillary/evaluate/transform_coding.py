"""Linear codes of video: a truncated DCT of blocks and the principal components of blocks, what a learned tokenizer must beat.

Each keeps a fixed set of numbers of every block, so that as with a tokenizer no bits are spent on telling which. `TruncatedDct` transforms
time, colour, rows and columns of a block by the orthonormal DCT-II. `zonal` keeps the lowest frequencies, `fitted` those that
are largest on training clips: the best that this transform can do. `PrincipalBlocks` is the best of all linear codes of such blocks on
its training clips (Karhunen and Loeve).
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import torch
from jaxtyping import Float, Int
from torch import Tensor

from armillary.core import ConfigError, DataError
from armillary.nn.dct import dct, lowest_frequencies, smallest

COLOURS = 3


@dataclass(frozen=True, kw_only=True)
class Block:
    """How large a block is, in frames and pixels. It spans the three colours."""

    frames: int
    height: int
    width: int

    def __post_init__(self):
        if min(self.frames, self.height, self.width) < 1:
            raise ConfigError(f"a block needs at least one frame, row and column, received {self}")

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Frames, colours, rows, columns."""
        return self.frames, COLOURS, self.height, self.width

    @property
    def numbers(self) -> int:
        """How many numbers a block holds."""
        return prod(self.shape)

    def cut(self, clip: Float[Tensor, "t 3 h w"]) -> Float[Tensor, "n bt 3 bh bw"]:
        """The blocks of a clip: rows of blocks of the first frames first. DataError where they do not fill the clip."""
        if any(length % size for length, size in zip(clip.shape, (self.frames, COLOURS, self.height, self.width), strict=True)):
            sizes = f"{self.frames} x {self.height} x {self.width}"
            raise DataError(f"blocks of {sizes} do not fill a clip of shape {tuple(clip.shape)} (t c h w); choose sizes that divide it")
        time, _, rows, columns = clip.shape
        grid = clip.reshape(time // self.frames, self.frames, COLOURS, rows // self.height, self.height, columns // self.width, self.width)
        return grid.permute(0, 3, 5, 1, 2, 4, 6).flatten(0, 2)

    def join(self, blocks: Float[Tensor, "n bt 3 bh bw"], clip_shape: Sequence[int]) -> Float[Tensor, "t 3 h w"]:
        """The clip of that shape that `cut` would cut into these blocks."""
        time, _, rows, columns = clip_shape
        grid = blocks.reshape(time // self.frames, rows // self.height, columns // self.width, *self.shape)
        return grid.permute(0, 3, 4, 1, 5, 2, 6).reshape(time, COLOURS, rows, columns)


class LinearCode(ABC):
    """What keeps some numbers of a clip and gives a clip back from them alone."""

    @abstractmethod
    def reconstruct(self, clip: Float[Tensor, "t 3 h w"]) -> Float[Tensor, "t 3 h w"]:
        """The clip as it comes back: not clipped to [0, 1]. DataError where the clip cannot be cut into blocks."""

    @abstractmethod
    def numbers_of(self, clip_shape: Sequence[int]) -> int:
        """How many numbers are kept of a clip of shape `t 3 h w`."""


class BlockCode(LinearCode):
    """A linear code that treats every block alike and keeps `count` numbers of it."""

    def __init__(self, block: Block, count: int):
        if not 1 <= count <= block.numbers:
            raise ConfigError(f"count must be from 1 to {block.numbers}, the numbers of a block {block.shape}; received {count}")
        self.block, self.count = block, count

    @abstractmethod
    def project(self, blocks: Float[Tensor, "n bt 3 bh bw"]) -> Float[Tensor, "n bt 3 bh bw"]:
        """Blocks as they come back."""

    def reconstruct(self, clip: Float[Tensor, "t 3 h w"]) -> Float[Tensor, "t 3 h w"]:
        return self.block.join(self.project(self.block.cut(clip)), clip.shape)

    def numbers_of(self, clip_shape: Sequence[int]) -> int:
        return prod(clip_shape) // self.block.numbers * self.count


class TruncatedDct(BlockCode):
    """Of the DCT of every block, the `kept` positions; all others are taken to be zero."""

    def __init__(self, block: Block, kept: Int[Tensor, "k 4"]):
        super().__init__(block, len(kept))
        self.kept = torch.zeros(block.shape, dtype=torch.bool)
        self.kept[tuple(kept.T)] = True

    @classmethod
    def zonal(cls, block: Block, count: int) -> "TruncatedDct":
        """The lowest frequencies: nearest to zero in half cycles a frame and a pixel (`nn.dct`)."""
        return cls(block, lowest_frequencies(block.shape, count))

    @classmethod
    def fitted(cls, clips: Sequence[Float[Tensor, "t 3 h w"]], block: Block, count: int) -> "TruncatedDct":
        """The positions whose mean square over the blocks of the (training) clips is largest."""
        _refuse_none(clips)
        total = torch.zeros(block.shape, dtype=torch.float64)
        for clip in clips:
            total += dct(block.cut(clip.double())).square().sum(0)
        return cls(block, smallest(-total, count))

    def project(self, blocks: Float[Tensor, "n bt 3 bh bw"]) -> Float[Tensor, "n bt 3 bh bw"]:
        return dct(dct(blocks) * self.kept, inverse=True)


class PrincipalBlocks(BlockCode):
    """The mean block of the training clips, and how far each block lies from it along the `count` directions of most variance.

    The covariance has a row for every number of a block: for blocks of a few thousand numbers.
    """

    def __init__(self, clips: Sequence[Float[Tensor, "t 3 h w"]], block: Block, count: int):
        super().__init__(block, count)
        _refuse_none(clips)
        total, products, blocks = 0.0, 0.0, 0
        for clip in clips:
            flat = block.cut(clip.double()).flatten(1)
            total, products, blocks = total + flat.sum(0), products + flat.T @ flat, blocks + len(flat)
        self.mean: Float[Tensor, " d"] = total / blocks
        covariance = products / blocks - torch.outer(self.mean, self.mean)
        self.directions: Float[Tensor, "d k"] = torch.linalg.eigh(covariance).eigenvectors[:, -count:]

    def project(self, blocks: Float[Tensor, "n bt 3 bh bw"]) -> Float[Tensor, "n bt 3 bh bw"]:
        mean, directions = self.mean.to(blocks.dtype), self.directions.to(blocks.dtype)
        return ((blocks.flatten(1) - mean) @ directions @ directions.T + mean).reshape(blocks.shape)


class FirstFrameAlone(LinearCode):
    """The first frame by one code and the 1 + k T - 1 frames after it by another, as a causal tokenizer cuts a clip."""

    def __init__(self, first: BlockCode, rest: BlockCode):
        if first.block.frames != 1:
            raise ConfigError(f"the code of the first frame needs blocks of one frame, received {first.block.frames}")
        self.first, self.rest = first, rest

    def reconstruct(self, clip: Float[Tensor, "t 3 h w"]) -> Float[Tensor, "t 3 h w"]:
        return torch.cat([self.first.reconstruct(clip[:1]), self.rest.reconstruct(clip[1:])])

    def numbers_of(self, clip_shape: Sequence[int]) -> int:
        time, *frame = clip_shape
        return self.first.numbers_of((1, *frame)) + self.rest.numbers_of((time - 1, *frame))


def _refuse_none(clips: Sequence) -> None:
    if len(clips) == 0:
        raise DataError("a code is fitted on training clips, received none; give at least one")
