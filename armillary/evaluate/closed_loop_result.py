"""What a closed-loop judgement found: every episode of every subject, and estimates with intervals drawn from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from armillary.core import Estimate, bootstrap

Z95 = 1.959963984540054  # of the standard normal distribution, 95 % two-sided
RESAMPLES = 10_000


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One subject's episodes. `solved_at` counts actions, 0 for never; it is None where a goal picture alone was aimed at.

    `closeness` is (at the start, at the end). Seconds are of blocks of actions.
    """

    solved_at: Int[np.ndarray, " n"] | None
    final_distance_m: Float[np.ndarray, " n"] | None
    closeness: tuple[Float[np.ndarray, " n"], ...] | None
    seconds_alone: Float[np.ndarray, " blocks"]
    seconds_in_batch: Float[np.ndarray, " more_blocks"]

    @property
    def solved(self) -> Bool[np.ndarray, " n"]:
        """Which episodes succeeded."""
        if self.solved_at is None:
            raise ValueError("whether a goal picture was reached is not known; aim at the tasks' own goals to judge success")
        return self.solved_at > 0


@dataclass(frozen=True, kw_only=True)
class ClosedLoopResult:
    """Outcomes by subject, the policy under test first; `film` and `goals` are pictures of its first episodes."""

    protocol_steps: int
    seconds_per_step: float
    seed: int
    outcomes: Mapping[str, Outcome]
    film: UInt8[np.ndarray, "t n h w 3"] | None = None
    goals: UInt8[np.ndarray, "n h w 3"] | None = None

    def success(self, subject: str) -> Estimate:
        """The share of episodes solved, with Wilson's interval."""
        solved = self.outcomes[subject].solved
        return wilson(int(solved.sum()), len(solved))

    def rows(self) -> list[dict]:
        """Plain rows: success, distance or closeness, and seconds. The range given with seconds is that of the blocks measured."""
        found = []
        for name, outcome in self.outcomes.items():
            if outcome.solved_at is not None:
                found.append(("success", name, self.success(name)))
                found.append(("final_distance_m", name, bootstrap(outcome.final_distance_m, seed=self.seed)))
            for when, values in zip(("start", "end"), outcome.closeness or (), strict=False):
                found.append((f"distance_to_goal_picture_{when}", name, bootstrap(values, seed=self.seed)))
            found.append(("seconds_an_action", name, _median(outcome.seconds_alone)))
            found.append(("seconds_an_action_in_batch", name, _median(outcome.seconds_in_batch)))
        return [
            {"metric": metric, "subject": name, "value": one.value, "low": one.low, "high": one.high, "n": one.n}
            for metric, name, one in found
        ]


def wilson(successes: int, trials: int) -> Estimate:
    """A share and its 95 % interval (Wilson 1927), which is right at 0 and 1 too, where a bootstrap has no width.

    >>> print(wilson(50, 50))
    1.00 [0.93, 1.00]
    """
    if not 0 <= successes <= trials or trials < 1:
        raise ValueError(f"needs at least one trial and from none to all of them successful, received {successes} of {trials}")
    share, squared = successes / trials, Z95**2
    middle = (share + squared / (2 * trials)) / (1 + squared / trials)
    half = Z95 / (1 + squared / trials) * (share * (1 - share) / trials + squared / (4 * trials**2)) ** 0.5
    # rounding must not push the bound past the share itself
    return Estimate(value=share, low=max(min(middle - half, share), 0.0), high=min(max(middle + half, share), 1.0), n=trials)


def success_over_seeds(solved: Sequence[Bool[np.ndarray, " n"]], seed: int = 0) -> Estimate:
    """The share solved over several trained seeds, one array each; its `n` counts all episodes.

    The interval: seeds are drawn with replacement, then episodes within each (a two-level bootstrap); it is never narrower
    than Wilson's of all episodes together, since a few seeds that all succeed would give no width at all.
    """
    if not len(solved):
        raise ValueError("needs the episodes of at least one seed, received none")
    rng = np.random.default_rng(seed)
    # a binomial draw is a resample with replacement of so many yes and no
    shares, counts = np.array([one.mean() for one in solved]), np.array([len(one) for one in solved])
    chosen = rng.integers(len(solved), size=(RESAMPLES, len(solved)))
    means = (rng.binomial(counts[chosen], shares[chosen]) / counts[chosen]).mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    pooled = wilson(int(sum(one.sum() for one in solved)), int(counts.sum()))
    return Estimate(value=float(shares.mean()), low=min(float(low), pooled.low), high=max(float(high), pooled.high), n=pooled.n)


def _median(seconds: Float[np.ndarray, " n"]) -> Estimate:
    return Estimate(value=float(np.median(seconds)), low=float(seconds.min()), high=float(seconds.max()), n=len(seconds))
