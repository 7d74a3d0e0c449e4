"""What an open-loop judgement found: a curve per episode, and estimates with intervals drawn from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from armillary.core import Estimate, bootstrap

COMPARED = ("psnr", "ssim")


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """Open-loop prediction: see `context_s` of a recording, then foretell `horizon_s` from the actions alone.

    Windows start every `starts_every_s`; rows are reported at `report_s`, curves at every step.
    """

    context_s: float = 0.5
    horizon_s: float = 2.0
    report_s: tuple[float, ...] = (0.5, 1.0, 1.5, 2.0)
    starts_every_s: float = 0.5


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One held-out window to look at: what was real, and what each subject foretold for the frames after the context."""

    episode: int
    start: int
    task: str
    context: UInt8[np.ndarray, "k h w c"]
    real: UInt8[np.ndarray, "t h w c"]
    predicted: Mapping[str, UInt8[np.ndarray, "t h w c"]]


@dataclass(frozen=True, kw_only=True)
class OpenLoopResult:
    """Curves by metric and subject, `n` episodes by `t` steps, each the mean over that episode's windows."""

    protocol: Protocol
    seconds_per_step: float
    episodes: tuple[int, ...]
    windows: tuple[int, ...]
    curves: Mapping[str, Mapping[str, Float[np.ndarray, "n t"]]]
    samples: tuple[Sample, ...] = ()
    notes: tuple[str, ...] = ()
    seed: int = 0
    _cache: dict = field(default_factory=dict, repr=False, compare=False)

    @property
    def subjects(self) -> tuple[str, ...]:
        """Who was judged, the model first."""
        return tuple(self.curves["psnr"])

    @property
    def num_steps(self) -> int:
        """How many steps ahead were foretold."""
        return next(iter(self.curves["psnr"].values())).shape[1]

    @property
    def horizons_s(self) -> tuple[float, ...]:
        """Seconds ahead of every point of a curve."""
        return tuple(round(step * self.seconds_per_step, 3) for step in range(1, self.num_steps + 1))

    @property
    def reported_s(self) -> tuple[float, ...]:
        """The protocol's report times, each moved to the nearest step that there is."""
        steps = sorted({self._step(wanted) for wanted in self.protocol.report_s if wanted <= self.protocol.horizon_s + 1e-9})
        return tuple(self.horizons_s[step] for step in steps)

    def estimate(self, metric: str, subject: str, horizon_s: float) -> Estimate:
        """Mean over episodes of a metric at the step nearest to `horizon_s`."""
        return self._bootstrapped((metric, subject), self.curves[metric][subject], self._step(horizon_s))

    def gain(self, metric: str, subject: str, over: str, horizon_s: float) -> Estimate:
        """How much better `subject` is than `over`, the difference taken within each episode (paired)."""
        difference = self.curves[metric][subject] - self.curves[metric][over]
        return self._bootstrapped((metric, subject, over), difference, self._step(horizon_s))

    def curve(self, metric: str, subject: str) -> list[Estimate]:
        """The estimate at every step."""
        return [self.estimate(metric, subject, horizon_s) for horizon_s in self.horizons_s]

    def rows(self) -> list[dict]:
        """Plain rows: every metric of everyone, the subjects' gain over copy-last, and the model's gain over each other subject."""
        comparisons = [(subject, "copy_last") for subject in self.subjects if subject != "copy_last"]
        comparisons += [("model", other) for other in self.subjects if other not in ("model", "copy_last")]
        rows = []
        for horizon_s in self.reported_s:
            for metric in self.curves:
                judged = self.curves[metric]
                rows += [estimate_row(metric, horizon_s, subject, self.estimate(metric, subject, horizon_s)) for subject in judged]
                for subject, over in comparisons if metric in COMPARED else ():
                    found = self.gain(metric, subject, over, horizon_s)
                    rows.append(estimate_row(f"{metric}_gain_over_{over}", horizon_s, subject, found))
        return rows

    def _step(self, horizon_s: float) -> int:
        nearest = round(horizon_s / self.seconds_per_step + 1e-9) - 1
        return min(max(nearest, 0), self.num_steps - 1)

    def _bootstrapped(self, key: tuple, values: Float[np.ndarray, "n t"], step: int) -> Estimate:
        if (*key, step) not in self._cache:
            self._cache[*key, step] = bootstrap(values[:, step].tolist(), seed=self.seed)
        return self._cache[*key, step]


def estimate_row(metric: str, horizon_s: float, subject: str, found: Estimate) -> dict:
    """The one form of a judged number."""
    return {
        "metric": metric,
        "horizon_s": horizon_s,
        "subject": subject,
        "value": found.value,
        "low": found.low,
        "high": found.high,
        "n": found.n,
    }


def mean_by_episode(parts: Sequence[Float[Tensor, "_ *steps"]], owner: Int[np.ndarray, " w"]) -> Float[np.ndarray, "n *steps"]:
    """What windows gave, in parts, as the mean of each episode, in the order of their numbers; `owner[w]` is the window's episode."""
    values = torch.cat(list(parts)).double().numpy()
    return np.stack([values[owner == episode].mean(axis=0) for episode in np.unique(owner)])
