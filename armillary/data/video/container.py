"""Opening and strictly decoding one video file. Runs inside the decode child: imports PyAV and numpy only, never torch."""

import errno
import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager

import av
import av.logging
import numpy as np

FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm"
CODECS = {"h264": "h264", "hevc": "hevc", "av1": "libdav1d", "libdav1d": "libdav1d", "vp9": "vp9", "mpeg4": "mpeg4", "mjpeg": "mjpeg"}
_STRICT = "crccheck+bitstream+buffer+explode"
_NOT_DAMAGE = ("not on whitelist", "Failed to open codec in avformat_find_stream_info")
_OUT_OF_MEMORY = ("get_buffer() failed", "Cannot allocate memory", "alloc")


class Refused(Exception):
    """Why a file was not decoded, and what the person can do about it."""

    def __init__(self, cause: str, fix: str):
        super().__init__(cause)
        self.cause, self.fix = cause, fix


DAMAGED = "copy or record this file again, or remove its episode"


class OpenVideo:
    """A checked container and its one chosen video stream. Made by `open_video` only."""

    def __init__(self, container, stream, limits: dict, file_bytes: int):
        self.container, self.stream, self.limits, self.file_bytes = container, stream, limits, file_bytes
        context = stream.codec_context
        self.width, self.height = context.width, context.height
        self.fps = float(stream.average_rate or stream.guessed_rate or 0)

    def span_pts(self, span_s: list[float] | None) -> tuple[float, float]:
        """First (included) and last (excluded) presentation stamp of a span, half a frame early against rounding."""
        if span_s is None:
            return -math.inf, math.inf
        half_s = 0.5 / self.fps
        base = float(self.stream.time_base)
        return math.ceil((span_s[0] - half_s) / base), math.ceil((span_s[1] - half_s) / base)

    def packets(self, first: float, last: float) -> Iterator:
        """Packets of the stream from the key frame at or before `first` on, until no later one can be shown before `last`."""
        if first > 0 and first != -math.inf:
            self.container.seek(int(first), stream=self.stream, backward=True)
        for packet in self.container.demux(self.stream):
            if packet.size and packet.is_corrupt:
                raise Refused(f"the packet at {packet.pts} is cut short or marked corrupt", DAMAGED)
            yield packet
            if packet.dts is not None and packet.dts >= last:
                return


def _memory_first(error: Exception) -> None:
    """FFmpeg reports a failed allocation as an error of its own; it says nothing about the file."""
    if getattr(error, "errno", None) == errno.ENOMEM:
        raise MemoryError from error


@contextmanager
def open_video(path: str, stream_index: int | None, limits: dict, file_bytes: int) -> Iterator[OpenVideo]:
    """Open a file with the allowed demuxers, codecs and protocol only, and check what it claims against the limits."""
    options = {"format_whitelist": FORMATS, "protocol_whitelist": "file", "err_detect": _STRICT}
    options["codec_whitelist"] = ",".join(sorted({*CODECS, *CODECS.values()}))
    try:
        container = av.open(path, options=options)
    except (av.FFmpegError, ValueError) as error:
        _memory_first(error)
        raise Refused(f"it cannot be opened as mp4, mov, mkv or webm ({_words(error)})", DAMAGED) from error
    with container:
        stream = _choose_stream(container, stream_index)
        codec = stream.codec_context.name
        if codec not in CODECS:
            raise Refused(f"its codec {codec} is not one of {', '.join(sorted(set(CODECS)))}", "re-encode it with h264, hevc, av1 or vp9")
        video = OpenVideo(container, stream, limits, file_bytes)
        _check_claims(video)
        stream.codec_context.thread_type = "NONE"
        stream.codec_context.thread_count = 1
        stream.codec_context.options = {"err_detect": _STRICT, "max_pixels": str(int(limits["pixels"]))}
        yield video


def _choose_stream(container, index: int | None):
    if index is None:
        stream = container.streams.best("video")
        if stream is None:
            raise Refused("it holds no video stream", "check that the camera was recording")
        return stream
    if index >= len(container.streams) or container.streams[index].type != "video":
        kinds = [stream.type for stream in container.streams]
        raise Refused(f"stream {index} is not a video stream; its streams are {kinds}", "pass the index of a video stream")
    return container.streams[index]


def _check_claims(video: OpenVideo) -> None:
    limits, stream = video.limits, video.stream
    if video.width < 1 or video.height < 1 or not 0 < video.fps <= 1000:
        raise Refused(f"it claims {video.width}x{video.height} at {video.fps:g} frames a second", DAMAGED)
    if video.width * video.height > limits["pixels"]:
        _beyond("pixels a frame", video.width * video.height, limits["pixels"])
    seconds = max((video.container.duration or 0) / av.time_base, float((stream.duration or 0) * stream.time_base))
    if seconds > limits["seconds"]:
        _beyond("seconds", seconds, limits["seconds"])
    frames = max(stream.frames, int(seconds * video.fps) if stream.frames == 0 else 0)
    check_growth(video, frames)


def check_growth(video: OpenVideo, frames: int) -> None:
    """Refuse when `frames` frames, claimed or seen, are beyond the caps on frames or on decoded over encoded bytes."""
    limits = video.limits
    if frames > limits["frames"]:
        _beyond("frames", frames, limits["frames"])
    decoded = frames * video.width * video.height * 3
    if decoded > limits["ratio_free_bytes"] and decoded > limits["ratio"] * video.file_bytes:
        _beyond("decoded bytes for each byte of the file", decoded / max(1, video.file_bytes), limits["ratio"])


def _beyond(what: str, value: float, cap: float):
    fix = "raise that limit only if you trust where the file came from"
    raise Refused(f"it holds {value:,.0f} {what}, more than the limit of {cap:,.0f}", fix)


def probe(video: OpenVideo, span_s: list[float] | None) -> dict:
    """Count and time the packets, without decoding."""
    first, last = video.span_pts(span_s)
    stamps, total = [], 0
    for packet in video.packets(first, last):
        if not packet.size:
            continue
        total += 1
        if packet.is_discard or not (packet.pts is None or first <= packet.pts < last):
            continue
        stamps.append(packet.pts if packet.pts is not None else packet.dts or 0)
        check_growth(video, len(stamps))
    if span_s is None:
        _check_total(video, total)
    if not stamps:
        raise Refused("it holds no frame" if span_s is None else f"it holds no frame between {span_s[0]:g} and {span_s[1]:g} s", DAMAGED)
    base = float(video.stream.time_base)
    return {
        "codec": video.stream.codec_context.codec.canonical_name,
        "width": video.width,
        "height": video.height,
        "fps": video.fps,
        "frames": len(stamps),
        "first_s": min(stamps) * base,
        "last_s": max(stamps) * base,
    }


def decode(video: OpenVideo, span_s: list[float] | None) -> Iterator[np.ndarray]:
    """Every frame of the span as RGB `h w 3` uint8, or Refused: on the first sign of damage, or when frames and packets differ."""
    first, last = video.span_pts(span_s)
    promised, shown, total = [], [], 0
    with av.logging.Capture() as log:
        try:
            for packet in video.packets(first, last):
                if packet.size:
                    total += 1
                    if not packet.is_discard and (packet.pts is None or first <= packet.pts < last):
                        promised.append(packet.pts)
                        check_growth(video, len(promised))
                for frame in packet.decode():
                    _check_frame(video, frame, log)
                    if frame.pts is None or first <= frame.pts < last:
                        shown.append(frame.pts)
                        yield frame.to_ndarray(format="rgb24", threads=1)
            if span_s is not None and len(shown) < len(promised):
                for frame in video.stream.codec_context.decode(None):
                    _check_frame(video, frame, log)
                    if first <= frame.pts < last:
                        shown.append(frame.pts)
                        yield frame.to_ndarray(format="rgb24", threads=1)
        except av.FFmpegError as error:
            _memory_first(error)
            complaint = " ".join(_complaints(log)[:1]) or _words(error)
            if any(sign in complaint for sign in _OUT_OF_MEMORY):
                raise MemoryError(complaint) from error
            raise Refused(f"decoding failed after {len(shown)} frames ({complaint})", DAMAGED) from error
        _check_log(log, len(shown))
    if span_s is None:
        _check_total(video, total)
    _check_stamps(promised, shown)


def _check_frame(video: OpenVideo, frame, log: list) -> None:
    if frame.is_corrupt:
        raise Refused(f"the frame at {frame.pts} is marked corrupt by the decoder", DAMAGED)
    if (frame.width, frame.height) != (video.width, video.height):
        sizes = f"{video.width}x{video.height} to {frame.width}x{frame.height}"
        raise Refused(f"the picture size changes from {sizes} at {frame.pts}", "re-encode it at one size")
    if log:
        _check_log(log, frame.pts)


def _check_log(log: list, place) -> None:
    """A decoder that conceals damage returns frames as if nothing were wrong, but it says so in its log."""
    if complaints := _complaints(log):
        raise Refused(f"the decoder reports damage near frame {place}: {complaints[0]}", DAMAGED)


def _complaints(log: list) -> list[str]:
    return [text.strip() for level, _, text in log if level <= av.logging.ERROR and not any(part in text for part in _NOT_DAMAGE)]


def _check_total(video: OpenVideo, packets: int) -> None:
    """The container's own count, or for one that keeps none its duration, against the packets found."""
    claimed = video.stream.frames
    if claimed and claimed != packets:
        raise Refused(f"it claims {claimed} frames but holds {packets} packets: it is cut short", DAMAGED)
    if not claimed and video.container.duration:
        wanted = video.container.duration / av.time_base * video.fps
        if packets < wanted - 1.5:
            raise Refused(f"it claims {wanted / video.fps:.2f} s, about {wanted:.0f} frames, but holds {packets}: it is cut short", DAMAGED)


def _check_stamps(promised: list, shown: list) -> None:
    if len(promised) != len(shown):
        raise Refused(f"{len(promised)} packets gave {len(shown)} frames", DAMAGED)
    if None not in promised and sorted(promised) != shown:
        raise Refused("the presentation times of its packets and frames differ", DAMAGED)


def _words(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def quiet() -> None:
    """Let libav log errors to Python only, where `decode` reads them."""
    av.logging.set_level(av.logging.ERROR)
    logging.getLogger("libav").addHandler(logging.NullHandler())
    logging.getLogger("libav").propagate = False
