"""Diversity and its calibration: do a world's samples differ from one another as much as their mean differs from what happens?

A world that knows what it does not know spreads its samples as widely as it errs. Samples that are all alike beside a wrong mean are
over-confident; a wide spread alone proves nothing, so the CRPS says whether the samples are also near the truth.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor

from armillary.core import ConfigError, Episode, Estimate, World, bootstrap, seeded
from armillary.evaluate.baselines import Predict, copy_last
from armillary.evaluate.open_loop import check_fit, dream, foretell, plan_windows, window_sizes
from armillary.evaluate.result import Protocol, estimate_row, mean_by_episode

Numbers = np.ndarray | np.floating

RESAMPLES = 10_000
NEXT_SAMPLE = 10_007  # between the seeds of one window's samples


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Means over pixels by step: the samples' variance (unbiased), the squared error of their mean, and their CRPS."""

    variance: Float[Tensor, "b t"]
    squared_error: Float[Tensor, "b t"]
    crps: Float[Tensor, "b t"]
    num_samples: int


def measure_spread(samples: Float[Tensor, "s b t c h w"], real: Float[Tensor, "b t c h w"]) -> Spread:
    """What samples say beside the truth. The CRPS is the fair one (Ferro 2014): its expectation does not depend on how many samples
    there are. Two samples at least.
    """
    count = len(samples)
    if count < 2:
        raise ConfigError(f"a spread needs at least two samples of each window, received {count}")
    pixels, mean = (2, 3, 4), samples.mean(dim=0)
    ordered = samples.sort(dim=0).values
    # Each pair's distance, over all pairs: sample k of the ordered ones is subtracted s - 1 - k times and added k times.
    weight = (2 * torch.arange(count, dtype=samples.dtype) - count + 1).to(samples.device).view(-1, 1, 1, 1, 1, 1)
    between = (weight * ordered).sum(dim=0) / (count * (count - 1))
    return Spread(
        variance=samples.var(dim=0).mean(dim=pixels),
        squared_error=(mean - real).square().mean(dim=pixels),
        crps=((samples - real).abs().mean(dim=0) - between).mean(dim=pixels),
        num_samples=count,
    )


def spread_skill(variance: Numbers, squared_error: Numbers, num_samples: int) -> Numbers:
    """Root of the samples' variance over the error of their mean, corrected for their number (Fortin et al. 2014): 1 is calibrated, below
    1 over-confident, 0 a single answer. Where nothing is wrong it is 1 if nothing differs either.
    """
    expected = (1 + 1 / num_samples) * variance
    unerring = np.where(expected > 0, np.inf, 1.0)
    return np.sqrt(np.where(squared_error > 0, expected / np.where(squared_error > 0, squared_error, 1.0), unerring))


def rank_histogram(samples: Float[Tensor, "s *places"], real: Float[Tensor, "*places"]) -> Float[np.ndarray, " r"]:
    """How often the truth has each rank among the samples, 0 (below all) to `s`; flat if calibrated, a U if over-confident.

    Where the truth equals `k` samples its place is shared out evenly over the `k + 1` ranks that it could have.
    """
    below, equal = (samples < real).sum(dim=0).flatten(), (samples == real).sum(dim=0).flatten()
    found = np.zeros(len(samples) + 1)
    for ties in equal.unique().tolist():
        ranks = below[equal == ties].numpy()
        for further in range(ties + 1):
            found += np.bincount(ranks + further, minlength=len(found)) / (ties + 1)
    return found / found.sum()


@dataclass(frozen=True, kw_only=True)
class DiversityResult:
    """Curves by measure and subject, `n` episodes by `t` steps. `crps` is of every subject, the rest of what was sampled;
    `ranks` is the histogram of the truth's rank among the model's samples."""

    seconds_per_step: float
    num_samples: int
    curves: Mapping[str, Mapping[str, Float[np.ndarray, "n t"]]]
    ranks: Float[np.ndarray, " r"]
    seed: int = 0

    def calibration(self, subject: str, horizon_s: float) -> Estimate:
        """The spread-skill ratio of all episodes together, episodes drawn anew for its interval."""
        step = self._step(horizon_s)
        variance, error = (self.curves[name][subject][:, step] for name in ("variance", "squared_error"))
        draws = np.random.default_rng(self.seed).integers(len(error), size=(RESAMPLES, len(error)))
        drawn = spread_skill(variance[draws].sum(axis=1), error[draws].sum(axis=1), self.num_samples)
        low, high = np.quantile(drawn, [0.025, 0.975])
        value = float(spread_skill(variance.sum(), error.sum(), self.num_samples))
        return Estimate(value=value, low=float(low), high=float(high), n=len(error))

    def crps(self, subject: str, horizon_s: float) -> Estimate:
        """How far from the truth, as a distribution (in [0, 1] of a pixel): less is better; of a single answer it is the absolute error."""
        return bootstrap(self.curves["crps"][subject][:, self._step(horizon_s)], seed=self.seed)

    def rows(self) -> list[dict]:
        """Plain rows at every quarter of the horizon."""
        count, found = next(iter(self.curves["crps"].values())).shape[1], []
        for step in sorted({max(round(count * part / 4), 1) for part in (1, 2, 3, 4)}):
            horizon_s = round(step * self.seconds_per_step, 3)
            found += [estimate_row("spread_skill", horizon_s, one, self.calibration(one, horizon_s)) for one in self.curves["variance"]]
            found += [estimate_row("crps", horizon_s, one, self.crps(one, horizon_s)) for one in self.curves["crps"]]
        return found

    def _step(self, horizon_s: float) -> int:
        count = next(iter(self.curves["crps"].values())).shape[1]
        return min(max(round(horizon_s / self.seconds_per_step) - 1, 0), count - 1)


def evaluate_diversity(
    world: World,
    episodes: Sequence[Episode],
    *,
    camera: str,
    protocol: Protocol | None = None,
    num_samples: int = 8,
    seed: int = 0,
    batch_size: int = 8,
) -> DiversityResult:
    """Dream every held-out window `num_samples` times, each from noise of its own.

    Beside `model` stand single answers, whose CRPS is their absolute error: `one_sample` of the world's, and `copy_last`. Windows as in
    `evaluate_open_loop`, whose errors are raised.
    """
    protocol = protocol or Protocol()
    check_fit(world, episodes, camera)
    if num_samples < 2:
        raise ConfigError(f"num_samples must be at least 2, received {num_samples}")
    num_context, num_future = window_sizes(world, protocol)
    windows, _ = plan_windows(episodes, num_context, num_future, protocol, world.spec.seconds_per_step, seed)
    subjects = {f"sample {number}": _sampled(dream(world), number) for number in range(num_samples)}
    curves: dict[str, dict[str, list[Tensor]]] = {"variance": {"model": []}, "squared_error": {"model": []}, "crps": {}}
    owner: list[int] = []
    ranks = np.zeros(num_samples + 1)
    for chosen, batch, told in foretell(world, episodes, windows, subjects, camera, num_context, num_future, seed, batch_size):
        samples = torch.stack(list(told.values()))
        spread = measure_spread(samples, batch.real)
        curves["variance"]["model"].append(spread.variance.cpu())
        curves["squared_error"]["model"].append(spread.squared_error.cpu())
        still = copy_last(batch.context, batch.context_actions, batch.future_actions, seeded(seed))
        errors = {"model": spread.crps, "one_sample": _absolute(samples[0], batch.real), "copy_last": _absolute(still, batch.real)}
        for name, values in errors.items():
            curves["crps"].setdefault(name, []).append(values.cpu())
        ranks += len(chosen) * rank_histogram(samples.cpu(), batch.real.cpu())
        owner += [window.episode for window in chosen]
    owners = np.array(owner)
    return DiversityResult(
        seconds_per_step=world.spec.seconds_per_step,
        num_samples=num_samples,
        curves={measure: {name: mean_by_episode(parts, owners) for name, parts in by.items()} for measure, by in curves.items()},
        ranks=ranks / ranks.sum(),
        seed=seed,
    )


def _sampled(predict: Predict, number: int) -> Predict:
    """The same predictor with noise of its own for each `number`."""

    def sampled(context: Tensor, context_actions: Tensor, future_actions: Tensor, rng: Generator) -> Tensor:
        return predict(context, context_actions, future_actions, seeded(rng.initial_seed() + NEXT_SAMPLE * number, rng.device))

    return sampled


def _absolute(told: Float[Tensor, "b t c h w"], real: Float[Tensor, "b t c h w"]) -> Float[Tensor, "b t"]:
    return (told - real).abs().mean(dim=(2, 3, 4))
