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


def r2_over_seeds_and_episodes(values: Float[np.ndarray, "seeds 2 episodes"], resamples: int = 10_000) -> Estimate:
    """R2 of all windows together, seeds and episodes drawn anew together for its interval."""
    draw = np.random.default_rng(0)
    seeds, _, episodes = values.shape
    chosen = values[draw.integers(seeds, size=(resamples, seeds))]  # resamples seeds 2 episodes
    which = draw.integers(episodes, size=(resamples, 1, 1, episodes))
    sums = np.take_along_axis(chosen, which, axis=3).sum(axis=(1, 3))
    low, high = np.quantile(1.0 - sums[:, 0] / sums[:, 1], [0.025, 0.975])
    total = values.sum(axis=(0, 2))
    return Estimate(value=float(1.0 - total[0] / total[1]), low=float(low), high=float(high), n=episodes)
