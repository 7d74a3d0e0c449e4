"""Whatever a person does, a session's timeline has no gap, its memory is bounded, and bookmarks lead back to what was."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from armillary.core import WorldError
from armillary.serve.playable import Place
from armillary.serve.session import MAX_BOOKMARKS, Session
from tests.serve.stub import StubState

FRAMES = {"world": np.zeros((8, 8, 3), np.uint8)}
MOMENT_BYTES = 192 + 3 * 8 + 4


def place(number: int) -> Place:
    return Place(state=StubState(place=torch.tensor([[number, 0]]), steps=torch.tensor([number]), blind=torch.zeros(1)))


def begun(budget_moments: int = 1000) -> Session:
    session = Session(id="x", budget_bytes=2 * budget_moments * MOMENT_BYTES, value=0)
    session.begin(place(0), FRAMES, 0, 0)
    return session


def go(session: Session, steps: int, offset: int = 0) -> None:
    for _ in range(steps):
        session.move(place(session.at.step + 1 + offset), FRAMES, reward=None, ended=False)


DEEDS = st.one_of(
    st.tuples(st.just("go"), st.integers(1, 12)),
    st.tuples(st.just("scrub"), st.integers(0, 60)),
    st.tuples(st.just("bookmark"), st.just(0)),
    st.tuples(st.just("branch"), st.integers(1, 6)),
    st.tuples(st.just("forget"), st.integers(1, 6)),
    st.tuples(st.just("begin"), st.just(0)),
)


@given(deeds=st.lists(DEEDS, max_size=25), budget=st.integers(1, 40))
def test_timeline_and_memory(deeds, budget):
    session, marked = begun(budget), {}
    for deed, number in deeds:
        if deed == "go":
            go(session, number)
        elif deed == "scrub":
            session.scrub(number)
        elif deed == "begin":
            session.begin(place(0), FRAMES, 0, 1)
        elif deed == "bookmark" and len(session.bookmarks) < MAX_BOOKMARKS:
            session.bookmark()
            marked[max(session.bookmarks)] = session.at
        elif deed == "forget":
            session.forget(number)
        elif deed == "branch" and number in session.bookmarks:
            session.branch(number)
            assert session.at is marked[number]
        steps = [one.step for one in session.timeline]
        assert steps == list(range(steps[0], steps[0] + len(steps)))
        assert session._bytes == sum(one.size_bytes for one in session.timeline)
        assert len(session.timeline) <= max(1, budget)
        assert 0 <= session.position < len(session.timeline)


def test_going_on_from_the_past_forgets_what_came_after():
    session = begun()
    go(session, 10)
    session.scrub(4)
    go(session, 2, offset=100)
    assert [int(one.place.state.steps[0]) for one in session.timeline] == [0, 1, 2, 3, 4, 105, 106]


def test_two_branches_from_one_bookmark():
    session = begun()
    go(session, 5)
    session.bookmark()
    here = session.at
    go(session, 3)
    session.bookmark()
    session.branch(1)
    assert session.at is here and len(session.timeline) == 6
    go(session, 4, offset=100)
    session.branch(2)
    assert [one.step for one in session.timeline] == list(range(9)) and int(session.at.place.state.steps[0]) == 8


def test_bookmarks_outlive_a_new_start_and_small_memory():
    session = begun(budget_moments=3)
    go(session, 2)
    session.bookmark()
    here = session.at
    session.begin(place(0), FRAMES, 0, 7)
    go(session, 50)
    session.branch(1)
    assert session.at is here and session.at.seed == 0


def test_another_budget_never_takes_the_moment_that_is_shown():
    session = begun()
    go(session, 9)
    session.scrub(3)
    session.fit(2 * 2 * MOMENT_BYTES)
    assert session.at.step == 3 and [one.step for one in session.timeline] == list(range(3, 10))
    go(session, 1)
    assert [one.step for one in session.timeline] == [3, 4]


def test_a_recording_is_full_when_it_takes_all_the_memory_there_is():
    session = begun(budget_moments=4)
    session.record(on=True)
    go(session, 8)
    assert not session.take_is_full
    go(session, 1)
    assert session.take_is_full and [one.step for one in session.record(on=True)] == list(range(10))
    assert not session.take_is_full and session.take == [session.at]


def test_refusals():
    session = begun()
    with pytest.raises(WorldError, match="no bookmark 3"):
        session.branch(3)
    for _ in range(MAX_BOOKMARKS):
        session.bookmark()
    with pytest.raises(WorldError, match="remove one"):
        session.bookmark()
