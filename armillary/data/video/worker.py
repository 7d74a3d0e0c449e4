"""The parent's side of the decode child: start it, send a task, collect the answer before the clock runs out."""

import atexit
import fcntl
import json
import os
import select
import signal
import struct
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

import armillary
from armillary.core.errors import VideoError
from armillary.data.video.limits import VideoLimits

_PIPE_BYTES = 1 << 20
_HEADER_BYTES = 1 << 20
_IDLE_CHILDREN = 4
_TRUST = "the file is hostile or badly damaged; record it again or remove its episode"


class _ChildDied(Exception):
    pass


class _ClockRanOut(Exception):
    pass


class _ChildOutgrown(Exception):
    """The child holds more memory than this task may have, before it has read a byte of the video."""

    def __init__(self, held: int):
        self.held = held


@dataclass
class Reply:
    """What the child answered: the result's header, and frames `t h w 3` when it decoded."""

    header: dict
    frames: np.ndarray | None = None


class _Child:
    def __init__(self):
        root = str(Path(armillary.__file__).resolve().parents[1])
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LD_LIBRARY_PATH", "SYSTEMROOT") if name in os.environ}
        kept["PYTHONPATH"] = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
        kept |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        self.owner = os.getpid()
        self.tasks = 0
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "armillary.data.video.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=kept,
            bufsize=0,
            start_new_session=True,  # Ctrl-C is for the parent to act on
        )
        self.answers = self.process.stdout.fileno()
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            fcntl.fcntl(self.answers, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._poll = select.poll()
        self._poll.register(self.answers, select.POLLIN | select.POLLHUP)

    def send(self, task: dict) -> None:
        self.tasks += 1
        text = json.dumps(task).encode()
        try:
            self.process.stdin.write(struct.pack(">I", len(text)) + text)
        except BrokenPipeError as error:
            raise _ChildDied from error

    def receive(self, deadline: float) -> tuple[dict, np.ndarray]:
        size = struct.unpack(">I", self._exactly(4, deadline).tobytes())[0]
        if size > _HEADER_BYTES:
            raise _ChildDied
        header = json.loads(self._exactly(size, deadline).tobytes())
        return header, self._exactly(header["bytes"], deadline)

    def _exactly(self, count: int, deadline: float) -> np.ndarray:
        buffer = np.empty(count, dtype=np.uint8)
        view = memoryview(buffer)
        while view:
            left = deadline - time.monotonic()
            if left <= 0 or not self._poll.poll(left * 1000):
                raise _ClockRanOut
            received = os.readv(self.answers, [view])
            if received == 0:
                raise _ChildDied
            view = view[received:]
        return buffer

    def end(self) -> int:
        """Kill the child if it still lives; its exit status."""
        self.process.stdin.close()
        try:
            self.process.wait(timeout=0.2)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.process.stdout.close()
        return self.process.wait()


_idle: list[_Child] = []
_lock = threading.Lock()


def _borrow() -> _Child:
    with _lock:
        while _idle:
            child = _idle.pop()
            if child.owner == os.getpid() and child.process.poll() is None:
                return child
    return _Child()


def _give_back(child: _Child) -> None:
    with _lock:
        if len(_idle) < _IDLE_CHILDREN:
            _idle.append(child)
            return
    child.end()


@atexit.register
def _end_idle() -> None:
    while _idle:
        child = _idle.pop()
        if child.owner == os.getpid():
            child.end()


def request(task: dict, limits: VideoLimits) -> Reply:
    """Have a child do `task`; VideoError names the file, the cause and what to do. Safe to call from several threads."""
    while True:
        child = _borrow()
        try:
            return _ask(child, task, limits)
        except _ChildOutgrown as child_holds:
            child.end()
            if child.tasks == 1:
                cause = f"the decoder alone takes {child_holds.held:,} bytes of memory, the limit is {limits.memory_bytes:,}"
                raise VideoError(f"{task['path']}: {cause}; raise the limit") from None


def _ask(child: _Child, task: dict, limits: VideoLimits) -> Reply:
    path = task["path"]
    try:
        child.send({**task, "limits": asdict(limits)})
        reply = _collect(child, path, limits)
    except _ChildOutgrown:
        raise
    except _ClockRanOut:
        child.process.kill()
        child.end()
        raise VideoError(f"{path}: decoding took longer than the limit of {limits.wall_seconds:g} s; {_TRUST}") from None
    except _ChildDied:
        raise VideoError(f"{path}: {_cause_of_death(child.end(), limits)}; {_TRUST}") from None
    except VideoError:
        _give_back(child)
        raise
    except BaseException:
        child.process.kill()
        child.end()
        raise
    _give_back(child)
    return reply


def _collect(child: _Child, path: str, limits: VideoLimits) -> Reply:
    deadline = time.monotonic() + limits.wall_seconds
    chunks = []
    while True:
        header, payload = child.receive(deadline)
        match header["kind"]:
            case "frames":
                chunks.append(payload.reshape(header["shape"]))
            case "done":
                return Reply(header["result"], np.concatenate(chunks) if len(chunks) > 1 else next(iter(chunks), None))
            case "error":
                raise VideoError(f"{path}: {header['cause']}; {header['fix']}")
            case "outgrown":
                raise _ChildOutgrown(header["held"])
            case "memory":
                child.end()
                raise VideoError(f"{path}: decoding needs more than the limit of {limits.memory_bytes:,} bytes of memory; {_TRUST}")


def _cause_of_death(status: int, limits: VideoLimits) -> str:
    if status == -signal.SIGXCPU:
        return f"decoding used more than the limit of {limits.cpu_seconds} s of processor time"
    if status < 0:
        return f"the decoder crashed on it ({signal.Signals(-status).name})"
    return f"the decoder ended before its answer (exit status {status})"
