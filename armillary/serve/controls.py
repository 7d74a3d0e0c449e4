"""How a person steers a world: a slider for each number of a Box, a key or a button for each choice of a Discrete space."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import gymnasium
import numpy as np
import torch
from torch import Tensor

from armillary.core import ConfigError, WorldError

Value = int | tuple[float, ...]  # what is held: a choice, or a number for each axis
DIRECTIONS = ("left", "right", "up", "down")
ROUNDING = 1e-3  # of an axis' range: what a page may be beyond a bound by rounding
UNBOUNDED = 1.0  # how far a slider goes where the world sets no bound


@dataclass(frozen=True, kw_only=True)
class Axis:
    """A slider. `hold`: a key holds it at a bound and lets it go back to `neutral`; else a key moves it and it stays."""

    name: str
    low: float
    high: float
    neutral: float
    hold: bool


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A discrete action, chosen while exactly these directions are held; without any, by its number."""

    name: str
    held: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Controls:
    """Axes or choices, never both; a world without either is only watched. `neutral` is what holds when no key is."""

    axes: tuple[Axis, ...] = ()
    choices: tuple[Choice, ...] = ()

    def __post_init__(self):
        if self.axes and self.choices:
            raise ConfigError("controls are axes or choices, received both")
        for choice in self.choices:
            if set(choice.held) - set(DIRECTIONS):
                raise ConfigError(f"a choice is held with {', '.join(DIRECTIONS)}, received {choice.held}")

    @property
    def neutral(self) -> Value:
        """What is done while nothing is pressed."""
        return 0 if self.choices else tuple(axis.neutral for axis in self.axes)

    def read(self, value: object) -> Value:
        """What a stranger sent, as a value. WorldError unless it is one of the choices, or a finite number within bounds for each axis."""
        if self.choices:
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < len(self.choices):
                raise WorldError(f"the action must be a whole number from 0 to {len(self.choices) - 1}")
            return value
        if not isinstance(value, list) or len(value) != len(self.axes):
            raise WorldError(f"the action must be a list of {len(self.axes)} numbers")
        return tuple(_number(axis, one) for axis, one in zip(self.axes, value, strict=True))

    def tensor(self, values: Sequence[Value]) -> Tensor:
        """What several people hold, as a world's action: `b` integers, or `b a` floats."""
        if self.choices:
            return torch.tensor(values, dtype=torch.long)
        return torch.tensor(values, dtype=torch.float32).reshape(len(values), len(self.axes))

    def columns(self, values: Sequence[Value]) -> Tensor:
        """The same as a recording holds it, `b a` floats: a choice becomes one-hot."""
        action = self.tensor(values)
        return torch.nn.functional.one_hot(action, len(self.choices)).float() if self.choices else action

    def plain(self) -> dict[str, object]:
        """For the page."""
        return {"axes": [asdict(axis) for axis in self.axes], "choices": [asdict(choice) for choice in self.choices]}


def controls_of(
    space: gymnasium.Space,
    *,
    choices: Sequence[Choice] = (),
    names: Sequence[str] = (),
    neutral: Sequence[float] | None = None,
    hold: bool = False,
) -> Controls:
    """Controls of a Box of one axis of numbers, or a Discrete space. WorldError for another space.

    `choices` and `names` say what the actions are called; without them they bear numbers.
    """
    if isinstance(space, gymnasium.spaces.Discrete):
        found = tuple(choices) or tuple(Choice(name=str(number)) for number in range(int(space.n)))
        if len(found) != int(space.n) or int(space.start) != 0:
            raise WorldError(f"{space} cannot be steered by {len(found)} choices counted from 0")
        return Controls(choices=found)
    if not isinstance(space, gymnasium.spaces.Box) or len(space.shape) != 1:
        raise WorldError(f"only Box spaces of shape (n,) and Discrete spaces can be steered, received {space}")
    low, high = (np.where(np.isfinite(bound), bound, side * UNBOUNDED) for bound, side in ((space.low, -1), (space.high, 1)))
    middle = np.clip(np.zeros(len(low)) if neutral is None else np.asarray(neutral, dtype=float), low, high)
    words = names if len(names) == len(low) else [str(number) for number in range(len(low))]
    return Controls(
        axes=tuple(
            Axis(name=str(words[i]), low=float(low[i]), high=float(high[i]), neutral=float(middle[i]), hold=hold) for i in range(len(low))
        )
    )


def _number(axis: Axis, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise WorldError(f"{axis.name} must be a finite number")
    slack = ROUNDING * (axis.high - axis.low)
    if not axis.low - slack <= value <= axis.high + slack:
        raise WorldError(f"{axis.name} must lie in {axis.low:g} to {axis.high:g}, received {value:g}")
    return min(max(float(value), axis.low), axis.high)
