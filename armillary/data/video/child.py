"""The decode child: `python -P -m armillary.data.video.child`. Reads tasks from stdin, answers on stdout, dies with its parent.

A message is a 4-byte big-endian length, that many bytes of JSON, then `header["bytes"]` raw bytes. The kernel limits are
set before the first byte of any video is read: no file can be written, none but a few opened, memory and time are capped.
The kernel's cap on memory only stops what is new; a child that is beyond the cap already says so and touches no video.
"""

import json
import os
import resource
import struct
import sys

import numpy as np

from armillary.data.resize import area_resize
from armillary.data.video.container import DAMAGED, Refused, decode, open_video, probe, quiet

_CHUNK_BYTES = 8 << 20
_OPEN_FILES = 32


def main() -> None:
    """Answer tasks until stdin ends."""
    answers = os.dup(1)
    os.dup2(2, 1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))
    quiet()
    while (task := _read(0)) is not None:
        if (held := _address_space()) > task["limits"]["memory_bytes"]:
            _send(answers, {"kind": "outgrown", "held": held})
            return
        try:
            _limit(task["limits"])
            _answer(task, answers)
        except Refused as error:
            _send(answers, {"kind": "error", "cause": error.cause, "fix": error.fix})
        except MemoryError:
            _send(answers, {"kind": "memory"})
            return


def _address_space() -> int:
    """What RLIMIT_AS counts, in bytes; 0 where the kernel does not tell."""
    if not os.path.exists("/proc/self/statm"):
        return 0
    with open("/proc/self/statm") as pages:
        return int(pages.read().split()[0]) * resource.getpagesize()


def _limit(limits: dict) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (int(limits["memory_bytes"]), resource.getrlimit(resource.RLIMIT_AS)[1]))
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime + limits["cpu_seconds"]) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _answer(task: dict, answers: int) -> None:
    limits, span_s = task["limits"], task["span_s"]
    with open_video(task["path"], task["stream"], limits, os.path.getsize(task["path"])) as video:
        if task["task"] == "probe":
            _send(answers, {"kind": "done", "result": probe(video, span_s)})
            return
        height, width = task["size"] or (video.height, video.width)
        expected, sent, chunk = task["expected_frames"], 0, []
        held = max(1, _CHUNK_BYTES // (video.height * video.width * 3))
        for frame in decode(video, span_s):
            chunk.append(frame)
            if (sent + len(chunk)) * height * width * 3 > limits["output_bytes"]:
                cause = f"its frames at {width}x{height} need more than the limit of {limits['output_bytes']:,} bytes for one call"
                raise Refused(cause, "ask for a shorter span or a smaller size, or raise the limit")
            if len(chunk) == held:
                sent += _send_frames(answers, chunk, (height, width))
                chunk = []
        if chunk:
            sent += _send_frames(answers, chunk, (height, width))
    if expected is not None and sent != expected:
        raise Refused(f"it gives {sent} frames where {expected} were recorded", DAMAGED)
    if sent == 0:
        raise Refused("it holds no frame" if span_s is None else f"it holds no frame between {span_s[0]:g} and {span_s[1]:g} s", DAMAGED)
    _send(answers, {"kind": "done", "result": {"frames": sent}})


def _send_frames(answers: int, chunk: list, size: tuple[int, int]) -> int:
    frames = area_resize(np.stack(chunk), size)
    _send(answers, {"kind": "frames", "shape": list(frames.shape)}, frames)
    return len(frames)


def _send(answers: int, header: dict, payload=b"") -> None:
    raw = memoryview(payload).cast("B")
    text = json.dumps({**header, "bytes": len(raw)}).encode()
    for part in (struct.pack(">I", len(text)) + text, raw):
        view = memoryview(part)
        while view:
            view = view[os.write(answers, view) :]


def _read(descriptor: int) -> dict | None:
    size = _exactly(descriptor, 4)
    return None if size is None else json.loads(_exactly(descriptor, struct.unpack(">I", size)[0]))


def _exactly(descriptor: int, count: int) -> bytes | None:
    parts = b""
    while len(parts) < count:
        part = os.read(descriptor, count - len(parts))
        if not part:
            return None
        parts += part
    return parts


if __name__ == "__main__":
    sys.exit(main())
