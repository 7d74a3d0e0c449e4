"""One thread that moves every session: all that are due take one step of the world together, as one batch."""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TypeVar

import torch

from armillary.core import ArmillaryError, State, WorldError, concatenate, seeded
from armillary.serve.messages import MAX_SEED, MAX_STEPS, Order
from armillary.serve.playable import Place, Playable
from armillary.serve.session import Moment, Session

T = TypeVar("T")
MAX_BATCH = 64
KEPT_S = 60.0  # how long a session waits for a page that was lost
SMOOTHING = 0.1  # of the frames a second that are told
_LOG = logging.getLogger(__name__)


class Full(ArmillaryError):
    """There is no room for another session."""


class Engine:
    """Sessions of one world and the thread that moves them. It sleeps while nobody plays.

    Every method may be called from any thread; sessions are read and changed by the engine's own alone. `save` is called with a session and
    the moments that it recorded. `memory_bytes` is what all sessions together may remember.
    """

    def __init__(
        self,
        playable: Playable,
        *,
        seed: int = 0,
        max_sessions: int = 16,
        memory_bytes: int = 512 << 20,
        save: Callable[[Session, Sequence[Moment]], None] | None = None,
    ):
        self.playable, self.seed = playable, seed
        self._period_s = playable.world.spec.seconds_per_step
        self._max_sessions, self._memory_bytes, self._save = max_sessions, memory_bytes, save
        self._sessions: dict[str, Session] = {}
        self._ready = threading.Condition()
        self._calls: list[Callable[[], None]] = []
        self._stopping = False
        self._next_tick = 0.0
        self.ticks = 0  # batches that were stepped
        self._thread = threading.Thread(target=self._run, name="armillary-engine", daemon=True)

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def stop(self) -> None:
        """Save what is being recorded and end the thread. What is called later never happens."""
        with self._ready:
            self._stopping = True
            self._ready.notify()
        self._thread.join()

    def call(self, work: Callable[[], T]) -> "Future[T]":
        """`work()`, done by the engine's thread between two steps."""
        future: Future[T] = Future()

        def done() -> None:
            try:
                future.set_result(work())
            except Exception as error:
                future.set_exception(error)

        with self._ready:
            self._calls.append(done)
            self._ready.notify()
        return future

    def enter(self, known: str = "") -> "Future[Session]":
        """The session of this name where it still waits, else a new one. The future raises Full when there is no room."""
        return self.call(lambda: self._enter(known))

    def leave(self, session: Session) -> None:
        """The page is gone: stand still, and wait a while for it to come back."""
        self.call(lambda: self._leave(session))

    def order(self, session: Session, order: Order) -> None:
        """What a page asked for; what cannot be done is told to it."""
        self.call(lambda: self._obey(session, order))

    def moments(self, name: str) -> "Future[list[Moment]]":
        """The timeline of a session. The future raises WorldError where there is none of this name."""

        def found() -> list[Moment]:
            if name not in self._sessions:
                raise WorldError("there is no such session")
            return list(self._sessions[name].timeline)

        return self.call(found)

    def _run(self) -> None:
        with torch.no_grad():
            while True:
                for call in self._wait():
                    call()
                if self._stopping and not self._calls:
                    break
                now = time.perf_counter()
                self._forget_lost(now)
                due = [one for one in self._sessions.values() if one.wants_step]
                if due and now >= self._next_tick:
                    self._tick(due, now)
            for session in self._sessions.values():
                self._finish_take(session)
        for world in (self.playable.world, *([self.playable.truth.world] if self.playable.truth else [])):
            if hasattr(world, "close"):
                world.close()

    def _wait(self) -> list[Callable[[], None]]:
        """Sleep until there is something to do; the calls to make."""
        with self._ready:
            while not self._calls and not self._stopping:
                seconds = self._seconds_left()
                if seconds is not None and seconds <= 0:
                    break
                self._ready.wait(seconds)
            calls, self._calls = self._calls, []
            return calls

    def _seconds_left(self) -> float | None:
        """Until the next step or the next session to forget; None: nothing will happen by itself."""
        times = [one.left_at + KEPT_S for one in self._sessions.values() if one.left_at is not None]
        times += [self._next_tick] if any(one.wants_step for one in self._sessions.values()) else []
        return min(times) - time.perf_counter() if times else None

    def _enter(self, known: str) -> Session:
        session = self._sessions.get(known)
        if session is None:
            if len(self._sessions) >= self._max_sessions:
                self._forget_oldest_lost()
            beginning = self.playable.begin(self.seed)
            session = Session(id=secrets.token_urlsafe(16), budget_bytes=self._memory_bytes, value=beginning.value)
            self._begin(session, self.seed)
            self._sessions[session.id] = session
            self._share_memory()
        elif session.left_at is None:
            raise Full("this session is open in another page")
        session.left_at = None
        self._show(session)
        session.mailbox.note({"kind": "value", "value": session.value})
        return session

    def _forget_oldest_lost(self) -> None:
        lost = [one for one in self._sessions.values() if one.left_at is not None]
        if not lost:
            raise Full(f"all {self._max_sessions} places are taken; close another page first")
        del self._sessions[min(lost, key=lambda one: one.left_at or 0.0).id]

    def _share_memory(self) -> None:
        """Everybody gets the same part of it."""
        for session in self._sessions.values():
            session.fit(self._memory_bytes // len(self._sessions))

    def _leave(self, session: Session) -> None:
        session.mailbox.listen(None)
        session.left_at, session.paused = time.perf_counter(), True
        self._finish_take(session)

    def _forget_lost(self, now: float) -> None:
        lost = [name for name, one in self._sessions.items() if one.left_at is not None and now - one.left_at > KEPT_S]
        for name in lost:
            del self._sessions[name]
        if lost:
            self._share_memory()

    def _begin(self, session: Session, seed: int) -> None:
        beginning = self.playable.begin(seed)
        frames = {name: pictures[0] for name, pictures in self.playable.show(beginning.place).items()}
        session.begin(beginning.place, frames, beginning.value, seed)

    def _obey(self, session: Session, order: Order) -> None:
        try:
            changed = self._do(session, order)
        except Exception as error:
            if not isinstance(error, ArmillaryError):
                _LOG.exception("%s failed", order.do)
            session.mailbox.note({"kind": "notice", "level": "error", "text": str(error)})
            return
        if changed:
            self._show(session)

    def _do(self, session: Session, order: Order) -> bool:
        """Carry an order out; whether there is something else to show."""
        number = order.number or 0
        if order.do == "act" and order.value is not None:
            session.value, session.sequence = order.value, order.sequence
            return False
        if order.do in ("pause", "play"):
            _start_clock(session)
            session.paused, session.steps_wanted = order.do == "pause", 0
        elif order.do == "step":
            _start_clock(session)
            session.paused, session.steps_wanted = True, min(session.steps_wanted + number, MAX_STEPS)
        elif order.do == "reset":
            self._begin(session, (session.at.seed + 1) % MAX_SEED if order.number is None else number)
            session.mailbox.note({"kind": "value", "value": session.value})
        elif order.do == "scrub":
            session.scrub(number)
        elif order.do == "bookmark":
            session.bookmark()
        elif order.do == "branch":
            session.branch(number)
            session.mailbox.note({"kind": "value", "value": session.value})
        elif order.do == "tell":
            if not self.playable.events:
                raise WorldError(f"{self.playable.name} hears no words")
            session.told = order.text
        elif order.do == "forget":
            session.forget(number)
        elif order.do == "record":
            self._finish_take(session, go_on=order.on)
        return True

    def _tick(self, due: Sequence[Session], now: float) -> None:
        late_s = now - self._next_tick
        self._next_tick = (now if late_s > self._period_s else self._next_tick) + self._period_s
        for first in range(0, len(due), MAX_BATCH):
            self._advance(due[first : first + MAX_BATCH])
        self.ticks += 1

    def _advance(self, sessions: Sequence[Session]) -> None:
        """One step of each; where the batch fails, of each alone, so that one person's trouble is no other's."""
        begin = time.perf_counter()
        try:
            place, frames, outcome = self._step(sessions)
        except Exception as error:
            if len(sessions) > 1:
                for session in sessions:
                    self._advance([session])
                return
            if not isinstance(error, ArmillaryError):
                _LOG.exception("a step failed")
            sessions[0].problem = str(error) or type(error).__name__
            self._show(sessions[0])
            return
        now = time.perf_counter()
        for row, session in enumerate(sessions):
            if session.take_is_cut:
                self._finish_take(session, go_on=True)
            session.move(
                Place(state=_row(place.state, row), truth=None if place.truth is None else _row(place.truth, row)),
                {name: pictures[row].copy() for name, pictures in frames.items()},
                reward=None if outcome is None else outcome[0][row],
                ended=outcome is not None and outcome[1][row],
            )
            between_s, session.stepped_at = now - session.stepped_at, now
            speed = 1.0 / max(between_s, 1e-6)
            session.fps = speed if not session.fps else session.fps + SMOOTHING * (speed - session.fps)
            if session.take_is_full:
                self._finish_take(session, go_on=True)
            self._show(session, status=session.paused, step_ms=1000 * (now - begin), people=len(sessions))

    def _step(self, sessions: Sequence[Session]) -> tuple[Place, dict, tuple[list[float], list[bool]] | None]:
        at = sessions[0].at
        places = [one.at.place if one.told is None else self.playable.tell(one.at.place, one.told) for one in sessions]
        place = places[0]
        if len(sessions) > 1:
            truths = [one.truth for one in places if one.truth is not None]
            place = Place(state=concatenate([one.state for one in places]), truth=concatenate(truths) if truths else None)
        place = self.playable.step(place, [one.value for one in sessions], seeded(at.seed * (MAX_SEED + 1) + at.step))
        return place, self.playable.show(place), self.playable.outcome(place)

    def _show(self, session: Session, *, status: bool = True, step_ms: float = 0.0, people: int = 1) -> None:
        at = session.at
        about = {
            "step": at.step,
            "first": session.timeline[0].step,
            "last": session.timeline[-1].step,
            "sequence": session.sequence,
            "seconds": at.step * self._period_s,
            "fps": 0.0 if session.paused else round(session.fps, 2),
            "step_ms": round(step_ms, 2),
            "people": people,
            "error_db": None if at.error_db is None else round(at.error_db, 2),
            "reward": at.reward,
            "ended": at.ended,
            "recorded": None if session.take is None else len(session.take) - 1,
        }
        session.mailbox.show(at, about)
        if status:
            session.mailbox.tell(
                {
                    "kind": "status",
                    "paused": session.paused,
                    "seed": at.seed,
                    "recording": session.take is not None,
                    "problem": session.problem,
                    "event": session.text,
                    "bookmarks": [{"number": number, "step": one.past[-1].step} for number, one in session.bookmarks.items()],
                }
            )

    def _finish_take(self, session: Session, *, go_on: bool = False) -> None:
        """Save what was recorded; record on from the moment that is shown, if so wanted."""
        take = session.record(on=go_on)
        if len(take) > 1 and self._save is not None:
            self._save(session, take)


def _start_clock(session: Session) -> None:
    """Frames a second are those since it last stood still."""
    if not session.wants_step:
        session.fps, session.stepped_at = 0.0, time.perf_counter()


def _row(state: State, row: int) -> State:
    """One world of a batch, which then keeps no other alive."""
    return state if state.batch_size == 1 else state.rows([row])
