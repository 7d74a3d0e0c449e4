"""Robot states in units of the training data, and back."""

import torch

from armillary.core import seeded
from armillary.nn.state_scale import StateScale

SCALE = StateScale((1.0, -2.0), (0.5, 4.0))


def test_standardises_without_cutting_off():
    assert torch.equal(SCALE(torch.tensor([[1.5, 2.0], [101.0, -2.0]])), torch.tensor([[1.0, 1.0], [200.0, 0.0]]))


def test_comes_back():
    states = torch.randn(3, 4, 2, generator=seeded(0))
    torch.testing.assert_close(SCALE.restore(SCALE(states)), states)


def test_there_may_be_no_state():
    assert StateScale((), ())(torch.zeros(3, 0)).shape == (3, 0)
