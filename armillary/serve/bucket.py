"""A token bucket: so many at once, and so many a second after that."""

import time
from collections.abc import Callable


class Bucket:
    """`take` says whether one more may pass."""

    def __init__(self, *, per_second: float, burst: int, clock: Callable[[], float] = time.monotonic):
        self._per_second, self._burst, self._clock = per_second, burst, clock
        self._left, self._seen = float(burst), clock()

    def take(self) -> bool:
        """Take one out, if there is one."""
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._seen) * self._per_second)
        self._seen = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
