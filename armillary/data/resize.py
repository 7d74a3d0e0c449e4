"""Shrinking pictures by area: every output pixel is the exact mean of the box of input pixels that it covers.

Imported by the decode child too, so nothing here may import torch.
"""

from functools import cache
from math import gcd

import numpy as np
from jaxtyping import Float32, UInt8

RESIZE_VERSION = 1  # part of every cache key: raise it when the same input would give other bytes
_CHUNK_BYTES = 4 << 20


def area_resize(frames: UInt8[np.ndarray, "t h w c"], size: tuple[int, int]) -> UInt8[np.ndarray, "t height width c"]:
    """Frames at `size` = (height, width), each pixel the area-weighted mean, halves rounded up.

    The weights are whole numbers, so the float32 sums are exact and every machine gives the same bytes
    (as long as the reduced ratios of both axes multiply to less than 32,768; beyond that within one grey level).

    >>> area_resize(np.arange(16, dtype=np.uint8).reshape(1, 4, 4, 1), (2, 2))[0, ..., 0].tolist()
    [[3, 5], [11, 13]]
    """
    height, width = size
    if height < 1 or width < 1:
        raise ValueError(f"size must be (height, width) of at least 1 pixel, received {size}")
    count, source_height, source_width, channels = frames.shape
    if (source_height, source_width) == (height, width):
        return np.ascontiguousarray(frames)
    out = np.empty((count, height, width, channels), dtype=np.uint8)
    step = max(1, _CHUNK_BYTES // (4 * source_height * source_width * channels))
    for first in range(0, count, step):
        out[first : first + step] = _resize_chunk(frames[first : first + step], height, width)
    return out


def _resize_chunk(frames: UInt8[np.ndarray, "t h w c"], height: int, width: int) -> UInt8[np.ndarray, "t height width c"]:
    count, source_height, source_width, channels = frames.shape
    rows, columns = overlap_weights(source_height, height), _interleaved_weights(source_width, width, channels)
    values = frames.astype(np.float32).reshape(-1, rows.shape[1], source_width * channels)
    values = np.matmul(rows, values).reshape(-1, columns.shape[0])
    values = np.matmul(values, columns).reshape(count, height, width, channels)
    area = np.float32(rows.shape[1] * (columns.shape[0] // channels))
    values += area / 2
    values /= area
    return values.astype(np.uint8)


@cache
def overlap_weights(source: int, target: int) -> Float32[np.ndarray, "q p"]:
    """How much of each of `p` input pixels falls into each of `q` output pixels, in units of 1/q of an input pixel.

    `p / q` is `source / target` reduced: the pattern repeats `gcd(source, target)` times along the axis. Rows sum to `p`.
    """
    repeats = gcd(source, target)
    p, q = source // repeats, target // repeats
    left_out, left_in = np.arange(q)[:, None] * p, np.arange(p)[None, :] * q
    overlap = np.minimum(left_out + p, left_in + q) - np.maximum(left_out, left_in)
    return np.maximum(overlap, 0).astype(np.float32)


@cache
def _interleaved_weights(source: int, target: int, channels: int) -> Float32[np.ndarray, "pc qc"]:
    """The same weights for a row of pixels whose channels lie interleaved in memory."""
    return np.ascontiguousarray(np.kron(overlap_weights(source, target).T, np.eye(channels, dtype=np.float32)))
