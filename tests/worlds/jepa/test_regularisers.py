"""The regularisers against numerical integrals, closed forms and naive float64 loops."""

import math

import numpy as np
import pytest
import torch

from armillary.core import seeded
from armillary.worlds.jepa.regularisers import (
    InverseDynamics,
    covariance_loss,
    epps_pulley,
    expected_of_normal_samples,
    sigreg,
    similarity_loss,
    variance_loss,
)

SQRT_TWO_PI = math.sqrt(2.0 * math.pi)


def integrated(samples: np.ndarray, last: float, points: int = 20_001) -> float:
    """n * integral of |c(t) - e^(-t^2/2)|^2 e^(-t^2/2) over [-last, last] in complex float64, by a fine trapezoidal rule."""
    t = np.linspace(-last, last, points)
    found = np.zeros(points, dtype=np.complex128)
    for x in samples:
        found += np.exp(1j * t * x)
    apart = np.abs(found / len(samples) - np.exp(-(t**2) / 2)) ** 2
    return len(samples) * float(np.trapezoid(apart * np.exp(-(t**2) / 2), t))


def whole_line(samples: np.ndarray) -> float:
    """The same over the whole line, in closed form: Gaussian kernels between samples (the BHEP statistic)."""
    n = len(samples)
    pairs = sum(SQRT_TWO_PI * math.exp(-((x - y) ** 2) / 2) for x in samples for y in samples) / n**2
    cross = sum(math.sqrt(math.pi) * math.exp(-(x**2) / 4) for x in samples) / n
    return n * (pairs - 2 * cross + math.sqrt(2 * math.pi / 3))


@pytest.mark.parametrize(("mean", "scale"), [(0.0, 1.0), (0.7, 1.0), (0.0, 0.2), (-0.3, 2.0)])
def test_epps_pulley_is_its_integral(mean, scale):
    samples = mean + scale * np.random.default_rng(0).normal(size=40)
    ours = epps_pulley(torch.tensor(samples)[:, None])[0].item()
    assert ours == pytest.approx(integrated(samples, 3.0), rel=0.02, abs=0.01)
    fine = epps_pulley(torch.tensor(samples)[:, None], last_knot=8.0, num_knots=2001)[0].item()
    assert fine == pytest.approx(whole_line(samples), rel=1e-5)


def test_epps_pulley_treats_columns_and_leading_axes_apart():
    samples = torch.randn(3, 50, 4, generator=seeded(0), dtype=torch.float64)
    whole = epps_pulley(samples)
    for t in range(3):
        for p in range(4):
            assert whole[t, p].item() == pytest.approx(epps_pulley(samples[t, :, p : p + 1])[0].item(), rel=1e-9)


@pytest.mark.parametrize("windows", [16, 128])
def test_sigreg_of_normal_embeddings_is_its_expected_value(windows):
    embeddings = torch.randn(windows, 100, 16, generator=seeded(1))
    assert sigreg(embeddings, seeded(2), num_projections=32).item() == pytest.approx(expected_of_normal_samples(), rel=0.1)


def test_sigreg_is_large_for_collapsed_correlated_shifted_or_small_embeddings():
    normal = torch.randn(256, 4, 8, generator=seeded(1))
    bad = {
        "collapsed": torch.zeros(256, 4, 8),
        "one line": normal[..., :1].expand(-1, -1, 8),
        "shifted": normal + 1.0,
        "small": 0.3 * normal,
    }
    healthy = sigreg(normal, seeded(2), num_projections=64).item()
    found = {name: sigreg(embeddings, seeded(2), num_projections=64).item() for name, embeddings in bad.items()}
    assert all(value > 5.0 * healthy for value in found.values()), (healthy, found)
    # every projection of a point at 0 is 0: c(t) = 1, so the integral is one of (1 - e^(-t^2/2))^2 e^(-t^2/2), times n
    assert found["collapsed"] == pytest.approx(integrated(np.zeros(256), 3.0), rel=0.02)


def test_sigreg_draws_its_directions_from_the_generator_alone():
    embeddings = torch.randn(32, 3, 8, generator=seeded(0)) * 0.5
    same = [sigreg(embeddings, seeded(3), num_projections=16).item() for _ in range(2)]
    assert same[0] == same[1] != sigreg(embeddings, seeded(4), num_projections=16).item()


def test_following_sigreg_makes_a_line_round():
    line = torch.randn(64, 1, 1, generator=seeded(0)).expand(-1, -1, 2)
    embeddings = line + 0.1 * torch.randn(64, 1, 2, generator=seeded(1))
    assert torch.corrcoef(embeddings[:, 0].T)[0, 1] > 0.95
    embeddings = embeddings.clone().requires_grad_()
    optimizer = torch.optim.Adam([embeddings], lr=0.1)
    for step in range(100):
        optimizer.zero_grad()
        sigreg(embeddings, seeded(step), num_projections=16).backward()
        optimizer.step()
    covariance, correlation = torch.cov(embeddings.detach()[:, 0].T), torch.corrcoef(embeddings.detach()[:, 0].T)[0, 1]
    assert abs(correlation) < 0.4 and torch.allclose(covariance.diagonal(), torch.ones(2), atol=0.6), covariance


def test_variance_and_covariance_equal_numpy_loops():
    embeddings = np.random.default_rng(0).normal(size=(20, 5)) * np.array([0.1, 0.5, 1.0, 2.0, 0.0])
    embeddings[:, 1] += embeddings[:, 0]
    short, pairs = [], []
    for i in range(5):
        column = embeddings[:, i]
        short.append(max(0.0, 1.0 - math.sqrt(sum((x - column.mean()) ** 2 for x in column) / 19 + 1e-4)))
        for j in range(5):
            if i != j:
                other = embeddings[:, j]
                pairs.append((sum((x - column.mean()) * (y - other.mean()) for x, y in zip(column, other, strict=True)) / 19) ** 2)
    given = torch.tensor(embeddings, dtype=torch.float32)
    assert variance_loss(given).item() == pytest.approx(np.mean(short), rel=1e-5)
    assert covariance_loss(given).item() == pytest.approx(np.mean(pairs), rel=1e-4)
    assert covariance_loss(given[:, :1]).item() == 0.0


def test_similarity_is_the_mean_squared_step():
    embeddings = torch.tensor([[[0.0, 0.0], [1.0, 0.0], [1.0, 2.0]]])
    assert similarity_loss(embeddings).item() == pytest.approx((1 + 4) / 4)


def test_inverse_dynamics_is_asked_for_the_action_between_two_frames():
    """A head that answers `after - before` is right exactly when action t is compared with frames t and t + 1."""
    head = InverseDynamics(latent_size=2, action_size=2, width=4)
    head.forward = lambda before, after: after - before
    actions = torch.randn(3, 6, 2, generator=seeded(0))
    places = torch.cat([torch.zeros(3, 1, 2), actions.cumsum(1)], dim=1)
    assert head.loss(places[:, :6], actions).item() == pytest.approx(0.0, abs=1e-10)
    assert head.loss(places[:, 1:], actions).item() > 0.5


def test_every_regulariser_has_a_finite_gradient_even_at_a_collapse():
    for start in (torch.zeros(8, 3, 4), torch.randn(8, 3, 4, generator=seeded(0))):
        embeddings = start.clone().requires_grad_()
        samples = embeddings.flatten(0, 1)
        terms = (sigreg(embeddings, seeded(1)), variance_loss(samples), covariance_loss(samples), similarity_loss(embeddings))
        gradients = [torch.autograd.grad(term, embeddings, retain_graph=True)[0] for term in terms]
        assert all(bool(torch.isfinite(gradient).all()) for gradient in gradients)
        if start.any():
            assert all(gradient.abs().sum() > 0 for gradient in gradients)
