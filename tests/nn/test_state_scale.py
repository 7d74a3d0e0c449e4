"""Robot states in units of the training data, and back."""

import pytest
import torch

from armillary.core import WorldError, seeded
from armillary.nn.state_scale import StateScale

SCALE = StateScale((1.0, -2.0), (0.5, 4.0))


def test_standardises_without_cutting_off():
    assert torch.equal(SCALE(torch.tensor([[1.5, 2.0], [101.0, -2.0]])), torch.tensor([[1.0, 1.0], [200.0, 0.0]]))


def test_comes_back():
    states = torch.randn(3, 4, 2, generator=seeded(0))
    torch.testing.assert_close(SCALE.restore(SCALE(states)), states)


def test_a_told_state_is_standardised_or_refused_by_name():
    assert torch.equal(SCALE.told(torch.tensor([[1.5, 2.0]]), 1), torch.tensor([[1.0, 1.0]]))
    with pytest.raises(WorldError, match=r"must be \(2, 2\), received \(1, 2\)"):
        SCALE.told(torch.zeros(1, 2), 2)
    with pytest.raises(WorldError, match="NaN or infinity"):
        SCALE.told(torch.tensor([[0.0, torch.nan]]), 1)


def test_there_may_be_no_state():
    assert StateScale((), ())(torch.zeros(3, 0)).shape == (3, 0)
