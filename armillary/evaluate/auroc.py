"""AUROC: how often a score tells the one that should score higher from the one that should not, with its interval over scenes."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from armillary.core import Estimate


def auroc(positive: Float[np.ndarray, " p"], negative: Float[np.ndarray, " n"]) -> float:
    """The share of all (positive, negative) pairs in which the positive scores higher, ties counting half (Mann and Whitney 1947).

    This is the area under the receiver operating characteristic: 1 is perfect, 0.5 is chance.

    >>> auroc(np.array([3.0, 1.0]), np.array([1.0, 0.0]))
    0.875
    """
    return float(_wins(_finite(positive, "positive"), _finite(negative, "negative")).mean())


def auroc_over_scenes(
    positive: Sequence[Float[np.ndarray, " _"]],
    negative: Sequence[Float[np.ndarray, " _"]],
    scene: Int[np.ndarray, " n"],
    *,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Estimate:
    """The AUROC of each model's scores, averaged over models (one item each), and its percentile bootstrap interval.

    Row i of positives and negatives are matched and belong to `scene[i]`; models have seen the same films. Scores are compared within a
    model only. Scenes and models are drawn anew together, so that what a scene's films have in common, and what all of them owe
    to one lucky run, widen the interval. `n` counts scenes.
    """
    if len(positive) != len(negative) or not len(positive):
        raise ValueError(f"needs the scores of as many models for positives as for negatives, received {len(positive)} and {len(negative)}")
    for scores in (*positive, *negative):
        if scores.shape != scene.shape:
            raise ValueError(f"needs one score a row, received {scores.shape} for scenes {scene.shape}")
    names, index = np.unique(scene, return_inverse=True)
    members = np.eye(len(names))[index]  # rows scenes
    pairs = np.outer(members.sum(axis=0), members.sum(axis=0))
    wins = [_wins(_finite(p, "positive"), _finite(n, "negative")) for p, n in zip(positive, negative, strict=True)]
    by_scene = np.stack([members.T @ won @ members for won in wins])  # models scenes scenes
    draw = np.random.default_rng(seed)
    models = draw.multinomial(len(wins), np.full(len(wins), 1.0 / len(wins)), size=resamples) / len(wins)
    weights = draw.multinomial(len(names), np.full(len(names), 1.0 / len(names)), size=resamples).astype(np.float64)
    won = np.stack([((weights @ one) * weights).sum(axis=1) for one in by_scene], axis=1)
    found = (won * models).sum(axis=1) / ((weights @ pairs) * weights).sum(axis=1)
    low, high = np.quantile(found, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    value = float(np.mean([won.mean() for won in wins]))
    return Estimate(value=value, low=float(low), high=float(high), n=len(names))


def _wins(positive: Float[np.ndarray, " p"], negative: Float[np.ndarray, " n"]) -> Float[np.ndarray, "p n"]:
    """1 where the positive scores higher, a half where both score the same."""
    return (positive[:, None] > negative).astype(np.float64) + 0.5 * (positive[:, None] == negative)


def _finite(scores: Float[np.ndarray, " n"], name: str) -> Float[np.ndarray, " n"]:
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 1 or not len(scores) or not np.isfinite(scores).all():
        raise ValueError(f"AUROC needs at least one finite {name} score on one axis, received {scores.shape} {scores[:3]}")
    return scores
