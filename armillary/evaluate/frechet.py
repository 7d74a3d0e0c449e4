"""Frechet distance between two sets of feature vectors, each taken as a Gaussian (Dowson and Landau 1982; Heusel et al. 2017)."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from armillary.core import DataError


@dataclass(frozen=True, kw_only=True)
class FrechetDistance:
    """The squared distance, the two parts that add up to it, and how many vectors each side had.

    It is too large by about 1 / n of its trace part: compare numbers of equal `n_real` and `n_dreamed` only. `floor` is what one real
    half lies from the other half, at half the n: a distance near it says no more than that the sets are alike.
    """

    value: float
    of_means: float
    of_covariances: float
    n_real: int
    n_dreamed: int
    floor: float


def frechet_distance(real: Float[np.ndarray, "n d"], dreamed: Float[np.ndarray, "m d"], *, seed: int = 0) -> FrechetDistance:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), in the features' units squared.

    `seed` draws the halves of the floor. Covariances are the unbiased ones; with fewer vectors than dimensions they are singular, which the
    formula allows. DataError for fewer than four real or two dreamed vectors.
    """
    for name, found, least in (("real", real, 4), ("dreamed", dreamed, 2)):
        if len(found) < least or not np.isfinite(found).all():
            raise DataError(f"the Frechet distance needs at least {least} finite {name} vectors, received shape {found.shape}")
    order = np.random.default_rng(seed).permutation(len(real))
    one, other = real[order[: len(real) // 2]], real[order[len(real) // 2 :]]
    of_means, of_covariances = _parts(real, dreamed)
    return FrechetDistance(
        value=of_means + of_covariances,
        of_means=of_means,
        of_covariances=of_covariances,
        n_real=len(real),
        n_dreamed=len(dreamed),
        floor=sum(_parts(one, other)),
    )


def gaussian_distance(
    mean: Float64[np.ndarray, " d"],
    covariance: Float64[np.ndarray, "d d"],
    mean2: Float64[np.ndarray, " d"],
    covariance2: Float64[np.ndarray, "d d"],
) -> tuple[float, float]:
    """The squared distance of two Gaussians' means, and that of their covariances (Bures).

    tr((C1 C2)^(1/2)) is the sum of the singular values of C1^(1/2) C2^(1/2): symmetric roots alone, and never an imaginary part.
    """
    nuclear = np.linalg.norm(_root(covariance) @ _root(covariance2), ord="nuc")
    return float(((mean - mean2) ** 2).sum()), float(max(np.trace(covariance) + np.trace(covariance2) - 2 * nuclear, 0.0))


def _parts(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    return gaussian_distance(*_moments(one), *_moments(other))


def _moments(vectors: Float[np.ndarray, "n d"]) -> tuple[Float64[np.ndarray, " d"], Float64[np.ndarray, "d d"]]:
    vectors = vectors.astype(np.float64)
    return vectors.mean(axis=0), np.atleast_2d(np.cov(vectors.T))


def _root(covariance: Float64[np.ndarray, "d d"]) -> Float64[np.ndarray, "d d"]:
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
