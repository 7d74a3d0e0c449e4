"""Video out: H.264 with a short group of pictures, so that any window can be read fast. Same frames, same bytes."""

from collections.abc import Iterable
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import numpy as np
from jaxtyping import UInt8

from armillary.core.errors import VideoError
from armillary.core.storage import write_atomically


def encode_video(
    path: Path | str,
    frames: Iterable[UInt8[np.ndarray, "h w 3"]],
    fps: float | int,
    *,
    gop: int = 2,
    crf: int = 18,
    full_colour: bool = False,
    comment: str = "",
) -> None:
    """Write RGB frames (`t h w 3`, or one after another) as an mp4 at `path`, atomically; `crf` 0 is best, 51 worst. Four pixels share
    a colour (4:2:0, what every player knows) unless `full_colour` (4:4:4), which odd sizes have anyway: of a small picture, whose things
    are few pixels wide, the halved colour is most of what is lost. `comment` is a tag of the file, which players and `ffprobe` show.

    One thread and no time stamps of its own: the same frames give the same bytes. Raises StorageError when the disk
    refuses, VideoError when there is nothing to write.
    """
    pictures = iter(frames)
    first = next(pictures, None)
    if first is None or not fps > 0:
        count = "none" if first is None else "frames"
        raise VideoError(f"{path}: a video needs at least one frame and fps > 0, received {count} at {fps} fps")
    path, rate = Path(path), Fraction(fps).limit_denominator(1001)
    tags = {"comment": comment} if comment else {}

    def write(temporary: Path) -> None:
        with av.open(str(temporary), "w", format="mp4", options={"fflags": "+bitexact", "movflags": "+faststart"}) as container:
            container.metadata.update(tags)
            stream = _add_stream(container, first.shape[:2], rate, gop, crf, full_colour)
            for number, picture in enumerate(chain([first], pictures)):
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
                frame.pts, frame.time_base = number, 1 / rate
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))

    write_atomically(path.with_suffix(".mp4") if not path.suffix else path, write)


def _add_stream(container, size: tuple[int, int], rate: Fraction, gop: int, crf: int, full_colour: bool):
    """H.264 of one thread, without B-frames."""
    height, width = size
    stream = container.add_stream("libx264", rate=rate)
    stream.width, stream.height = width, height
    stream.pix_fmt = "yuv444p" if full_colour or width % 2 or height % 2 else "yuv420p"
    stream.gop_size = gop
    stream.codec_context.thread_count = 1
    stream.codec_context.time_base = 1 / rate
    stream.codec_context.flags |= 0x00800000  # AV_CODEC_FLAG_BITEXACT: no encoder version in the stream
    # mbtree: with it, one encode in a hundred or so of small pictures (32, 48 pixels) came out with other bytes (docs/LOG.md)
    stream.options = {"crf": str(crf), "preset": "veryfast", "bf": "0", "mbtree": "0"}
    return stream
