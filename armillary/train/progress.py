"""How far a run is, for whoever shows it. The loop itself prints nothing."""

import time
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What is known after a step. `seconds_left` is None until enough steps were timed."""

    step: int
    steps: int
    phase: str
    loss: float
    validation_loss: float | None
    seconds_left: float | None

    def line(self) -> str:
        """One line to show a person."""
        left = "" if self.seconds_left is None else f"  {_clock(self.seconds_left)} left"
        validation = "" if self.validation_loss is None else f"  validation {self.validation_loss:.4f}"
        return f"{self.phase}  {self.step}/{self.steps}  loss {self.loss:.4f}{validation}{left}"


class Stopwatch:
    """Times steps and says how long the rest will take, phase by phase of its own pace."""

    def __init__(self, *, first_steps: int = 2, smoothing: float = 0.02):
        self._skip = first_steps
        self._smoothing = smoothing
        self._pace: float | None = None
        self._count = 0
        self._started = time.perf_counter()

    def start(self) -> None:
        """A step begins."""
        self._started = time.perf_counter()

    def stop(self) -> float:
        """A step ended; the seconds it took. The first few, which warm up, do not count for the pace."""
        seconds = time.perf_counter() - self._started
        self._count += 1
        if self._count > self._skip:
            weight = max(self._smoothing, 1.0 / (self._count - self._skip))
            self._pace = seconds if self._pace is None else self._pace + weight * (seconds - self._pace)
        return seconds

    def left(self, steps: int) -> float | None:
        """The seconds that `steps` more steps will take, or None when no step has been timed yet."""
        return None if self._pace is None else self._pace * steps


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
