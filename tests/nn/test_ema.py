"""The moving average against plain numbers."""

import numpy as np
import pytest
import torch

from armillary.nn.ema import Ema


def test_it_equals_the_sum_written_out():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(40, 3))
    live = torch.tensor(values[0], dtype=torch.float64)
    ema, expected = Ema({"w": live}, decay=0.8), values[0].copy()
    for count, value in enumerate(values[1:]):
        live.copy_(torch.from_numpy(value))
        ema.update(count)
        decay = min(0.8, (1 + count) / (10 + count))
        expected = decay * expected + (1 - decay) * value
        np.testing.assert_allclose(ema.averages["w"].numpy(), expected, rtol=1e-12)


def test_a_swap_gives_every_value_back_to_the_bit():
    live = torch.nn.Parameter(torch.randn(50, generator=torch.Generator().manual_seed(0)))
    ema = Ema({"w": live}, decay=0.9)
    with torch.no_grad():
        live.mul_(3.7)
    ema.update(0)
    value, average = live.detach().clone(), ema.averages["w"].clone()
    with pytest.raises(RuntimeError, match="inside"), ema.swapped():
        assert torch.equal(live, average)
        raise RuntimeError("inside")
    assert torch.equal(live, value)
    assert torch.equal(ema.averages["w"], average)


@pytest.mark.parametrize("decay", [0.0, 1.0, -0.5])
def test_a_decay_that_averages_nothing_is_refused(decay):
    with pytest.raises(ValueError, match=str(decay)):
        Ema({}, decay=decay)
