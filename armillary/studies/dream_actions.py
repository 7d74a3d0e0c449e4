"""What is done in a dream: a file's commands, at the rate at which they were given, joined into the steps that a world takes."""

import math
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import gymnasium
import numpy as np
from jaxtyping import Float32

from armillary.core import ConfigError, DataError
from armillary.data.action_file import read_actions
from armillary.data.content import file_sha256
from armillary.studies.runs import LoadedRun

RATE_TOLERANCE = 0.02


@dataclass(frozen=True, kw_only=True)
class Commands:
    """How a world's actions were recorded: `a_step` commands of `size` numbers each, `fps` a second, joined into one step of the world."""

    size: int
    a_step: int
    seconds_per_step: float

    @property
    def fps(self) -> float:
        """Commands a second."""
        return self.a_step / self.seconds_per_step

    @classmethod
    def of(cls, loaded: LoadedRun) -> "Commands":
        """Those of a run. ConfigError where its world takes no vectors."""
        space = loaded.world.spec.action_space
        if not isinstance(space, gymnasium.spaces.Box) or len(space.shape) != 1:
            raise ConfigError(f"{loaded.path} ({loaded.family}) takes actions of {space}; only vectors can be given in a file")
        return cls(size=space.shape[0] // loaded.stride, a_step=loaded.stride, seconds_per_step=loaded.world.spec.seconds_per_step)

    def __str__(self) -> str:
        joined = f", {self.a_step} of them in a step of {self.seconds_per_step:g} s" if self.a_step > 1 else ""
        return f"commands of {self.size} numbers, {self.fps:g} a second{joined}"


@dataclass(frozen=True, kw_only=True)
class StepActions:
    """An action for each step of a dream, and what is to be known of where they come from."""

    values: Float32[np.ndarray, "n a"]
    about: dict = field(default_factory=dict)

    @property
    def said(self) -> bool:
        """Whether anybody says what is done: `unsaid` are actions of no numbers."""
        return self.values.shape[1] > 0


def unsaid(steps: int) -> StepActions:
    """So many steps of which nobody says what is done in them."""
    return StepActions(values=np.empty((steps, 0), np.float32), about={"said": False})


def actions_of_file(path: Path | str, fps: float | None, commands: Commands) -> StepActions:
    """All whole steps that a file's rows make, each row a command (or, at the world's own rate, a whole step's commands joined).

    A row given less often than commands were recorded is held until the next; of rows given more often those in force when a command was
    due are taken. ConfigError for a rate that is no whole multiple or fraction of the recorded one, DataError for a file that does not fit.
    """
    rows, size = read_actions(path), commands.size * commands.a_step
    rate = commands.fps if fps is None else fps
    if not (math.isfinite(rate) and rate > 0):
        raise ConfigError(f"--actions-fps must be a number above 0, received {rate}")
    whole_steps = commands.a_step > 1 and rows.shape[1] == size and _times(1 / commands.seconds_per_step, rate) == 1
    if not whole_steps and rows.shape[1] != commands.size:
        joined = f"; rows of {size} are taken with --actions-fps {1 / commands.seconds_per_step:g}" if commands.a_step > 1 else ""
        raise DataError(f"{path} has {rows.shape[1]} numbers a row; this world was trained on {commands}{joined}")
    values, how = (rows, "each row is a step") if whole_steps else _at_recorded_rate(rows, rate, commands)
    if not whole_steps:
        values = values[: len(values) // commands.a_step * commands.a_step].reshape(-1, size)
    if not len(values):
        raise DataError(f"{path} holds {len(rows)} rows, {rate:g} a second; one step of this world needs {commands.seconds_per_step:g} s")
    about = {
        "path": str(Path(path).resolve()),
        "sha256": file_sha256(path),
        "rows": len(rows),
        "columns": rows.shape[1],
        "fps": rate,
        "made_into_steps": how,
    }
    return StepActions(values=np.ascontiguousarray(values), about=about)


def beyond(values: Float32[np.ndarray, "n a"], space: gymnasium.spaces.Box) -> str:
    """In words, how many numbers lie outside of what a world has learned, where it cuts them off; empty: none."""
    outside = (values < space.low) | (values > space.high)
    if not outside.any():
        return ""
    step, column = np.argwhere(outside)[0].tolist()
    return (
        f"{int(outside.sum())} of {outside.size} numbers of the actions lie beyond what the world has learned and are cut off there, the "
        f"first in step {step}: number {column} is {values[step, column]:.4g}, learned were {space.low[column]:.4g} to "
        f"{space.high[column]:.4g}"
    )


def _at_recorded_rate(rows: np.ndarray, rate: float, commands: Commands) -> tuple[np.ndarray, str]:
    """The rows at the rate of the recordings, and in words what was done to them."""
    joined = f"{commands.a_step} in a row make a step" if commands.a_step > 1 else "each row is a step"
    if _times(commands.fps, rate) == 1:
        return rows, joined
    if held := _times(commands.fps, rate):
        return np.repeat(rows, held, axis=0), f"each row is held for {held} commands; {joined}"
    if apart := _times(rate, commands.fps):
        return rows[::apart], f"of every {apart} rows the first is taken; {joined}"
    raise ConfigError(
        f"--actions-fps {rate:g} does not go with this world's {commands}: give the actions at {commands.fps:g} a second, or at a whole "
        "fraction or multiple of it"
    )


def _times(rate: float, other: float) -> int:
    """How many times `other` goes into `rate`, or 0 where that is no whole number (within RATE_TOLERANCE)."""
    count = Fraction(rate) / Fraction(other)
    whole = round(count)
    return whole if whole >= 1 and abs(count / whole - 1) <= RATE_TOLERANCE else 0
