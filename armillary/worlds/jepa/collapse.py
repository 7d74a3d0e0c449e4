"""Collapse: the cheapest way to predict embeddings well is to make them all alike. It is watched here, and said in words."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

LEAST_DEVIATION = 0.1  # of the mean over dimensions; healthy recipes here keep it near 1, a collapsed encoder below 0.02
LEAST_RANK = 2.0  # directions; a picture of anything that moves in a plane needs more
LEAST_RANK_SHARE = 0.01  # of the dimensions
_NOTHING_VARIES = 1e-6  # deviations below this are rounding, not directions


def effective_rank(embeddings: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    """How many directions the embeddings really use: exp of the entropy of the normalised singular values (Roy and Vetterli 2007).

    Of the embeddings without their mean. Between 1 (a line) and min(n - 1, d) (a ball); 0 where they do not vary at all.
    """
    deviations = _principal_deviations(embeddings)
    total = deviations.sum()
    if total < _NOTHING_VARIES:
        return torch.zeros((), device=embeddings.device)
    shares = deviations / total
    return torch.exp(torch.special.entr(shares).sum()).float()


def deviations(embeddings: Float[Tensor, "n d"]) -> Float[Tensor, " d"]:
    """The standard deviation of every dimension over the samples."""
    return embeddings.detach().float().std(dim=0)


def watch_collapse(embeddings: Float[Tensor, "*lead d"]) -> dict[str, Float[Tensor, ""]]:
    """What a loss adds to its parts so that a run's metrics.jsonl tells whether it collapsed.

    `effective_rank` in directions, `deviation` the mean and `least_deviation` the smallest standard deviation of a dimension.
    """
    with torch.no_grad():
        samples = embeddings.detach().flatten(0, -2)
        spread = deviations(samples)
        return {"effective_rank": effective_rank(samples), "deviation": spread.mean(), "least_deviation": spread.min()}


def describe_collapse(row: Mapping[str, object], *, dimensions: int) -> str:
    """What is wrong with the embeddings of a row of metrics.jsonl, in one sentence with what to do next; empty when nothing is.

    Held-out values (`validation_effective_rank`) are preferred where the row has them. Collapsed means: a mean deviation below
    LEAST_DEVIATION (every picture gets the same embedding), or an effective rank below LEAST_RANK or LEAST_RANK_SHARE of the
    `dimensions` (all pictures lie on a line or a point). A row without these columns describes nothing.

    >>> describe_collapse({"effective_rank": 40.0, "deviation": 0.9}, dimensions=64)
    ''
    >>> describe_collapse({"effective_rank": 1.2, "deviation": 0.9}, dimensions=64)[:64]
    'collapsed: the embeddings vary along about 1.2 of 64 dimensions '
    """
    rank, deviation = (row.get(f"validation_{name}", row.get(name)) for name in ("effective_rank", "deviation"))
    remedy = "raise the weights of the regularisers (model.variance_weight and model.covariance_weight, or model.sigreg_weight)"
    if deviation is not None and deviation < LEAST_DEVIATION:
        return (
            f"collapsed: every picture gets nearly the same embedding (mean standard deviation {deviation:.3g}, "
            f"healthy is above {LEAST_DEVIATION}); {remedy}"
        )
    least = max(LEAST_RANK, LEAST_RANK_SHARE * dimensions)
    if rank is not None and rank < least:
        return f"collapsed: the embeddings vary along about {rank:.2g} of {dimensions} dimensions (healthy is above {least:.3g}); {remedy}"
    return ""


def _principal_deviations(embeddings: Float[Tensor, "n d"]) -> Float[Tensor, " d"]:
    """Standard deviations along the principal directions: the singular values of the centred samples, divided by sqrt(n - 1)."""
    samples = embeddings.detach().double()
    centred = samples - samples.mean(dim=0)
    covariance = centred.T @ centred / max(len(centred) - 1, 1)
    return torch.linalg.eigvalsh(covariance).clamp_min(0.0).sqrt()
