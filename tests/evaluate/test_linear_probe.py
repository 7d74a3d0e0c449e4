"""Ridge probes against closed forms."""

import pytest
import torch

from armillary.core import DataError, seeded
from armillary.evaluate.linear_probe import fit_linear_probe, r_squared


def line(count: int, size: int, noise: float, seed: int):
    rng = seeded(seed)
    weight = torch.randn(size, 2, generator=seeded(0))
    features = 3.0 + torch.randn(count, size, generator=rng)
    return features, features @ weight - 1.0 + noise * torch.randn(count, 2, generator=rng)


@pytest.mark.parametrize(("count", "size"), [(50, 7), (20, 40)])
def test_equals_the_normal_equations(count, size):
    features, targets = line(count, size, 0.3, 1)
    probe = fit_linear_probe(features, targets, (features, targets), penalties=[0.01])
    x, y = features.double() - features.double().mean(0), targets.double() - targets.double().mean(0)
    ridge = 0.01 * len(x) * x.square().mean() * torch.eye(size, dtype=torch.float64)
    weight = torch.linalg.solve(x.T @ x + ridge, x.T @ y)
    torch.testing.assert_close(probe.weight, weight, atol=1e-8, rtol=1e-8)


def test_reads_a_line_and_shrinks_where_there_is_only_noise():
    features, targets = line(400, 5, 0.0, 2)
    aside = line(50, 5, 0.0, 3)
    probe = fit_linear_probe(features, targets, aside)
    assert probe.penalty == 1e-4
    held = line(100, 5, 0.0, 4)
    assert r_squared(probe.read(held[0]), held[1], probe.target_mean) > 0.999
    noise = torch.randn(30, 60, generator=seeded(5))
    blind = fit_linear_probe(noise, targets[:30], (torch.randn(50, 60, generator=seeded(6)), aside[1]))
    assert blind.penalty >= 10.0
    assert abs(r_squared(blind.read(torch.randn(100, 60, generator=seeded(7))), held[1], blind.target_mean)) < 0.2


def test_telling_the_mean_is_worth_nothing():
    _, targets = line(100, 5, 0.1, 8)
    mean = targets.double().mean(0)
    assert r_squared(mean.expand(100, -1), targets, mean) == pytest.approx(0.0, abs=1e-9)


def test_features_that_are_not_finite_are_refused():
    features, targets = line(20, 3, 0.0, 9)
    features[4, 1] = float("nan")
    with pytest.raises(DataError, match="finite"):
        fit_linear_probe(features, targets, (features, targets))
