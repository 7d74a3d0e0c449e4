"""Two-stage Ctrl-C: the first asks to stop after this step, the second stops at once."""

import logging
import signal
import threading

logger = logging.getLogger(__name__)


class Interrupts:
    """While open, the first SIGINT or SIGTERM sets `asked`; another SIGINT raises KeyboardInterrupt there and then.

    Only the main thread of a process can listen; elsewhere nothing changes.
    """

    def __init__(self):
        self.asked = False
        self._previous = {}

    def __enter__(self) -> "Interrupts":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._heard)
        return self

    def __exit__(self, *error) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def _heard(self, number: int, frame) -> None:
        if self.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.asked = True
        logger.warning("stopping after this step and writing a checkpoint; press Ctrl-C again to stop at once")
