"""Joining packets of several mp4 files into one, byte for byte: no decoding, no loss, the index in front of the frames."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from armillary.core.errors import VideoError
from armillary.data.mp4 import VideoTrack

TICKS_PER_FRAME = 512


@dataclass(frozen=True)
class Stretch:
    """Some packets of a track, in decoding order, that can be decoded without any other."""

    track: VideoTrack
    packets: Int64[np.ndarray, " m"]

    @property
    def num_bytes(self) -> int:
        """The size of the packets."""
        return int(self.track.sizes[self.packets].sum())


def stretch_of(track: VideoTrack, first: int, count: int) -> Stretch:
    """The packets of shown frames `first` to `first + count - 1`.

    Raises VideoError when they cannot be cut out without re-encoding: they do not start with a keyframe, or frames of
    a neighbour lie between them.
    """
    packets = track.packets_of(first, count)
    if len(packets) != count:
        raise VideoError(f"{track.path} holds {len(track)} frames; frames {first} to {first + count - 1} were asked for")
    seconds = track.seconds[packets]
    if packets[-1] - packets[0] != count - 1 or not track.keyframe[packets[0]] or seconds[0] > seconds.min():
        raise VideoError(f"{track.path}: frames {first} to {first + count - 1} cannot be cut out whole: they do not start at a keyframe")
    return Stretch(track, packets)


def join(path: Path, stretches: Sequence[Stretch], fps: float | int) -> None:
    """Write an mp4 that shows every frame of `stretches` for `1 / fps` seconds.

    All must come from tracks of the same coding (`VideoTrack.decoding`). The file is a function of its inputs alone.
    """
    first = stretches[0].track
    for stretch in stretches:
        if stretch.track.decoding != first.decoding:
            raise ValueError(f"{stretch.track.path} is coded differently from {first.path}; they need separate files")
    ticks, timescale = _clock(fps)
    shown, decoded = _order(stretches)
    delay = int((decoded - shown).max())
    sizes = np.concatenate([stretch.track.sizes[stretch.packets] for stretch in stretches])
    keyframes = np.flatnonzero(np.concatenate([stretch.track.keyframe[stretch.packets] for stretch in stretches])) + 1
    file_type = first.file_type
    long = int(sizes.sum()) > 2**32 - 2**20
    mdat_header = struct.pack(">I4sQ", 1, b"mdat", int(sizes.sum()) + 16) if long else struct.pack(">I4s", int(sizes.sum()) + 8, b"mdat")

    def index(start: int) -> bytes:
        lengths = [len(stretch.packets) for stretch in stretches]
        offsets = start + np.cumsum([0, *(stretch.num_bytes for stretch in stretches[:-1])], dtype=np.int64)
        media = _media(first, sizes, shown - decoded + delay, keyframes, lengths, offsets, ticks, timescale, long)
        return _movie(first, media, timescale, len(sizes) * ticks, delay * ticks)

    start = len(file_type) + len(index(0)) + len(mdat_header)
    with open(path, "wb") as handle:
        handle.write(file_type + index(start) + mdat_header)
        for stretch in stretches:
            for block in stretch.track.blocks(stretch.packets):
                handle.write(block)


def _clock(fps: float | int) -> tuple[int, int]:
    """Ticks a frame and ticks a second; exact for whole frame rates."""
    if float(fps).is_integer():
        return TICKS_PER_FRAME, int(fps) * TICKS_PER_FRAME
    return 1000, round(fps * 1000)


def _order(stretches: Sequence[Stretch]) -> tuple[np.ndarray, np.ndarray]:
    """For every packet: its place in showing order and in decoding order."""
    shown, start = [], 0
    for stretch in stretches:
        place = np.empty(len(stretch.packets), dtype=np.int64)
        place[np.argsort(stretch.track.seconds[stretch.packets], kind="stable")] = np.arange(len(place))
        shown.append(place + start)
        start += len(place)
    return np.concatenate(shown), np.arange(start)


def _box(kind: bytes, *contents: bytes) -> bytes:
    body = b"".join(contents)
    return struct.pack(">I4s", len(body) + 8, kind) + body


def _full(kind: bytes, *contents: bytes, flags: int = 0, version: int = 0) -> bytes:
    return _box(kind, struct.pack(">I", version << 24 | flags), *contents)


def _table(kind: bytes, rows: np.ndarray, dtype: str = ">u4") -> bytes:
    return _full(kind, struct.pack(">I", len(rows)), rows.astype(dtype).tobytes())


def _run_length(values: np.ndarray) -> np.ndarray:
    starts = np.concatenate([[0], np.flatnonzero(np.diff(values)) + 1])
    return np.stack([np.diff(np.append(starts, len(values))), values[starts]], axis=1)


def _media(first, sizes, shifts, keyframes, lengths, offsets, ticks, timescale, long) -> bytes:
    count = len(sizes)
    chunks = np.stack([np.arange(1, len(lengths) + 1), np.asarray(lengths), np.ones(len(lengths))], axis=1)
    tables = [
        _full(b"stsd", struct.pack(">I", 1), first.sample_entry),
        _table(b"stts", np.array([[count, ticks]])),
        _table(b"stss", keyframes),
        _table(b"stsc", chunks),
        _full(b"stsz", struct.pack(">II", 0, count), sizes.astype(">u4").tobytes()),
        _table(b"co64", offsets, ">u8") if long else _table(b"stco", offsets),
    ]
    if shifts.any():
        tables.insert(2, _table(b"ctts", _run_length(shifts * ticks)))
    reference = _box(b"dinf", _full(b"dref", struct.pack(">I", 1), _full(b"url ", flags=1)))
    information = _box(b"minf", _full(b"vmhd", bytes(8), flags=1), reference, _box(b"stbl", *tables))
    header = _full(b"mdhd", struct.pack(">IIIIHH", 0, 0, timescale, count * ticks, 0x55C4, 0))
    return _box(b"mdia", header, _full(b"hdlr", bytes(4), b"vide", bytes(12), b"VideoHandler\0"), information)


def _movie(first: VideoTrack, media: bytes, timescale: int, duration: int, skipped_ticks: int) -> bytes:
    if duration >= 2**32:
        raise ValueError(f"a video of {duration} ticks is too long for one file; start another one earlier")
    unity = struct.pack(">9i", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    movie = _full(b"mvhd", struct.pack(">IIIIiH10x", 0, 0, timescale, duration, 0x10000, 0x100), unity, bytes(24), struct.pack(">I", 2))
    track = _full(
        b"tkhd",
        struct.pack(">IIIII8xhhhH", 0, 0, 1, 0, duration, 0, 0, 0, 0),
        first.matrix,
        struct.pack(">II", first.width << 16, first.height << 16),
        flags=3,
    )
    edit = _box(b"edts", _full(b"elst", struct.pack(">IIiHH", 1, duration, skipped_ticks, 1, 0)))
    return _box(b"moov", movie, _box(b"trak", track, edit, media))
