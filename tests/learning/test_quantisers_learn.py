"""A linear autoencoder learns to tell sixteen clusters by a code, with either quantiser, and uses the codes that it has."""

import pytest
import torch
from torch import nn

from armillary.core import seeded
from armillary.evaluate.code_usage import CodeCounts
from armillary.nn.fsq import Fsq
from armillary.nn.quantise import Quantiser
from armillary.nn.vector_quantise import VectorQuantiser

DEVIATION = 0.3
MIXTURE_VARIANCE = 5.0 + DEVIATION**2  # of centres at -3, -1, 1 and 3: what one code for all leaves


def mixture(count: int, middle: float, rng: torch.Generator) -> torch.Tensor:
    """Points around the centres of a four by four grid."""
    centres = 2.0 * torch.randint(4, (count, 2), generator=rng) - 3.0 + middle
    return centres + DEVIATION * torch.randn(count, 2, generator=rng)


def learned(quantiser: Quantiser, middle: float = 0.0) -> tuple[float, float]:
    """After 400 steps, on points never seen: the mean squared error, and the share of codes used at 4,096 of them."""
    torch.manual_seed(0)
    encoder, decoder = nn.Linear(2, 2), nn.Linear(2, 2)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=3e-2)
    rng = seeded(0)
    for _ in range(400):
        points = mixture(256, middle, rng)
        z = encoder(points)
        made = quantiser.quantise(z)
        loss = (decoder(made.z) - points).square().mean() + sum(made.losses.values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        quantiser.observe(z, made.codes, rng)
        quantiser.after_step()
    points, seen = mixture(4096, middle, seeded(10_000)), CodeCounts(quantiser.num_codes)
    with torch.no_grad():
        made = quantiser.eval().quantise(encoder(points))
        seen.update(made.codes)
        return float((decoder(made.z) - points).square().mean()), seen.usage().share


def vector_quantiser(**settings) -> VectorQuantiser:
    torch.manual_seed(0)
    return VectorQuantiser(size=2, **settings)


def test_fsq_learns():
    error, share = learned(Fsq((4, 4)))
    assert error < 0.2 * MIXTURE_VARIANCE and share >= 0.7


def test_vq_learns_and_without_starting_again_loses_codes():
    """The clusters lie away from where the codes begin."""
    error, share = learned(vector_quantiser(num_codes=16, restart_after=20), middle=6.0)
    assert error < 0.2 * MIXTURE_VARIANCE and share >= 0.7
    worse, fewer = learned(vector_quantiser(num_codes=16, restart_after=None), middle=6.0)
    assert fewer <= share - 0.2 and worse > error


def test_one_code_is_the_mean():
    error, share = learned(vector_quantiser(num_codes=1))
    assert error == pytest.approx(MIXTURE_VARIANCE, rel=0.05) and share == 1.0
