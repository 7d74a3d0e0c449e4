"""The Frechet distance against closed forms and another route; clip features of our own encoder."""

import numpy as np
import pytest
import torch

from armillary.core import ConfigError, DataError
from armillary.evaluate.frechet import frechet_distance, gaussian_distance
from armillary.evaluate.video_features import clip_features
from armillary.worlds.jepa.vjepa2 import Sizes, VJepa2

RNG = np.random.default_rng(0)


def test_gaussians_of_one_dimension_in_closed_form():
    parts = gaussian_distance(np.array([1.0]), np.array([[4.0]]), np.array([-2.0]), np.array([[0.25]]))
    assert parts == pytest.approx((9.0, (2.0 - 0.5) ** 2))


def test_covariances_that_commute_in_closed_form():
    turn = np.linalg.qr(RNG.normal(size=(5, 5)))[0]
    one, other = RNG.uniform(0, 3, 5), RNG.uniform(0, 3, 5)
    _, found = gaussian_distance(np.zeros(5), turn * one @ turn.T, np.zeros(5), turn * other @ turn.T)
    assert found == pytest.approx(((np.sqrt(one) - np.sqrt(other)) ** 2).sum())


def test_the_usual_route_by_eigenvalues_of_the_product_agrees():
    one, other = (np.cov(RNG.normal(size=(6, 40)) * RNG.uniform(0.1, 3, (6, 1))) for _ in range(2))
    trace = np.sqrt(np.linalg.eigvals(one @ other).astype(complex)).sum().real
    expected = np.trace(one) + np.trace(other) - 2 * trace
    assert gaussian_distance(np.zeros(6), one, np.zeros(6), other)[1] == pytest.approx(expected, rel=1e-9)


def test_sets_of_vectors():
    real = RNG.normal(size=(400, 4))
    same = frechet_distance(real, real)
    assert same.value == pytest.approx(0.0, abs=1e-9) and (same.n_real, same.n_dreamed) == (400, 400)
    moved = frechet_distance(real, real + np.array([3.0, 0, 0, 4.0]))
    assert moved.of_means == pytest.approx(25.0) and moved.of_covariances == pytest.approx(0.0, abs=1e-6)
    wider = frechet_distance(real, 2 * (real - real.mean(0)) + real.mean(0))
    assert wider.value == pytest.approx(np.trace(np.cov(real.T)))  # (2 s - s)^2 in every direction
    other = frechet_distance(real, RNG.normal(size=(400, 4)))
    assert 0 < other.value < other.floor * 1.5 < 0.3  # another draw of the same lies no further than half from half


def test_fewer_vectors_than_dimensions_are_allowed_and_too_few_are_not():
    assert frechet_distance(RNG.normal(size=(6, 30)), RNG.normal(size=(5, 30))).value > 0
    with pytest.raises(DataError, match="at least 4 finite real vectors"):
        frechet_distance(np.zeros((3, 2)), np.zeros((3, 2)))
    with pytest.raises(DataError, match="at least 2 finite dreamed vectors"):
        frechet_distance(np.zeros((4, 2)), np.full((3, 2), np.nan))


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    return VJepa2(Sizes(width=24, depth=1, heads=2, patch_size=8, predictor_width=24, predictor_depth=1, predictor_heads=2))


def drifting(count: int, seed: int) -> torch.Tensor:
    """Films of one bright square that drifts to the right from a random place."""
    rng, films = np.random.default_rng(seed), torch.full((count, 8, 3, 32, 32), 0.2)
    for film, (x, y) in zip(films, rng.integers(0, 10, (count, 2)), strict=True):
        for t in range(8):
            film[t, :, y : y + 10, x + 2 * t : x + 2 * t + 8] = 0.9
    return films


def test_another_draw_is_near_and_noise_darkness_and_stillness_are_far(encoder):
    real, films = clip_features(encoder, drifting(48, 0)), drifting(48, 1)
    near = frechet_distance(real, clip_features(encoder, films))
    assert near.value < 1.5 * near.floor
    noisy = (films + 0.2 * torch.randn(films.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    for wrong, least in ((noisy, 20), (0.8 * films, 5), (films[:, :1].expand_as(films), 1.2)):
        assert frechet_distance(real, clip_features(encoder, wrong)).value > least * near.value


def test_clips_must_be_long_enough(encoder):
    with pytest.raises(ConfigError, match="whole tubelets of 2 frames long, received 3"):
        clip_features(encoder, torch.rand(1, 3, 3, 32, 32))
