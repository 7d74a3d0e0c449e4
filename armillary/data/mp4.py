"""The frame table of an mp4 file, read without a decoder: what a video holds can be checked and hashed in milliseconds.

Only the index (`moov`, ISO/IEC 14496-12) is parsed, with every length checked against the file, so a stranger's file
cannot do more here than raise VideoError. Pixels are decoded elsewhere, in a limited child process.
"""

import hashlib
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float64, Int64

from armillary.core.errors import VideoError

MAX_INDEX_BYTES = 256 * 2**20
MAX_FRAMES = 20_000_000
MAX_BOXES = 100_000
BLOCK_BYTES = 4 * 2**20
CODECS = {b"avc1": "h264", b"avc3": "h264", b"hvc1": "hevc", b"hev1": "hevc", b"av01": "av1", b"vp09": "vp9", b"mp4v": "mpeg4"}
# Boxes of a sample entry that describe a whole recording's bit rate and not how to decode it.
_UNIMPORTANT = (b"btrt",)


@dataclass(frozen=True, kw_only=True)
class VideoTrack:
    """The first video track of an mp4. Arrays are in decoding order; `seconds` is when each frame is shown."""

    path: Path
    codec: str
    width: int
    height: int
    file_type: bytes
    sample_entry: bytes
    matrix: bytes
    sizes: Int64[np.ndarray, " n"]
    offsets: Int64[np.ndarray, " n"]
    seconds: Float64[np.ndarray, " n"]
    keyframe: Bool[np.ndarray, " n"]
    file_bytes: int = 2**63 - 1

    def __len__(self) -> int:
        return len(self.sizes)

    @cached_property
    def shown(self) -> Float64[np.ndarray, " n"]:
        """When frames are shown, in the order in which they are shown."""
        return np.sort(self.seconds)

    @property
    def frames_per_second(self) -> float:
        """The mean rate; 0 for a single frame."""
        shown = self.shown
        return float((len(shown) - 1) / (shown[-1] - shown[0])) if len(shown) > 1 and shown[-1] > shown[0] else 0.0

    @cached_property
    def lost(self) -> Bool[np.ndarray, " n"]:
        """Frames that lie beyond the end of a file that was cut off."""
        return (self.offsets < 0) | (self.offsets + self.sizes > self.file_bytes)

    @property
    def decoding(self) -> tuple:
        """What must be equal for the packets of two files to be decoded by one decoder."""
        return self.codec, self.width, self.height, self.matrix, self.sample_entry

    def packets_of(self, first: int, count: int) -> Int64[np.ndarray, " m"]:
        """Places, in decoding order, of the packets that hold shown frames `first` to `first + count - 1`."""
        return np.flatnonzero((self._place_shown >= first) & (self._place_shown < first + count))

    @cached_property
    def _place_shown(self) -> Int64[np.ndarray, " n"]:
        place = np.empty(len(self), dtype=np.int64)
        place[np.argsort(self.seconds, kind="stable")] = np.arange(len(self))
        return place

    def hash_packets(self, packets: Int64[np.ndarray, " m"]) -> str:
        """sha256 of the sizes and bytes of these packets: what a decoder would be given."""
        digest = hashlib.sha256(self.sizes[packets].astype("<i8").tobytes())
        for block in self.blocks(packets):
            digest.update(block)
        return digest.hexdigest()

    def blocks(self, packets: Int64[np.ndarray, " m"]) -> Iterator[bytes]:
        """The bytes of these packets one after another, in blocks of a few MiB."""
        with open(self.path, "rb") as handle:
            for start, length in _runs(self.offsets[packets], self.sizes[packets]):
                handle.seek(start)
                while length:
                    block = handle.read(min(length, BLOCK_BYTES))
                    if not block:
                        raise VideoError(f"{self.path} became shorter while it was read; copy it again from its source")
                    length -= len(block)
                    yield block


def read_track(path: Path, *, cut_allowed: bool = False) -> VideoTrack:
    """The first video track of an mp4 file.

    Raises VideoError, naming the file, when the index is missing or damaged, or, unless `cut_allowed`, when frames lie
    beyond the end of the file (a recording or a copy that was cut off).
    """
    try:
        with open(path, "rb") as handle:
            size = os.fstat(handle.fileno()).st_size
            file_type, index = _top_level(handle, size, path, cut_allowed)
        track = _first_video_track(path, file_type, index, size)
    except FileNotFoundError as error:
        raise VideoError(f"{path} does not exist") from error
    except (struct.error, IndexError, OverflowError) as error:
        raise VideoError(f"{path}: the mp4 index is damaged ({error}); copy the file again from its source") from error
    if track.lost.any() and not cut_allowed:
        raise VideoError(f"{path} is truncated: {track.lost.sum()} of its {len(track)} frames lie beyond its end ({size} bytes)")
    return track


def _runs(offsets: np.ndarray, sizes: np.ndarray) -> list[tuple[int, int]]:
    """Packets that lie one behind the other, joined: (offset, length) pairs."""
    if not len(offsets):
        return []
    breaks = np.flatnonzero(offsets[1:] != offsets[:-1] + sizes[:-1]) + 1
    starts = np.concatenate([[0], breaks])
    return list(zip(offsets[starts].tolist(), np.add.reduceat(sizes, starts).tolist(), strict=True))


def _top_level(handle, size: int, path: Path, cut_allowed: bool) -> tuple[bytes, bytes]:
    """The `ftyp` box and the contents of `moov`."""
    file_type, index, position = b"", None, 0
    for _ in range(MAX_BOXES):
        if position >= size:
            break
        handle.seek(position)
        header = handle.read(16)
        if len(header) < 8:
            raise VideoError(f"{path} is truncated: {len(header)} bytes are left where a box should start (byte {position})")
        length, kind, body = _box_header(header, size - position)
        if length < body:
            raise VideoError(f"{path}: box {kind!r} at byte {position} has the impossible size {length}; it is not a sound mp4 file")
        if position + length > size and not (cut_allowed and kind == b"mdat" and index is not None):
            raise VideoError(f"{path} is truncated: box {kind!r} should end at byte {position + length}, the file has {size}")
        if kind == b"moof":
            raise VideoError(f"{path} is a fragmented mp4, which cannot be indexed; remux it (ffmpeg -i IN -c copy OUT.mp4)")
        if kind == b"ftyp" and length <= 4096:
            handle.seek(position)
            file_type = handle.read(length)
        if kind == b"moov":
            if length > MAX_INDEX_BYTES:
                raise VideoError(f"{path}: its index has {length} bytes, the limit is {MAX_INDEX_BYTES}")
            handle.seek(position + body)
            index = handle.read(length - body)
        position += length
    if not file_type:
        raise VideoError(f"{path} is not an mp4 file (it does not name its type)")
    if index is None:
        raise VideoError(f"{path} is truncated: it has no index (moov); the recording was cut before it was closed")
    return file_type, index


def _box_header(header: bytes, available: int) -> tuple[int, bytes, int]:
    length, kind = struct.unpack_from(">I4s", header)
    if length == 1:
        return struct.unpack_from(">Q", header, 8)[0], kind, 16
    return (available if length == 0 else length), kind, 8


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(kind, contents) of the boxes in `data`."""
    position = 0
    for _ in range(MAX_BOXES):
        if position + 8 > len(data):
            return
        length, kind, body = _box_header(data[position : position + 16], len(data) - position)
        if length < body or position + length > len(data):
            raise IndexError(f"box {kind!r} does not fit into its parent")
        yield kind, data[position + body : position + length]
        position += length


def _child(data: bytes, *path: bytes) -> bytes | None:
    for kind in path:
        data = next((body for name, body in boxes(data) if name == kind), None)
        if data is None:
            return None
    return data


def _needed(data: bytes, *path: bytes) -> bytes:
    found = _child(data, *path)
    if found is None:
        raise IndexError(f"box {path[-1]!r} is missing")
    return found


def _first_video_track(path: Path, file_type: bytes, index: bytes, size: int) -> VideoTrack:
    tracks = [body for kind, body in boxes(index) if kind == b"trak"]
    kinds = [_needed(track, b"mdia", b"hdlr")[8:12] for track in tracks]
    if b"vide" not in kinds:
        raise VideoError(f"{path} holds no video track")
    track = tracks[kinds.index(b"vide")]
    table = _needed(track, b"mdia", b"minf", b"stbl")
    sizes = _sizes(_needed(table, b"stsz"))
    count = len(sizes)
    offsets = _offsets(table, sizes)
    codec, width, height, entry = _sample_entry(_needed(table, b"stsd"), path)
    header = _needed(track, b"tkhd")
    matrix_at = 52 if header[0] == 1 else 40
    return VideoTrack(
        path=path,
        codec=codec,
        width=width,
        height=height,
        file_type=file_type,
        sample_entry=entry,
        matrix=header[matrix_at : matrix_at + 36],
        sizes=sizes,
        offsets=offsets,
        seconds=_seconds(path, index, track, table, count),
        keyframe=_keyframes(_child(table, b"stss"), count),
        file_bytes=size,
    )


def _numbers(data: bytes, start: int, count: int, kind: str) -> np.ndarray:
    width = np.dtype(kind).itemsize
    if count > MAX_FRAMES or start + count * width > len(data):
        raise IndexError(f"a table of {count} entries does not fit into its {len(data)} bytes")
    return np.frombuffer(data, dtype=kind, count=count, offset=start)


def _sizes(data: bytes) -> np.ndarray:
    constant, count = struct.unpack_from(">II", data, 4)
    if count > MAX_FRAMES or count == 0:
        raise IndexError(f"{count} frames; 1 to {MAX_FRAMES} are read")
    return np.full(count, constant, dtype=np.int64) if constant else _numbers(data, 12, count, ">u4").astype(np.int64)


def _offsets(table: bytes, sizes: np.ndarray) -> np.ndarray:
    long = _child(table, b"co64")
    data = long if long is not None else _needed(table, b"stco")
    chunks = _numbers(data, 8, struct.unpack_from(">I", data, 4)[0], ">u8" if long is not None else ">u4").astype(np.int64)
    runs_data = _needed(table, b"stsc")
    runs = _numbers(runs_data, 8, 3 * struct.unpack_from(">I", runs_data, 4)[0], ">u4").reshape(-1, 3).astype(np.int64)
    first = np.append(runs[:, 0] - 1, len(chunks))
    if len(runs) == 0 or first[0] != 0 or (np.diff(first) < 0).any():
        raise IndexError("the chunk table is out of order")
    per_chunk = np.repeat(runs[:, 1], np.diff(first))
    if int(per_chunk.sum()) != len(sizes):
        raise IndexError(f"the chunk table counts {int(per_chunk.sum())} frames, the size table {len(sizes)}")
    before = np.cumsum(sizes) - sizes
    first_frame = np.cumsum(per_chunk) - per_chunk
    filled = per_chunk > 0
    return np.repeat(chunks[filled], per_chunk[filled]) + before - np.repeat(before[first_frame[filled]], per_chunk[filled])


def _run_lengths(data: bytes, count: int, value_kind: str) -> np.ndarray:
    pairs = _numbers(data, 8, 2 * struct.unpack_from(">I", data, 4)[0], ">u4").reshape(-1, 2)
    repeats = pairs[:, 0].astype(np.int64)
    if int(repeats.sum()) != count:
        raise IndexError(f"a time table counts {int(repeats.sum())} frames, the size table {count}")
    return np.repeat(np.ascontiguousarray(pairs[:, 1]).view(value_kind).astype(np.int64), repeats)


def _seconds(path: Path, index: bytes, track: bytes, table: bytes, count: int) -> np.ndarray:
    media = _needed(track, b"mdia", b"mdhd")
    timescale = struct.unpack_from(">I", media, 20 if media[0] == 1 else 12)[0]
    movie = _needed(index, b"mvhd")
    movie_timescale = struct.unpack_from(">I", movie, 20 if movie[0] == 1 else 12)[0]
    if not timescale or not movie_timescale:
        raise IndexError("a timescale is zero")
    deltas = _run_lengths(_needed(table, b"stts"), count, ">u4")
    ticks = np.cumsum(deltas) - deltas
    shift = _child(table, b"ctts")
    if shift is not None:
        ticks = ticks + _run_lengths(shift, count, ">i4")
    delay_s, skipped_ticks = _edit(path, _child(track, b"edts", b"elst"), movie_timescale)
    shown = ticks - skipped_ticks
    hidden = int((shown < -int(deltas[0]) // 2).sum())
    if hidden:
        raise VideoError(f"{path}: its edit list hides {hidden} frames; re-encode it so that every stored frame is shown")
    return shown.astype(np.float64) / timescale + delay_s


def _edit(path: Path, data: bytes | None, movie_timescale: int) -> tuple[float, int]:
    """How long nothing is shown first (s), and how many ticks of the media are skipped."""
    if data is None:
        return 0.0, 0
    form = ">QqHH" if data[0] == 1 else ">IiHH"
    count = struct.unpack_from(">I", data, 4)[0]
    edits = [struct.unpack_from(form, data, 8 + i * struct.calcsize(form)) for i in range(min(count, 3))]
    delay_s = 0.0
    if edits and edits[0][1] == -1:
        delay_s = edits.pop(0)[0] / movie_timescale
    if count > 2 or len(edits) > 1 or any(edit[1] < 0 or edit[2] != 1 for edit in edits):
        raise VideoError(f"{path}: its edit list cuts or repeats parts; re-encode it so that every stored frame is shown once")
    return delay_s, (edits[0][1] if edits else 0)


def _keyframes(data: bytes | None, count: int) -> np.ndarray:
    if data is None:
        return np.ones(count, dtype=bool)
    keyframe = np.zeros(count, dtype=bool)
    places = _numbers(data, 8, struct.unpack_from(">I", data, 4)[0], ">u4").astype(np.int64) - 1
    keyframe[places[(places >= 0) & (places < count)]] = True
    return keyframe


def _sample_entry(data: bytes, path: Path) -> tuple[str, int, int, bytes]:
    if struct.unpack_from(">I", data, 4)[0] != 1:
        raise VideoError(f"{path} changes its coding half-way; re-encode it into one stream")
    kind, body = next(boxes(data[8:]), (b"", b""))
    if kind not in CODECS:
        raise VideoError(f"{path} is coded as {kind!r}; known are {', '.join(sorted({c.decode() for c in CODECS}))}; re-encode it")
    width, height = struct.unpack_from(">HH", body, 24)
    fixed, described = body[:78], b""
    for name, content in boxes(body[78:]):
        if name not in _UNIMPORTANT:
            described += struct.pack(">I4s", len(content) + 8, name) + content
    return CODECS[kind], width, height, struct.pack(">I4s", 8 + len(fixed) + len(described), kind) + fixed + described
