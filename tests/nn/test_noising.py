"""Rectified flow and EDM against their closed forms."""

import math

import pytest
import torch

from armillary.core import seeded
from armillary.nn.noising import Edm, RectifiedFlow
from armillary.nn.samplers import SAMPLERS, sample

MEAN, STD = 0.7, 0.4  # of the Gaussian data whose clean estimate is known


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def perfect_flow(noisy, level):
    """E[clean | noisy] of Gaussian data in rectified flow."""
    level = level.reshape(-1, *(1,) * (noisy.ndim - 1))
    variance = (1 - level) ** 2 * STD**2 + level**2
    return MEAN + (1 - level) * STD**2 / variance * (noisy - (1 - level) * MEAN)


def test_a_straight_line_has_one_velocity():
    """With the true clean picture the slope is noise - clean at every level, and one step of Euler lands on it."""
    clean, noise, flow = drawn(5, 3, 4, 4), drawn(5, 3, 4, 4, seed=1), RectifiedFlow()
    level = torch.tensor([0.05, 0.3, 0.5, 0.9, 1.0], dtype=torch.float64)
    slope = flow.slope(lambda noisy, told: clean, flow.mix(clean, noise, level), level)
    assert torch.allclose(slope, noise - clean, atol=1e-12)
    reached = sample("euler", lambda noisy, level: noise - clean, noise, flow.levels(1))
    assert torch.allclose(reached, clean, atol=1e-12)


def test_the_flow_weighs_the_error_of_the_clean_picture_as_the_velocitys():
    clean, noise, flow = drawn(4, 6), drawn(4, 6, seed=1), RectifiedFlow()
    level = torch.tensor([0.2, 0.4, 0.7, 1.0], dtype=torch.float64)
    guess = drawn(4, 6, seed=2)
    velocity = (flow.mix(clean, noise, level) - guess) / level[:, None]
    expected = (velocity - (noise - clean)).square().mean()
    assert torch.allclose(flow.loss(lambda noisy, told: guess, clean, noise, level), expected, rtol=1e-12)


def test_flow_levels_are_shifted_towards_noise():
    levels = RectifiedFlow(shift=3.0).levels(4)
    assert torch.allclose(levels, torch.tensor([1.0, 0.9, 0.75, 0.5, 0.0]))
    assert torch.allclose(RectifiedFlow(shift=1.0).levels(4), torch.tensor([1.0, 0.75, 0.5, 0.25, 0.0]))


def test_flow_levels_drawn_are_the_shifted_sigmoid_of_a_normal():
    """The median of the sigmoid of a standard normal is 1/2, which shift 3 makes 3/4; quartiles follow from the normal's."""
    drawn_levels = RectifiedFlow(shift=3.0).draw(20_000, seeded(0))
    quartile = 1.0 / (1.0 + math.exp(0.6744897501960817))
    expected = torch.tensor([3 * quartile / (1 + 2 * quartile), 0.75, 3 * (1 - quartile) / (1 + 2 * (1 - quartile))])
    assert torch.allclose(drawn_levels.quantile(torch.tensor([0.25, 0.5, 0.75])), expected, atol=0.01)


def test_edm_preconditioning_keeps_inputs_and_targets_of_unit_variance():
    """Appendix B.6 of arXiv:2206.00364: for data of deviation sigma_data the input and the network's target both have variance one."""
    edm = Edm(data_std=0.5)
    clean, noise = 0.5 * drawn(8, 20_000), drawn(8, 20_000, seed=1)
    level = torch.tensor([0.01, 0.1, 0.3, 0.5, 1.0, 3.0, 10.0, 80.0], dtype=torch.float64)
    keep, out, into, told = edm.scales(level)
    noisy = edm.mix(clean, noise, level)
    assert torch.allclose((into[:, None] * noisy).var(dim=1), torch.ones(8, dtype=torch.float64), rtol=0.05)
    target = (clean - keep[:, None] * noisy) / out[:, None]
    assert torch.allclose(target.var(dim=1), torch.ones(8, dtype=torch.float64), rtol=0.05)
    assert torch.allclose(told, level.log() / 4)
    assert torch.allclose(edm.weight(level) * out.square(), torch.ones(8, dtype=torch.float64))


def test_edm_without_a_network_is_the_best_linear_estimate():
    """The skip alone is E[clean | noisy] of Gaussian data with mean zero."""
    edm, noisy, level = Edm(data_std=0.5), drawn(3, 7), torch.tensor([0.1, 0.5, 2.0], dtype=torch.float64)
    best = noisy * (0.25 / (0.25 + level.square()))[:, None]
    assert torch.allclose(edm.estimate(lambda noisy, told: torch.zeros_like(noisy), noisy, level), best)


def test_edm_levels_follow_the_papers_schedule():
    levels = Edm(most=80.0, least=0.002, rho=7.0).levels(3)
    middle = ((80 ** (1 / 7) + 0.002 ** (1 / 7)) / 2) ** 7
    assert torch.allclose(levels, torch.tensor([80.0, middle, 0.002, 0.0]), rtol=1e-4)


def flow_error(sampler: str, steps: int) -> float:
    """Distance from the exact end of the path at level 0.1, where data is Gaussian: x stays (x - mean path) / deviation path."""
    noise, first, last = drawn(64, 1), 1.0, 0.1
    levels = torch.linspace(first, last, steps + 1, dtype=torch.float64)
    slope = RectifiedFlow().slope
    reached = SAMPLERS[sampler](lambda x, level: slope(perfect_flow, x, level), noise, levels)
    exact = (1 - last) * MEAN + math.sqrt((1 - last) ** 2 * STD**2 + last**2) * noise
    return float((reached - exact).abs().max())


@pytest.mark.parametrize(("sampler", "order"), [("euler", 1), ("heun", 2), ("adams", 2)])
def test_samplers_converge_with_their_order(sampler, order):
    coarse, fine = flow_error(sampler, 64), flow_error(sampler, 128)
    assert math.log2(coarse / fine) == pytest.approx(order, abs=0.25)


def perfect_edm(scaled, told):
    """What EDM's network must say for its estimate to be E[clean | noisy] of the same data."""
    level = (4.0 * told).exp()
    keep, out, into, _ = Edm().scales(level)
    noisy = scaled / into[:, None]
    best = MEAN + STD**2 / (STD**2 + level.square())[:, None] * (noisy - MEAN)
    return (best - keep[:, None] * noisy) / out[:, None]


@pytest.mark.parametrize(("noising", "network"), [(RectifiedFlow(), perfect_flow), (Edm(), perfect_edm)], ids=["flow", "edm"])
@pytest.mark.parametrize("sampler", sorted(SAMPLERS))
def test_samples_of_a_gaussian_have_its_mean_and_deviation(noising, network, sampler):
    """With the exact estimate, many steps turn noise into data."""
    found = sample(sampler, lambda x, level: noising.slope(network, x, level), drawn(20_000, 1), noising.levels(60))
    assert float(found.mean()) == pytest.approx(MEAN, abs=0.05)
    assert float(found.std()) == pytest.approx(STD, rel=0.05)


def test_uneven_steps_of_adams_are_exact_for_a_slope_that_grows_evenly():
    """Adams-Bashforth of order two is exact where dx / dlevel is linear in the level, but for its first step."""
    levels = torch.tensor([1.0, 0.9, 0.5, 0.2], dtype=torch.float64)
    start = torch.zeros(1, 1, dtype=torch.float64)
    reached = SAMPLERS["adams"](lambda x, level: level[:, None].expand_as(x), start, levels)
    first_step_error = 1.0 * -0.1 - (0.9**2 - 1.0) / 2
    assert float(reached) == pytest.approx((0.2**2 - 1.0) / 2 + first_step_error, abs=1e-12)
