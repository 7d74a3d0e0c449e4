"""What a person or a program reads: results on stdout, everything else on stderr, progress only where someone looks."""

import json
import os
import shutil
import sys
import time

_EVERY_S = 0.2


class Console:
    """Results go to stdout (as one JSON value with `--json`). Progress is a line that is written over, on a terminal only."""

    def __init__(self, *, json_only: bool = False):
        self.json_only = json_only
        # Under torchrun one process speaks for all.
        self._speaks = os.environ.get("RANK", "0") == "0"
        self._live = sys.stderr.isatty() and self._speaks
        self._shown_at, self._has_line = 0.0, False

    def result(self, value: object, text: str) -> None:
        """What the command was asked for: `value` with --json, else `text`."""
        self.clear()
        if self._speaks:
            print(json.dumps(value, indent=2, allow_nan=False, default=str) if self.json_only else text, flush=True)

    def note(self, text: str) -> None:
        """One line on what is happening, kept."""
        self.clear()
        if self._speaks:
            print(text, file=sys.stderr, flush=True)

    def error(self, text: str) -> None:
        """Why the command failed."""
        self.clear()
        print(f"armillary: {text}", file=sys.stderr, flush=True)

    def progress(self, text: str) -> None:
        """The line that is written over; nothing where stderr is not a terminal."""
        if not self._live or time.monotonic() - self._shown_at < _EVERY_S:
            return
        self._shown_at, self._has_line = time.monotonic(), True
        width = shutil.get_terminal_size().columns - 1
        print(f"\r\x1b[K{text[:width]}", end="", file=sys.stderr, flush=True)

    def count(self, what: str):
        """A callback `(done, total)` that shows how far `what` is, with the time left."""
        begin = time.monotonic()

        def show(done: int, total: int) -> None:
            spent = time.monotonic() - begin
            left = f"  {clock(spent / done * (total - done))} left" if done and done < total and spent > 1 else ""
            self.progress(f"{what}  {done}/{total}{left}")

        return show

    def clear(self) -> None:
        """Take the progress line away."""
        if self._has_line:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            self._has_line = False


def clock(seconds: float | int) -> str:
    """
    >>> clock(75)
    '1:15'
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def size(count: float | int) -> str:
    """
    >>> size(1_500_000)
    '1.5 MB'
    """
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
