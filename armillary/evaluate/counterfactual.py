"""Counterfactuals: had it acted otherwise, would the dream have gone as the world does?

From one start the simulator is rolled twice, with some actions and with others; so is each subject, from the frames that the simulator
showed before. What matters is the difference between the two videos: the part of the picture that the actions decide. A subject that
ignores its actions shows none and scores 0, however good its pictures are; the simulator scores 1.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import gymnasium
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from armillary.core import DataError, Estimate, Prompt, World, WorldError, seeded
from armillary.evaluate.baselines import Predict, copy_last
from armillary.evaluate.result import estimate_row

RESAMPLES = 10_000
Sums = Float[np.ndarray, "*draws"]


@dataclass(frozen=True, kw_only=True)
class CounterfactualResult:
    """Sums over a start's pixels by step, `n` starts by `t` steps: of the simulator's squared difference, and by subject of its own squared
    difference and of its product with the simulator's."""

    seconds_per_step: float
    true: Float[np.ndarray, "n t"]
    told: Mapping[str, Float[np.ndarray, "n t"]]
    product: Mapping[str, Float[np.ndarray, "n t"]]
    seed: int = 0

    def correlation(self, subject: str, horizon_s: float) -> Estimate:
        """Cosine of the subject's difference with the simulator's, over all pixels and steps up to the horizon: 1 the same, 0 none or
        unrelated, -1 the opposite. How large the difference is does not matter."""
        return self._estimate(subject, horizon_s, _cosine)

    def explained(self, subject: str, horizon_s: float) -> Estimate:
        """The share of the simulator's difference that the subject shows, 1 - |told - true|^2 / |true|^2 up to the horizon: 1 is perfect,
        0 no difference at all, below 0 a wrong one."""
        return self._estimate(subject, horizon_s, _share)

    def rows(self) -> list[dict]:
        """Plain rows of both scores by subject, at every quarter of the horizon."""
        steps = sorted({max(round(self.true.shape[1] * part / 4), 1) for part in (1, 2, 3, 4)})
        return [
            estimate_row(
                f"counterfactual_{score.__name__}",
                round(step * self.seconds_per_step, 3),
                subject,
                score(subject, step * self.seconds_per_step),
            )
            for step in steps
            for score in (self.correlation, self.explained)
            for subject in self.told
        ]

    def _estimate(self, subject: str, horizon_s: float, score) -> Estimate:
        steps = min(max(round(horizon_s / self.seconds_per_step), 1), self.true.shape[1])
        sums = np.stack([one[:, :steps].sum(axis=1) for one in (self.true, self.told[subject], self.product[subject])])
        draws = np.random.default_rng(self.seed).integers(sums.shape[1], size=(RESAMPLES, sums.shape[1]))
        low, high = np.quantile(score(*sums[:, draws].sum(axis=2)), [0.025, 0.975])
        return Estimate(value=float(score(*sums.sum(axis=1, keepdims=True)).item()), low=float(low), high=float(high), n=sums.shape[1])


@torch.no_grad()
def evaluate_counterfactual(
    subjects: Mapping[str, Predict],
    simulator: World,
    actions: Float[Tensor, "b s a"],
    *,
    num_context: int,
    layout: Mapping[str, object] | None = None,
    seed: int = 0,
) -> CounterfactualResult:
    """Judge predictors by name (`open_loop.dream(world)` makes one) against a simulator that renders, beside `copy_last` and itself.

    `actions` are `b` ways to act for `s` steps (one-hot columns for a Discrete space). Start `i` follows way `i` for the first
    `num_context` - 1 steps; from there once the rest of it, and once the rest of way `i + 1`. DataError when nothing is left to
    foretell or there is only one way, WorldError for a simulator without pictures.
    """
    if not hasattr(simulator, "render"):
        raise WorldError(f"a counterfactual judges pictures, but {type(simulator).__name__} does not render")
    if len(actions) < 2 or not 1 <= num_context <= actions.shape[1]:
        raise DataError(f"needs two or more ways to act, of at least num_context = {num_context} steps; received {tuple(actions.shape)}")
    state = simulator.start(Prompt(batch_size=len(actions), layout=layout), seeded(seed))
    before, factual = actions[:, : num_context - 1], actions[:, num_context - 1 :]
    other = factual.roll(-1, dims=0)
    context = [simulator.render(state)["rgb"]]
    for step in range(num_context - 1):
        state = simulator.step(state, _acted(simulator, before[:, step]), seeded(seed))
        context.append(simulator.render(state)["rgb"])
    seen = torch.stack(context, dim=1)

    def simulated(ways: Tensor) -> Tensor:
        states = simulator.rollout(state, _acted(simulator, ways), seeded(seed))
        return torch.stack([simulator.render(one)["rgb"] for one in states], dim=1)

    true = simulated(other) - simulated(factual)
    told, product = {}, {}
    for name, predict in {**subjects, "copy_last": copy_last, "simulator": None}.items():
        difference = true if predict is None else _difference(predict, seen, before, factual, other, seed)
        told[name], product[name] = _sums(difference, difference), _sums(difference, true)
    seconds = simulator.spec.seconds_per_step
    return CounterfactualResult(seconds_per_step=seconds, true=_sums(true, true), told=told, product=product, seed=seed)


def _difference(predict: Predict, seen: Tensor, before: Tensor, factual: Tensor, other: Tensor, seed: int) -> Tensor:
    """Both dreams from the same noise."""
    one, two = (predict(seen, before, ways, seeded(seed)).clamp(0.0, 1.0) for ways in (factual, other))
    return two - one


def _acted(world: World, actions: Tensor) -> Tensor:
    """Recorded columns as the world takes them."""
    return actions.argmax(dim=-1) if isinstance(world.spec.action_space, gymnasium.spaces.Discrete) else actions


def _sums(one: Float[Tensor, "b t c h w"], other: Float[Tensor, "b t c h w"]) -> Float[np.ndarray, "b t"]:
    return (one.double() * other.double()).sum(dim=(2, 3, 4)).numpy()


def _cosine(true: Sums, told: Sums, product: Sums) -> Sums:
    length = np.sqrt(true * told)
    return np.where(length > 0, product / np.where(length > 0, length, 1.0), 0.0)


def _share(true: Sums, told: Sums, product: Sums) -> Sums:
    return np.where(true > 0, (2 * product - told) / np.where(true > 0, true, 1.0), 0.0)
