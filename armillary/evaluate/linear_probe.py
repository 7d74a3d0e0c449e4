"""A linear probe: what can be read from frozen features by ridge regression, and how well (R2)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from armillary.core import DataError

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)


@dataclass(frozen=True)
class LinearProbe:
    """targets = (features - feature_mean) @ weight + target_mean, with the penalty that did best on what was put aside."""

    weight: Float[Tensor, "d k"]
    feature_mean: Float[Tensor, " d"]
    target_mean: Float[Tensor, " k"]
    penalty: float

    def read(self, features: Float[Tensor, "n d"]) -> Float[Tensor, "n k"]:
        """What the features say of the targets."""
        return (features.double() - self.feature_mean) @ self.weight + self.target_mean


def fit_linear_probe(
    features: Float[Tensor, "n d"],
    targets: Float[Tensor, "n k"],
    aside: tuple[Float[Tensor, "m d"], Float[Tensor, "m k"]],
    penalties: Sequence[float] = PENALTIES,
) -> LinearProbe:
    """Ridge regression; the penalty is the one that reads `aside` (features, targets) best. It never sees what is judged later.

    A penalty counts in mean squared features: `n * penalty * mean(x^2)` is added to the diagonal, so that scale and number of the
    features do not matter. Solved among samples where there are fewer of them than features. DataError for numbers that are not finite.
    """
    features, targets = features.double(), targets.double()
    if not bool(torch.isfinite(features).all()) or not bool(torch.isfinite(targets).all()):
        raise DataError("a probe needs finite features and targets; received NaN or infinity")
    feature_mean, target_mean = features.mean(0), targets.mean(0)
    x, y = features - feature_mean, targets - target_mean
    few = len(x) < x.shape[1]
    gram = x @ x.T if few else x.T @ x
    values, vectors = torch.linalg.eigh(gram)
    scale = len(x) * x.square().mean()
    best: tuple[float, LinearProbe] | None = None
    for penalty in penalties:
        shrunk = vectors / (values.clamp_min(0.0) + penalty * scale)
        weight = x.T @ (shrunk @ (vectors.T @ y)) if few else shrunk @ (vectors.T @ (x.T @ y))
        probe = LinearProbe(weight, feature_mean, target_mean, penalty)
        error = float((probe.read(aside[0]) - aside[1].double()).square().mean())
        if best is None or error < best[0]:
            best = (error, probe)
    return best[1]


def r_squared(told: Float[Tensor, "n k"], truth: Float[Tensor, "n k"], about: Float[Tensor, " k"]) -> float:
    """1 - squared error / squared distance from `about` (the training data's mean), summed over all targets."""
    truth = truth.double()
    return float(1.0 - (told - truth).square().sum() / (truth - about).square().sum())
