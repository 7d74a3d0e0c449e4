"""What every planner's settings share."""

from dataclasses import dataclass
from typing import NoReturn

from armillary.core import ConfigError

PRECISIONS = ("fp32", "bf16")


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """How far to look and how to roll out.

    A plan has `horizon` blocks of `block` equal actions each. At most about `max_rows` worlds are rolled out at once (never
    fewer than one sample of every episode), which bounds memory. `compile` runs the world's rollout through `torch.compile`.
    `precision` "bf16" imagines in a copy of the world of 16-bit numbers: faster where a processor multiplies them faster, and costs
    then have about three right digits. Objectives count in the world's own numbers either way.
    """

    horizon: int = 10
    block: int = 1
    max_rows: int = 4096
    compile: bool = False
    precision: str = "fp32"

    def __post_init__(self):
        for name in ("horizon", "block", "max_rows"):
            self.check(getattr(self, name) >= 1, name, "be at least 1")
        self.check(self.precision in PRECISIONS, "precision", f"be one of {', '.join(PRECISIONS)}")

    def check(self, right: bool, name: str, rule: str) -> None:
        """Raise ConfigError naming the setting, the rule and the value received, unless `right`."""
        if not right:
            self.refuse(name, rule)

    def refuse(self, name: str, rule: str) -> NoReturn:
        raise ConfigError(f"planner.{name} must {rule}; received {getattr(self, name)!r}")

    def check_elites(self, samples: int, elites: int) -> None:
        """The checks of every planner that keeps the best few of many."""
        self.check(samples >= 2, "samples", "be at least 2")
        self.check(1 <= elites <= samples, "elites", f"be from 1 to samples ({samples})")

    def check_spread(self, initial_std: float, min_std: float) -> None:
        """The checks of every planner that draws from a Gaussian, in units in which actions run from -1 to 1."""
        self.check(initial_std > 0, "initial_std", "be above 0 (1 is half the range of an action)")
        self.check(0 <= min_std <= initial_std, "min_std", f"be from 0 to initial_std ({initial_std})")
