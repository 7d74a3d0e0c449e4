"""What the recipes share about intervals: seeds and episodes are drawn anew together."""

import numpy as np
from jaxtyping import Float

from armillary.core import Estimate


def over_seeds_and_episodes(values: Float[np.ndarray, "seeds episodes"], resamples: int = 10_000) -> Estimate:
    """The mean, and its 95 % interval from drawing seeds and episodes anew together."""
    draw = np.random.default_rng(0)
    seeds, episodes = values.shape
    chosen_seeds = draw.integers(seeds, size=(resamples, seeds, 1))
    chosen_episodes = draw.integers(episodes, size=(resamples, 1, episodes))
    means = values[chosen_seeds, chosen_episodes].mean(axis=(1, 2))
    low, high = np.quantile(means, [0.025, 0.975])
    return Estimate(value=float(values.mean()), low=float(low), high=float(high), n=episodes)


def ratio_over_seeds_and_episodes(
    first: Float[np.ndarray, "seeds episodes"], second: Float[np.ndarray, "seeds episodes"], resamples: int = 10_000
) -> Estimate:
    """The mean of `first` over that of `second`, with the same seeds and episodes drawn for both."""
    draw = np.random.default_rng(0)
    seeds, episodes = first.shape
    chosen = (draw.integers(seeds, size=(resamples, seeds, 1)), draw.integers(episodes, size=(resamples, 1, episodes)))
    drawn = first[chosen].mean(axis=(1, 2)) / second[chosen].mean(axis=(1, 2))
    return _estimate(float(first.mean() / second.mean()), drawn, episodes)


def r2_over_seeds_and_episodes(values: Float[np.ndarray, "seeds 2 episodes"], resamples: int = 10_000) -> Estimate:
    """R2 of all windows together, seeds and episodes drawn anew together for its interval."""
    return _estimate(_r2(values), _r2_drawn(values, resamples), values.shape[2])


def r2_difference(
    first: Float[np.ndarray, "seeds 2 episodes"], second: Float[np.ndarray, "seeds 2 episodes"], resamples: int = 10_000
) -> Estimate:
    """R2 of `first` minus that of `second`, with the same seeds and episodes drawn for both."""
    return _estimate(_r2(first) - _r2(second), _r2_drawn(first, resamples) - _r2_drawn(second, resamples), first.shape[2])


def _r2(values: Float[np.ndarray, "seeds 2 episodes"]) -> float:
    errors, spread = values.sum(axis=(0, 2))
    return float(1.0 - errors / spread)


def _r2_drawn(values: Float[np.ndarray, "seeds 2 episodes"], resamples: int) -> Float[np.ndarray, " resamples"]:
    """R2 of drawn seeds and episodes; arrays of one shape get the same draws."""
    draw = np.random.default_rng(0)
    seeds, _, episodes = values.shape
    chosen = values[draw.integers(seeds, size=(resamples, seeds))]  # resamples seeds 2 episodes
    which = draw.integers(episodes, size=(resamples, 1, 1, episodes))
    sums = np.take_along_axis(chosen, which, axis=3).sum(axis=(1, 3))
    return 1.0 - sums[:, 0] / sums[:, 1]


def _estimate(value: float, drawn: Float[np.ndarray, " resamples"], units: int) -> Estimate:
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Estimate(value=value, low=float(low), high=float(high), n=units)
