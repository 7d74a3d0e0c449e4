"""What JPEG and H.264 make of a clip with at most so many bits: the best quality that fits.

Judged by PSNR of RGB, H.264 is better in 4:4:4 than in its usual 4:2:0 at every rate that matters here, so that is how it is asked; of JPEG
both are tried.
Everything that is the same for every clip of one size is left uncounted, in favour of these codecs: of a JPEG only the compressed
picture counts (its tables are the standard's, and its sizes and quality are a few bytes), of H.264 only its slices (no container, no
parameter sets, no remarks of the encoder).
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from io import BytesIO

import av
import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from armillary.core import ConfigError, DataError, to_disk, to_model

JPEG_QUALITIES = (1, 95)  # above 95 a JPEG grows with no gain (Pillow's own advice)
H264_WORST_CRF, CRF_STEPS_PER_UNIT = 51, 4
H264_RATE = Fraction(24)
H264_SLICES = (1, 5)  # NAL unit types: a slice of a picture, and one of a picture that needs no other (ITU-T H.264, table 7-1)


@dataclass(frozen=True, kw_only=True)
class Coded:
    """A clip as it came back, in [0, 1], and the bits that it took. `fits` is False where even the lowest quality took too many."""

    clip: Float[Tensor, "t 3 h w"]
    bits: int
    fits: bool


def motion_jpeg_at(clip: Float[Tensor, "t 3 h w"], bits: int) -> Coded:
    """Every frame as a JPEG of one quality, the highest with which all frames together take at most `bits`: in 4:2:0, or in 4:4:4 where
    that fits and is nearer to the clip. One frame is a picture by JPEG.

    DataError for a clip without frames, ConfigError for bits < 1.
    """
    frames = _checked(clip, bits)

    def coded(quality: int, chroma: str) -> tuple[int, list[UInt8[np.ndarray, "h w 3"]]]:
        files = [_jpeg(frame, quality, chroma) for frame in frames]
        return sum(8 * _scan_bytes(file) for file in files), [np.asarray(Image.open(BytesIO(file))) for file in files]

    small, full = (_best(partial(coded, chroma=chroma), *JPEG_QUALITIES, bits) for chroma in ("4:2:0", "4:4:4"))
    better = full.fits and (full.clip - clip).square().mean() < (small.clip - clip).square().mean()
    return full if better else small


def h264_at(clip: Float[Tensor, "t 3 h w"], bits: int) -> Coded:
    """A clip by libx264 in 4:4:4, tuned for PSNR, preset "veryslow", one key frame, with the lowest `crf` that fits (in quarters of one).

    DataError for a clip without frames, ConfigError for bits < 1.
    """
    frames = _checked(clip, bits)

    def coded(quality: int) -> tuple[int, list[UInt8[np.ndarray, "h w 3"]]]:
        extradata, packets = _h264(frames, H264_WORST_CRF - quality / CRF_STEPS_PER_UNIT)
        return sum(8 * _slice_bytes(packet) for packet in packets), _h264_decoded(extradata, packets)

    return _best(coded, 0, H264_WORST_CRF * CRF_STEPS_PER_UNIT, bits)


def _checked(clip: Float[Tensor, "t 3 h w"], bits: int) -> UInt8[np.ndarray, "t h w 3"]:
    if bits < 1:
        raise ConfigError(f"bits must be at least 1, received {bits}")
    if len(clip) == 0:
        raise DataError(f"a clip without frames cannot be coded, received shape {tuple(clip.shape)}; give at least one frame")
    return to_disk(clip)


def _best(coded: Callable[[int], tuple[int, list]], lowest: int, highest: int, bits: int) -> Coded:
    """By bisection the highest quality that fits, as if bits only grew with it; the lowest where none does."""
    used, frames = coded(lowest)
    fits = used <= bits
    while fits and lowest < highest:
        middle = (lowest + highest + 1) // 2
        tried, pictures = coded(middle)
        if tried <= bits:
            lowest, used, frames = middle, tried, pictures
        else:
            highest = middle - 1
    return Coded(clip=to_model(np.stack(frames)), bits=used, fits=fits)


def _jpeg(frame: UInt8[np.ndarray, "h w 3"], quality: int, chroma: str) -> bytes:
    file = BytesIO()
    Image.fromarray(frame).save(file, format="JPEG", quality=quality, subsampling=chroma, optimize=False)
    return file.getvalue()


def _scan_bytes(file: bytes) -> int:
    """Length of the compressed picture in a JPEG of one scan: from the end of the SOS header to the marker that ends the file."""
    place = 2
    while file[place + 1] != 0xDA:
        place += 2 + int.from_bytes(file[place + 2 : place + 4])
    return len(file) - 2 - (place + 2 + int.from_bytes(file[place + 2 : place + 4]))


def _h264(frames: UInt8[np.ndarray, "t h w 3"], crf: float) -> tuple[bytes, list[bytes]]:
    """The parameter sets, and a packet for every frame."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.height, encoder.width = frames.shape[1:3]
    encoder.pix_fmt, encoder.framerate, encoder.time_base = "yuv444p", H264_RATE, 1 / H264_RATE
    encoder.gop_size, encoder.thread_count = len(frames), 1
    encoder.flags |= av.codec.context.Flags.global_header | av.codec.context.Flags.bitexact
    encoder.options = {"crf": f"{crf:g}", "preset": "veryslow", "tune": "psnr", "x264-params": "scenecut=0"}
    packets = []
    for number, picture in enumerate([*frames, None]):
        frame = None if picture is None else av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        if frame is not None:
            frame.pts, frame.time_base = number, 1 / H264_RATE
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return bytes(encoder.extradata), packets


def _slice_bytes(packet: bytes) -> int:
    """Bytes of the slices in a packet, without the start codes before its NAL units."""
    units = packet.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")
    return sum(len(unit) for unit in units if unit and unit[0] & 0x1F in H264_SLICES)


def _h264_decoded(extradata: bytes, packets: list[bytes]) -> list[UInt8[np.ndarray, "h w 3"]]:
    decoder = av.CodecContext.create("h264", "r")
    decoder.extradata, decoder.thread_count = extradata, 1
    frames = [frame for packet in [*map(av.Packet, packets), None] for frame in decoder.decode(packet)]
    return [frame.to_ndarray(format="rgb24") for frame in frames]
