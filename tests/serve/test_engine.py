"""Sessions are stepped together and never disturb one another; the thread sleeps when nobody plays."""

import asyncio
import time
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch

from armillary.core import WorldError, seeded
from armillary.serve import engine as engines
from armillary.serve.engine import Engine, Full
from armillary.serve.messages import Order
from armillary.serve.open_world import of_small
from armillary.serve.playable import Place, Truth
from armillary.serve.recorder import episode_of
from tests.serve.stub import BLINDS, FAILS, MOVES, stub, until


@contextmanager
def running(playable=None, **settings):
    engine = Engine(playable or stub(), **settings)
    engine.start()
    try:
        yield engine
    finally:
        engine.stop()


def reached(session, step: int) -> None:
    asyncio.run(until(lambda: session.timeline[-1].step >= step))


def do(engine, session, name: str, **told) -> None:
    """Give an order and wait until it is carried out."""
    engine.order(session, Order(do=name, **told))
    engine.call(lambda: None).result(10)


def test_people_are_stepped_together_and_each_goes_their_own_way():
    with running() as engine:
        people = [engine.enter().result(10) for _ in range(5)]
        for i, session in enumerate(people):
            do(engine, session, "act", value=i % 4, sequence=1)
        for session in people:
            engine.order(session, Order(do="play"))
        for session in people:
            reached(session, 8)
            do(engine, session, "pause")
        for i, session in enumerate(people):
            first, *rest = session.timeline
            for before, after in zip([first, *rest], rest, strict=False):
                expected = (before.place.state.place + MOVES[i % 4]).clamp(0, 31)
                assert torch.equal(after.place.state.place, expected) and after.place.state.batch_size == 1
            assert rest[-1].frames["world"][tuple(rest[-1].place.state.place[0])].tolist() == [255, 255, 255]
        assert engine.ticks < sum(session.timeline[-1].step for session in people), "they were not batched"


def test_kept_rows_of_a_batch_do_not_keep_the_batch():
    with running() as engine:
        people = [engine.enter().result(10) for _ in range(4)]
        for session in people:
            engine.order(session, Order(do="step", number=2))
        for session in people:
            reached(session, 2)
            state = session.timeline[-1].place.state.place
            assert state.untyped_storage().nbytes() == state.nbytes and session.timeline[-1].frames["world"].base is None


@pytest.mark.parametrize(("action", "words"), [(FAILS, "cannot go there"), (BLINDS, "finite numbers")])
def test_one_who_fails_is_told_and_the_others_play_on(action, words):
    with running() as engine:
        good, bad = engine.enter().result(10), engine.enter().result(10)
        do(engine, bad, "act", value=action, sequence=1)
        for session in (good, bad):
            engine.order(session, Order(do="play"))
        reached(good, 12)
        assert words in bad.problem and bad.timeline[-1].step == 0
        do(engine, bad, "act", value=1, sequence=2)
        do(engine, bad, "reset", number=3)
        reached(bad, 3)


def test_it_sleeps_while_nobody_plays():
    with running() as engine:
        session = engine.enter().result(10)
        engine.order(session, Order(do="step", number=3))
        reached(session, 3)
        ticks, used = engine.ticks, time.process_time()
        time.sleep(0.15)
        assert engine.ticks == ticks == 3
        assert engine.call(engine._seconds_left).result(10) is None, "it would wake up by itself"
        assert time.process_time() - used < 0.1


def test_rewind_then_play_goes_on_from_there_and_the_same_keys_lead_to_the_same_place():
    with running() as engine:
        session = engine.enter().result(10)
        do(engine, session, "act", value=2, sequence=1)
        engine.order(session, Order(do="step", number=6))
        reached(session, 6)
        was = [one.place.state.place.tolist() for one in session.timeline]
        do(engine, session, "scrub", number=2)
        assert session.paused and session.at.step == 2 and len(session.timeline) == 7
        engine.order(session, Order(do="step", number=4))
        asyncio.run(until(lambda: session.steps_wanted == 0 and session.at.step == 6))
        assert [one.place.state.place.tolist() for one in session.timeline] == was


def test_seeds():
    with running(seed=5) as engine:
        session = engine.enter().result(10)
        first = session.at.place.state.place
        assert session.at.seed == 5
        do(engine, session, "reset")
        assert session.at.seed == 6 and not torch.equal(session.at.place.state.place, first)
        do(engine, session, "reset", number=5)
        assert torch.equal(session.at.place.state.place, first)


def test_memory_of_all_is_bounded():
    with running(memory_bytes=2 << 20, max_sessions=4) as engine:
        people = [engine.enter().result(10) for _ in range(4)]
        for session in people:
            engine.order(session, Order(do="play"))
        for session in people:
            reached(session, 100)
            kept = engine.call(lambda one=session: sum(moment.size_bytes for moment in one.timeline)).result(10)
            assert kept <= (2 << 20) // 4


def test_places_are_limited_and_a_lost_page_keeps_its_place(monkeypatch):
    with running(max_sessions=2) as engine:
        first, second = engine.enter().result(10), engine.enter().result(10)
        assert first.budget_bytes == second.budget_bytes == engine._memory_bytes // 2
        with pytest.raises(Full, match="2 places"):
            engine.enter().result(10)
        with pytest.raises(Full, match="another page"):
            engine.enter(first.id).result(10)
        engine.order(first, Order(do="play"))
        reached(first, 2)
        engine.leave(first)
        again = engine.enter(first.id).result(10)
        assert again is first and again.paused and again.at.step >= 2
        engine.leave(second)
        third = engine.enter().result(10)  # takes the place of the one who is lost longest
        assert engine.enter("unknown").exception(10) is not None and third is not second
        monkeypatch.setattr(engines, "KEPT_S", 0.0)
        engine.leave(third)
        asyncio.run(until(lambda: third.id not in engine._sessions))


def test_recordings_are_cut_where_the_story_breaks():
    saved = []
    with running(save=lambda session, take: saved.append([one.step for one in take])) as engine:
        session = engine.enter().result(10)

        def go(count: int) -> None:
            target = session.at.step + count
            engine.order(session, Order(do="step", number=count))
            asyncio.run(until(lambda: session.at.step == target and session.steps_wanted == 0))

        do(engine, session, "record", on=True)
        go(5)
        do(engine, session, "scrub", number=2)
        do(engine, session, "scrub", number=5)
        go(1)  # looking back breaks nothing
        do(engine, session, "scrub", number=3)
        go(2)  # going on from there does
        do(engine, session, "reset", number=1)
        go(2)
        do(engine, session, "record", on=False)
        assert saved == [[0, 1, 2, 3, 4, 5, 6], [3, 4, 5], [0, 1, 2]]


def test_error_against_the_simulator():
    with running(stub(with_truth=True)) as engine:
        session = engine.enter().result(10)
        assert session.at.error_db == 99.0
        do(engine, session, "act", value=1, sequence=1)
        engine.order(session, Order(do="step", number=1))
        reached(session, 1)
        assert session.at.place.truth.steps.tolist() == [2] and set(session.at.frames) == {"world", "truth"}
        assert session.at.error_db == pytest.approx(10 * torch.log10(torch.tensor(32 * 32 / 2)).item(), abs=0.01)  # two dots of 1024 differ


def test_what_cannot_be_done_is_told():
    with running() as engine:
        session = engine.enter().result(10)
        session.mailbox.fetch(frame=True)
        do(engine, session, "branch", number=9)
        assert session.mailbox.fetch(frame=False).words[0]["text"] == "there is no bookmark 9"
        with pytest.raises(WorldError, match="no such session"):
            engine.moments("unknown").result(10)


def test_one_is_told_that_it_rains_and_the_others_stay_dry():
    with running(of_small("platformer", 32)) as engine:
        told, dry = engine.enter().result(10), engine.enter().result(10)
        do(engine, told, "tell", text="rain")
        assert told.text == "rain" and told.at.text == "" and told.at.step == 0
        for session in (told, dry):
            engine.order(session, Order(do="step", number=3))
        for session in (told, dry):
            reached(session, 3)
        assert [one.text for one in told.timeline] == ["", "rain", "rain", "rain"] and dry.text == ""
        assert (told.timeline[0].frames["world"] == dry.timeline[0].frames["world"]).all(), "what was seen before stays"
        assert (told.at.frames["world"] != dry.at.frames["world"]).any()
        assert episode_of(tuple(told.timeline), engine.playable).captions == ("", "rain", "rain")
        assert episode_of(tuple(dry.timeline), engine.playable).captions is None
        do(engine, told, "scrub", number=0)
        engine.order(told, Order(do="step", number=3))
        asyncio.run(until(lambda: told.at.step == 3 and told.steps_wanted == 0))
        assert told.text == "" and (told.at.frames["world"] == dry.at.frames["world"]).all(), "before it was told there is no rain"
        do(engine, told, "bookmark")
        for order in ({"name": "scrub", "number": 1}, {"name": "branch", "number": 1}):
            do(engine, told, "tell", text="night")
            do(engine, told, **order)
            assert told.text == "", "what was told elsewhere and never begun is forgotten"


def test_a_simulator_beside_is_told_too():
    alone = of_small("platformer", 32)
    playable = replace(alone, truth=Truth(world=alone.world, stride=1, resize=lambda frames: frames))
    state = alone.begin(0).place.state
    place = playable.tell(Place(state=state, truth=state), "night")
    place = playable.step(place, [0], seeded(0))
    shown = playable.show(place)
    assert (shown["world"] == shown["truth"]).all()
    dry = playable.show(playable.step(Place(state=state, truth=state), [0], seeded(0)))
    assert (shown["truth"] != dry["truth"]).any()


def test_a_world_that_hears_no_words_says_so():
    with running() as engine:
        session = engine.enter().result(10)
        do(engine, session, "tell", text="rain")
        mail = session.mailbox.fetch(frame=False)
        assert any("hears no words" in words.get("text", "") for words in mail.words) and session.text == ""
