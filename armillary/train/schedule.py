"""Which phase a step belongs to, its learning rate and its seed: all pure functions of the step, so a resume needs nothing else."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

from armillary.core import ConfigError, Phase, WorldError
from armillary.train.config import TrainConfig


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """A phase laid on the axis of global steps: `first_step <= step < last_step`."""

    phase: Phase
    index: int
    first_step: int
    last_step: int

    @property
    def num_steps(self) -> int:
        """How many steps it lasts."""
        return self.last_step - self.first_step


def lay_out(phases: Sequence[Phase], steps: int) -> tuple[Stretch, ...]:
    """The phases in order, each with its share of `steps` (at least one step each)."""
    total = math.fsum(phase.share for phase in phases)
    if not phases or abs(total - 1.0) > 1e-6:
        raise WorldError(f"the shares of a world's phases must sum to 1; received {[(p.name, p.share) for p in phases]}")
    if steps < len(phases):
        names = ", ".join(phase.name for phase in phases)
        raise ConfigError(f"train.steps = {steps} is too few: there are {len(phases)} phases ({names}), and each takes a step or more")
    borders, passed = [0], 0.0
    for left, phase in zip(reversed(range(len(phases))), phases, strict=True):
        passed += phase.share
        borders.append(min(max(round(passed * steps), borders[-1] + 1), steps - left))
    return tuple(
        Stretch(phase=phase, index=index, first_step=borders[index], last_step=borders[index + 1]) for index, phase in enumerate(phases)
    )


def learning_rate(stretch: Stretch, step: int, config: TrainConfig) -> float:
    """The learning rate of a global step: linear warm-up, then constant or a half cosine down to zero at the end of the phase."""
    peak = stretch.phase.learning_rate * config.learning_rate_scale
    done = step - stretch.first_step
    warmup = min(config.warmup_steps, stretch.num_steps // 2)
    if done < warmup:
        return peak * (done + 1) / warmup
    if config.schedule == "constant":
        return peak
    return peak * 0.5 * (1.0 + math.cos(math.pi * (done - warmup) / (stretch.num_steps - warmup)))


def mixed_seed(*parts: object) -> int:
    """One 63-bit seed from several values, the same on every machine and in every process."""
    digest = hashlib.sha256("|".join(str(part) for part in parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
