"""How good a tokenizer of video is: beside linear codes that keep as many numbers, and JPEG and H.264 with as many bits.

A continuous tokenizer is compared with linear codes fitted on its training clips (`transform_coding`), a discrete one with codecs at equal
bits (`codecs_at_equal_bits`), both with the first frame shown again and again. Every clip is one value, its mean PSNR and SSIM over frames;
intervals are bootstrapped over clips. Clips of one scene are alike, so of few scenes the intervals are narrower than the truth.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from armillary.core import DataError, Estimate, WorldError, bootstrap
from armillary.evaluate.code_usage import CodeCounts, CodeUsage, bits_per_code
from armillary.evaluate.codecs_at_equal_bits import Coded, h264_at, motion_jpeg_at
from armillary.evaluate.transform_coding import Block, FirstFrameAlone, LinearCode, PrincipalBlocks, TruncatedDct
from armillary.evaluate.video import psnr, ssim

COPY_FIRST = "copy-first-frame"
JPEG, H264 = "motion JPEG", "H.264"
DCT_ZONAL, DCT_FITTED, DCT_LARGE, PCA = "DCT, lowest frequencies", "DCT, fitted", "DCT, fitted, large blocks", "PCA of blocks"


class Tokenizer(ABC):
    """What turns a clip into numbers or codes, and those back into a clip."""

    @property
    @abstractmethod
    def codebook_size(self) -> int | None:
        """How many values a code can have; None for a tokenizer whose codes are real numbers."""

    @abstractmethod
    def encode(self, clip: Float[Tensor, "t 3 h w"]) -> Tensor:
        """All that the decoder is given, of any shape: real numbers, or codes from 0 to `codebook_size` - 1."""

    @abstractmethod
    def decode(self, code: Tensor) -> Float[Tensor, "t 3 h w"]:
        """The clip, in [0, 1] but for what is clipped."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """How well somebody gave the clips back: a value a clip. `numbers` or `bits` are what a clip took in the mean, None where not asked.

    `over_budget` counts clips that a codec could not make small enough, `code_usage` is a discrete tokenizer's on all of them.
    """

    name: str
    psnr_db: tuple[float, ...]
    ssim: tuple[float, ...]
    numbers: float | None = None
    bits: float | None = None
    over_budget: int = 0
    code_usage: CodeUsage | None = None

    def estimate_psnr(self) -> Estimate:
        """Mean over clips in dB, with its interval."""
        return bootstrap(self.psnr_db)

    def estimate_ssim(self) -> Estimate:
        """Mean over clips, with its interval."""
        return bootstrap(self.ssim)

    def gain_db(self, over: "Subject") -> Estimate:
        """By how much its PSNR is better than another's, the difference taken clip by clip."""
        return bootstrap([one - other for one, other in zip(self.psnr_db, over.psnr_db, strict=True)])


def tokenizer_table(
    name: str,
    tokenizer: Tokenizer,
    held_out: Sequence[Float[Tensor, "t 3 h w"]],
    codes: Mapping[str, LinearCode],
) -> list[Subject]:
    """The tokenizer, then whom it must beat. All held-out clips are of one shape; `codes` are `linear_codes` of its training clips.

    A continuous tokenizer is compared with the `codes`, which must keep as many numbers, a discrete one with codecs at its bits.
    DataError without clips or with clips of several shapes, WorldError where the tokenizer breaks its contract.
    """
    clip_shape = _one_shape(held_out)
    judged = judge_tokenizer(name, tokenizer, held_out)
    if tokenizer.codebook_size is not None:
        return [judged, *judge_codecs(held_out, int(judged.bits)), judge_copy_first(held_out)]
    for other, code in codes.items():
        if code.numbers_of(clip_shape) != judged.numbers:
            kept = code.numbers_of(clip_shape)
            raise DataError(f"{other} keeps {kept} numbers of a clip and {name} {judged.numbers:g}; fit it with as many")
    return [judged, *judge_linear_codes(held_out, codes), judge_copy_first(held_out)]


def linear_codes(
    training: Sequence[Float[Tensor, "t 3 h w"]], *, frames: int, size: int, channels: int, large: tuple[int, int] = (16, 32)
) -> dict[str, LinearCode]:
    """Linear codes that keep as many numbers as a causal tokenizer of `channels` a cell of `frames` x `size` x `size` pixels.

    Clips are of 1 + k `frames` frames and the first is coded alone, as there. `large` is the (frames, size) of the larger blocks with the
    same share of numbers kept: a tokenizer too sees beyond its cells. They must divide the clips; multiples of (`frames`, `size`).
    """
    found: dict[str, LinearCode] = {}
    first, rest = [clip[:1] for clip in training], [clip[1:] for clip in training]
    small = Block(frames=1, height=size, width=size), Block(frames=frames, height=size, width=size)
    found[DCT_ZONAL] = FirstFrameAlone(*(TruncatedDct.zonal(block, channels) for block in small))
    found[DCT_FITTED] = FirstFrameAlone(
        TruncatedDct.fitted(first, small[0], channels),
        TruncatedDct.fitted(rest, small[1], channels),
    )
    area = (large[1] // size) ** 2 * channels
    found[DCT_LARGE] = FirstFrameAlone(
        TruncatedDct.fitted(first, Block(frames=1, height=large[1], width=large[1]), area),
        TruncatedDct.fitted(rest, Block(frames=large[0], height=large[1], width=large[1]), large[0] // frames * area),
    )
    found[PCA] = FirstFrameAlone(PrincipalBlocks(first, small[0], channels), PrincipalBlocks(rest, small[1], channels))
    return found


def judge_tokenizer(name: str, tokenizer: Tokenizer, clips: Sequence[Float[Tensor, "t 3 h w"]]) -> Subject:
    """A tokenizer's clips, what they took, and for a discrete one the codes that it used. DataError for a code that does not exist."""
    returned, numbers = [], 0
    counts = None if tokenizer.codebook_size is None else CodeCounts(tokenizer.codebook_size)
    for clip in clips:
        with torch.no_grad():
            code = tokenizer.encode(clip)
            returned.append(tokenizer.decode(code))
        numbers += code.numel()
        if counts is not None:
            counts.update(code)
    mean = numbers / len(clips)
    if counts is None:
        return _judged(name, clips, returned, numbers=mean)
    return _judged(name, clips, returned, numbers=mean, bits=mean * bits_per_code(counts.num_codes), code_usage=counts.usage())


def judge_linear_codes(clips: Sequence[Float[Tensor, "t 3 h w"]], codes: Mapping[str, LinearCode]) -> list[Subject]:
    """Each linear code's clips."""
    return [
        _judged(name, clips, [code.reconstruct(clip) for clip in clips], numbers=float(code.numbers_of(clips[0].shape)))
        for name, code in codes.items()
    ]


def judge_codecs(clips: Sequence[Float[Tensor, "t 3 h w"]], bits: int) -> list[Subject]:
    """Motion JPEG and H.264 with at most `bits` a clip."""
    return [_judge_codec(JPEG, motion_jpeg_at, clips, bits), _judge_codec(H264, h264_at, clips, bits)]


def judge_copy_first(clips: Sequence[Float[Tensor, "t 3 h w"]]) -> Subject:
    """The first frame as it was, for every frame. Only the frames after it are judged: its own 100 dB would raise the mean."""
    later = [clip[1:] for clip in clips]
    return _judged(COPY_FIRST, later, [clip[:1].expand_as(rest) for clip, rest in zip(clips, later, strict=True)])


def _judge_codec(name: str, codec: Callable[[Tensor, int], Coded], clips: Sequence[Float[Tensor, "t 3 h w"]], bits: int) -> Subject:
    coded = [codec(clip, bits) for clip in clips]
    used, over = sum(one.bits for one in coded) / len(coded), sum(not one.fits for one in coded)
    return _judged(name, clips, [one.clip for one in coded], bits=used, over_budget=over)


def _judged(name: str, clips: Sequence[Tensor], returned: Sequence[Tensor], **took) -> Subject:
    near, alike = [], []
    for clip, other in zip(clips, returned, strict=True):
        if other.shape != clip.shape or not bool(torch.isfinite(other).all()):
            shapes = f"{tuple(other.shape)} for a clip of {tuple(clip.shape)}"
            raise WorldError(f"{name} gave back {shapes}; it must be the clip's shape and finite everywhere")
        near.append(float(psnr(other.clamp(0.0, 1.0), clip).mean()))
        alike.append(float(ssim(other.clamp(0.0, 1.0), clip).mean()))
    return Subject(name=name, psnr_db=tuple(near), ssim=tuple(alike), **took)


def _one_shape(clips: Sequence[Tensor]) -> tuple[int, ...]:
    shapes = {tuple(clip.shape) for clip in clips}
    if len(shapes) != 1:
        raise DataError(f"a tokenizer is judged on clips of one shape, received {sorted(shapes) or 'no clips'}; cut them alike")
    return shapes.pop()
