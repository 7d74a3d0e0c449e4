"""Metric: a judge. Its answer is always an Estimate, a number with its interval."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Estimate:
    """A value, the 95 % interval around it, and the number of independent units (episodes) behind it."""

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


class Metric(ABC):
    """Collects pairs of predicted and real pictures, one call an episode, then estimates."""

    @abstractmethod
    def update(self, predicted: Float[Tensor, "t c h w"], real: Float[Tensor, "t c h w"]) -> None:
        """Count one episode's frames in."""

    @abstractmethod
    def compute(self) -> Estimate:
        """The mean over episodes, with its interval."""


def bootstrap(
    values: Sequence[float] | Float[np.ndarray, " n"], *, level: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> Estimate:
    """The mean of one value per independent unit, and its percentile bootstrap interval (Efron 1979).

    >>> bootstrap([1.0, 1.0, 1.0])
    Estimate(value=1.0, low=1.0, high=1.0, n=3)
    """
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or len(sample) == 0:
        raise ValueError(f"bootstrap needs at least one value on one axis, received shape {sample.shape}")
    if not np.isfinite(sample).all():
        raise ValueError(f"bootstrap needs finite values, received {sample[~np.isfinite(sample)][:3]}")
    draws = np.random.default_rng(seed).integers(len(sample), size=(resamples, len(sample)))
    means = sample[draws].mean(axis=1)
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(means, [tail, 1.0 - tail])
    return Estimate(value=float(sample.mean()), low=float(low), high=float(high), n=len(sample))
