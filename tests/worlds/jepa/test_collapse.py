"""Collapse is measured rightly and said in words."""

import math

import pytest
import torch

from armillary.core import seeded
from armillary.worlds.jepa import pretrain
from armillary.worlds.jepa.collapse import describe_collapse, deviations, effective_rank, watch_collapse
from tests.worlds.jepa.small_end_to_end import SHAPE, small_world


def orthogonal_samples(scales: list[float], count: int = 64) -> torch.Tensor:
    """Samples of mean zero whose singular values are in proportion to `scales` exactly."""
    noise = torch.randn(count, len(scales), generator=seeded(0), dtype=torch.float64)
    basis, _ = torch.linalg.qr(noise - noise.mean(0))
    turn, _ = torch.linalg.qr(torch.randn(len(scales), len(scales), generator=seeded(1), dtype=torch.float64))
    return ((basis * torch.tensor(scales, dtype=torch.float64)) @ turn).float()


@pytest.mark.parametrize(
    ("scales", "rank"),
    [
        ([1.0, 1.0, 1.0, 1.0], 4.0),
        ([5.0, 5.0, 0.0, 0.0], 2.0),
        ([1.0, 0.0, 0.0, 0.0], 1.0),
        ([2.0, 1.0, 1.0, 0.0], math.exp(0.5 * math.log(2) + 0.5 * math.log(4))),
    ],
)
def test_effective_rank_of_known_singular_values(scales, rank):
    samples = 100.0 * orthogonal_samples(scales)
    assert effective_rank(samples).item() == pytest.approx(rank, rel=1e-3)
    assert effective_rank(samples + 7.0).item() == pytest.approx(rank, rel=1e-3)


def test_effective_rank_agrees_with_a_singular_value_decomposition():
    samples = torch.randn(50, 12, generator=seeded(2)) * torch.linspace(0.1, 3.0, 12)
    values = torch.linalg.svdvals((samples - samples.mean(0)).double())
    shares = values / values.sum()
    assert effective_rank(samples).item() == pytest.approx(math.exp(-(shares * shares.log()).sum()), rel=1e-4)


def test_samples_that_do_not_vary_have_rank_zero_and_no_deviation():
    samples = torch.ones(20, 6)
    assert effective_rank(samples).item() == 0.0
    assert deviations(samples).max().item() == 0.0


def test_deviation_is_per_dimension_and_over_every_leading_axis():
    embeddings = torch.randn(40, 50, 3, generator=seeded(3)) * torch.tensor([0.5, 1.0, 2.0])
    watched = watch_collapse(embeddings.requires_grad_())
    assert watched["least_deviation"].item() == pytest.approx(0.5, rel=0.05)
    assert watched["deviation"].item() == pytest.approx(3.5 / 3, rel=0.05)
    assert not any(value.requires_grad for value in watched.values())


def test_a_healthy_row_needs_no_words():
    healthy = watch_collapse(torch.randn(500, 32, generator=seeded(4)))
    assert describe_collapse({name: value.item() for name, value in healthy.items()}, dimensions=32) == ""
    assert describe_collapse({"loss": 1.0}, dimensions=32) == ""


@pytest.mark.parametrize(
    ("embeddings", "said"),
    [
        (1.0 + 1e-3 * torch.randn(500, 32, generator=seeded(5)), "nearly the same embedding"),
        (torch.ones(500, 32), "nearly the same embedding"),
        (torch.randn(500, 1, generator=seeded(6)).expand(-1, 32), "about 1 of 32 dimensions"),
    ],
)
def test_a_collapsed_row_is_named_with_what_to_do(embeddings, said):
    row = {name: value.item() for name, value in watch_collapse(embeddings).items()}
    words = describe_collapse(row, dimensions=32)
    assert said in words and "variance_weight" in words


def test_held_out_values_are_preferred():
    row = {"deviation": 1.0, "effective_rank": 20.0, "validation_deviation": 0.01, "validation_effective_rank": 20.0}
    assert "0.01" in describe_collapse(row, dimensions=32)


def test_worlds_say_that_they_collapsed():
    world = small_world()
    assert "collapsed" in world.diagnose({"deviation": 0.01, "effective_rank": 20.0})
    assert world.diagnose({"deviation": 1.0, "effective_rank": 8.0}) == ""
    encoder = pretrain.build(pretrain.Config(), SHAPE)
    assert "collapsed" in encoder.diagnose({"spread": 0.01}) and encoder.diagnose({"spread": 0.6}) == ""
