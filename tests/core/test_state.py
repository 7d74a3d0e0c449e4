"""State: branching, joining and saving keep every number in its place."""

from dataclasses import FrozenInstanceError, dataclass

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Float
from torch import Tensor

from armillary.core import State, WorldError, concatenate


@dataclass(frozen=True)
class Inner(State):
    speed: Float[Tensor, "b 2"]


@dataclass(frozen=True)
class Outer(State):
    place: Float[Tensor, " b"]
    inner: Inner
    memory: Tensor | None = None


def make(count: int) -> Outer:
    return Outer(place=torch.arange(count).float(), inner=Inner(speed=torch.arange(2.0 * count).reshape(count, 2)))


def test_names_are_dotted_and_none_is_left_out():
    assert set(make(2).tensors()) == {"place", "inner.speed"}
    assert make(2).memory is None


@given(st.integers(1, 6), st.data())
def test_rows_choose_in_order_and_may_repeat(count, data):
    index = data.draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=8))
    chosen = make(count).rows(index)
    assert chosen.place.tolist() == [float(i) for i in index]
    assert chosen.inner.speed[:, 0].tolist() == [2.0 * i for i in index]


def test_rows_take_slices_and_tensors():
    state = make(5)
    assert state.rows(slice(1, 3)).place.tolist() == [1.0, 2.0]
    assert state.rows(torch.tensor([4, 0])).place.tolist() == [4.0, 0.0]


def test_repeat_keeps_the_copies_of_one_world_together():
    assert make(2).repeat(3).place.tolist() == [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]
    assert make(2).repeat(3).batch_size == 6


@given(st.integers(1, 4), st.integers(1, 4))
def test_concatenate_undoes_rows(left, right):
    state = make(left + right)
    joined = concatenate([state.rows(slice(0, left)), state.rows(slice(left, None))])
    assert all(torch.equal(tensor, state.tensors()[name]) for name, tensor in joined.tensors().items())


def test_with_tensors_round_trips_and_names_what_is_missing():
    state = make(3)
    again = state.with_tensors({name: tensor + 1 for name, tensor in state.tensors().items()})
    assert again.inner.speed[0, 0] == 1.0
    with pytest.raises(WorldError, match=r"inner\.speed"):
        state.with_tensors({"place": torch.zeros(3)})


def test_a_state_cannot_be_assigned_to():
    with pytest.raises(FrozenInstanceError):
        make(1).place = torch.zeros(1)


def test_rows_that_disagree_are_refused():
    broken = Outer(place=torch.zeros(2), inner=Inner(speed=torch.zeros(3, 2)))
    with pytest.raises(WorldError, match="one batch size"):
        _ = broken.batch_size


def test_joining_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        concatenate([])
