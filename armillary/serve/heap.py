"""Memory that a long-lived server holds: what it keeps, not many times as much."""

import contextlib
import ctypes

_M_MMAP_THRESHOLD = -3  # mallopt(3)
_LARGE_BYTES = 128 << 10


def return_large_blocks() -> None:
    """From now on this process's blocks of 128 KiB and more go back to the system when they are freed (glibc; elsewhere nothing happens).

    By itself glibc keeps them in its heap once some were freed. A server takes large blocks for a moment (pictures in float) and keeps
    small ones for long (the histories' pictures), which settle in between: 64 people's histories of 230 MB held 2.1 GB.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):  # no such function, or no such library
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
