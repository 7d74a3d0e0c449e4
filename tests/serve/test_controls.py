"""What a stranger holds is a choice that exists or finite numbers within bounds; nothing else passes."""

import gymnasium
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from armillary.core import ConfigError, WorldError
from armillary.serve.controls import Choice, Controls, controls_of
from tests.serve.stub import CHOICES, sliders

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=6,
)


@given(value=JSON)
def test_whatever_is_sent_is_a_legal_action_or_refused(value):
    for controls in (Controls(choices=CHOICES), sliders(), Controls()):
        try:
            held = controls.read(value)
        except WorldError:
            continue
        if controls.choices:
            assert type(held) is int and 0 <= held < len(CHOICES)
        else:
            assert all(axis.low <= one <= axis.high for axis, one in zip(controls.axes, held, strict=True))


@pytest.mark.parametrize(
    "value", [[0.0], [0.0, 1.0, 2.0], [0.0, 4.1], [-1.1, 0.0], [float("nan"), 0.0], [float("inf"), 0.0], [True, 0.0], "00"]
)
def test_sliders_refuse(value):
    with pytest.raises(WorldError):
        sliders().read(value)


def test_a_page_may_round_a_little_beyond_a_bound():
    assert sliders().read([1.0005, 4]) == (1.0, 4.0)


def test_tensors_and_columns():
    controls = Controls(choices=CHOICES)
    assert controls.tensor([2, 0]).tolist() == [2, 0]
    assert torch.equal(controls.columns([2, 0]), torch.eye(len(CHOICES))[[2, 0]])
    assert sliders().columns([(0.5, 1.0)]).tolist() == [[0.5, 1.0]]
    assert Controls().tensor([(), ()]).shape == (2, 0)


def test_spaces_without_bounds_get_sliders_with_bounds():
    unbounded = controls_of(gymnasium.spaces.Box(-np.inf, np.inf, (1,)), neutral=[5.0])
    assert (unbounded.axes[0].low, unbounded.axes[0].high, unbounded.axes[0].neutral) == (-1.0, 1.0, 1.0)


def test_what_cannot_be_steered_is_said():
    with pytest.raises(WorldError, match="can be steered"):
        controls_of(gymnasium.spaces.Box(0, 1, (2, 2)))
    with pytest.raises(WorldError, match="by 1 choices"):
        controls_of(gymnasium.spaces.Discrete(2), choices=(Choice(name="one"),))
    with pytest.raises(ConfigError, match="sideways"):
        Controls(choices=(Choice(name="x", held=("sideways",)),))
