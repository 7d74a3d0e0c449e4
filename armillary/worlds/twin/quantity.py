"""A physical number that says where it comes from and how far it may be off."""

import math
from dataclasses import dataclass, replace

import numpy as np

from armillary.core import ConfigError

# How far a number may be off, as a share of itself, where nobody said; the first source is trusted most.
SPREAD = {"measured": 0.02, "datasheet": 0.05, "estimated": 0.2, "default": 0.5}
SOURCES = tuple(SPREAD)


@dataclass(frozen=True)
class Quantity:
    """A number in SI units, its source (one of SOURCES), and the range `low` to `high` that it surely lies in.

    The range is also what randomisation draws from, so that a twin is varied by as much as it is unknown. Left out, it
    is `value` plus and minus the source's share in SPREAD. `note` says who measured it, or which table it is from.

    >>> Quantity(2.0, "measured").high
    2.04
    """

    value: float
    source: str = "default"
    low: float | None = None
    high: float | None = None
    note: str = ""

    def __post_init__(self):
        if self.source not in SPREAD:
            raise ConfigError(f"a quantity's source must be one of {', '.join(SOURCES)}, received {self.source!r}")
        spread = abs(self.value) * SPREAD[self.source]
        object.__setattr__(self, "low", self.value - spread if self.low is None else float(self.low))
        object.__setattr__(self, "high", self.value + spread if self.high is None else float(self.high))
        if not all(math.isfinite(number) for number in (self.value, self.low, self.high)):
            raise ConfigError(f"a quantity must be finite, received {self.value} between {self.low} and {self.high}")
        if not self.low <= self.value <= self.high:
            raise ConfigError(f"a quantity must lie in its own range, received {self.value} outside {self.low} to {self.high}")

    def draw(self, rng: np.random.Generator) -> "Quantity":
        """The same quantity with a value drawn uniformly from its range."""
        return replace(self, value=float(rng.uniform(self.low, self.high)))

    def times(self, factor: float) -> "Quantity":
        """The quantity in a unit that is `factor` (> 0) times finer; source and note stay."""
        return replace(self, value=self.value * factor, low=self.low * factor, high=self.high * factor)
