"""What is on its way to one page. The latest frame wins: one that was not fetched in time is replaced, never queued."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

MAX_NOTICES = 8


@dataclass(frozen=True, kw_only=True)
class Mail:
    """What a page is to be told now. `frame` is the moment to show with what is said of it; `words` are JSON values in order."""

    words: tuple[dict[str, object], ...] = ()
    frame: tuple[Any, dict[str, object]] | None = None


class Mailbox:
    """Filled by the engine's thread, emptied by the page's sender. Of frames and of states only the latest is kept."""

    def __init__(self):
        self._lock = threading.Lock()
        self._frame: tuple[Any, dict[str, object]] | None = None
        self._status: dict[str, object] | None = None
        self._notices: deque[dict[str, object]] = deque(maxlen=MAX_NOTICES)
        self._wake: Callable[[], None] | None = None
        self.dropped = 0  # frames that were replaced before anyone saw them

    def listen(self, wake: Callable[[], None] | None) -> None:
        """Who is called, from any thread, when there is something to fetch; None: nobody."""
        with self._lock:
            self._wake = wake

    def show(self, moment: object, about: dict[str, object]) -> None:
        """The moment to show, in place of one that is still here."""
        with self._lock:
            self.dropped += self._frame is not None
            self._frame = (moment, about)
        self._ring()

    def tell(self, status: dict[str, object]) -> None:
        """How the session is, in place of what is still here."""
        with self._lock:
            self._status = status
        self._ring()

    def note(self, notice: dict[str, object]) -> None:
        """Something that happened; of more than a few the oldest are lost."""
        with self._lock:
            self._notices.append(notice)
        self._ring()

    def fetch(self, *, frame: bool) -> Mail:
        """Everything there is; the frame only if one is wanted now."""
        with self._lock:
            words = [*self._notices, *([] if self._status is None else [self._status])]
            shown = self._frame if frame else None
            self._notices.clear()
            self._status = None
            self._frame = None if frame else self._frame
        return Mail(words=tuple(words), frame=shown)

    def _ring(self) -> None:
        with self._lock:
            wake = self._wake
        if wake is not None:
            wake()
