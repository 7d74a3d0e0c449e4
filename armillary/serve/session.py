"""A person's session: where they are, what they have been through, and what they marked. Only the engine's thread touches it."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import takewhile

import numpy as np

from armillary.core import WorldError
from armillary.serve.controls import Value
from armillary.serve.mailbox import Mailbox
from armillary.serve.playable import TRUTH, WORLD, Place

MAX_BOOKMARKS = 16


@dataclass(frozen=True, kw_only=True, eq=False)
class Moment:
    """A step of a session: one world's place, what was held on the way there, and what was seen. Never written to."""

    number: int  # in the order in which a session's moments were made
    step: int
    seed: int
    place: Place
    frames: Mapping[str, np.ndarray]
    value: Value | None = None  # what led here; None at a start
    text: str = ""  # what went on there by somebody's word
    reward: float | None = None
    ended: bool = False

    @property
    def size_bytes(self) -> int:
        """What keeping it costs."""
        states = [state for state in (self.place.state, self.place.truth) if state is not None]
        tensors = [tensor for state in states for tensor in state.tensors().values()]
        return sum(one.nbytes for one in tensors) + sum(frame.nbytes for frame in self.frames.values())

    @property
    def error_db(self) -> float | None:
        """PSNR of the world's picture against the simulator's, in dB, at most 99; None without a simulator."""
        if TRUTH not in self.frames:
            return None
        error = np.square(self.frames[WORLD].astype(np.float32) - self.frames[TRUTH]).mean()
        return 99.0 if error == 0 else min(99.0, float(10 * np.log10(255.0**2 / error)))


@dataclass(frozen=True, kw_only=True)
class Bookmark:
    """A marked moment (the last of `past`) and how it came about."""

    past: tuple[Moment, ...]


@dataclass(kw_only=True)
class Session:
    """One person's run through a world.

    `timeline` holds the moments of the present branch, without a gap, up to the newest; `at` is the one that is shown. Together with what
    the bookmarks remember it takes `budget_bytes`, or one moment a bookmark where those are larger; a recording takes as much again.
    """

    id: str
    budget_bytes: int
    value: Value
    mailbox: Mailbox = field(default_factory=Mailbox)
    timeline: deque[Moment] = field(default_factory=deque)
    bookmarks: dict[int, Bookmark] = field(default_factory=dict)
    take: list[Moment] | None = None  # what is being recorded
    position: int = 0
    paused: bool = True
    steps_wanted: int = 0
    told: str | None = None  # what shall go on from the next step on; None: what does
    sequence: int = 0  # of the last action that was heard
    problem: str = ""
    fps: float = 0.0
    stepped_at: float = 0.0
    left_at: float | None = None  # when its person was last lost sight of
    _take_bytes: int = 0
    _made: int = 0
    _bookmarked: int = 0
    _bytes: int = 0

    @property
    def at(self) -> Moment:
        """The moment that is shown."""
        return self.timeline[self.position]

    @property
    def text(self) -> str:
        """What goes on by somebody's word, or will with the next step."""
        return self.at.text if self.told is None else self.told

    @property
    def wants_step(self) -> bool:
        """Whether the next tick moves it."""
        return bool(self.timeline) and not self.problem and (not self.paused or self.steps_wanted > 0)

    @property
    def take_is_cut(self) -> bool:
        """Whether the next step would not follow what is being recorded."""
        return self.take is not None and self.take[-1] is not self.at

    @property
    def take_is_full(self) -> bool:
        """Whether what is being recorded takes all the memory that it may."""
        return self._take_bytes > self.budget_bytes

    def begin(self, place: Place, frames: Mapping[str, np.ndarray], value: Value, seed: int) -> None:
        """Start anew. Bookmarks stay."""
        self.timeline.clear()
        self.value, self.problem, self.fps, self._bytes, self.steps_wanted, self.told = value, "", 0.0, 0, 0, None
        self._append(Moment(number=self._next_number(), step=0, seed=seed, place=place, frames=frames))

    def move(self, place: Place, frames: Mapping[str, np.ndarray], *, reward: float | None, ended: bool) -> None:
        """Go on from the moment that is shown; what came after it on this branch is forgotten."""
        at = self.at
        while self.timeline[-1] is not at:
            self._bytes -= self.timeline.pop().size_bytes
        self._append(
            Moment(
                number=self._next_number(),
                step=at.step + 1,
                seed=at.seed,
                place=place,
                frames=frames,
                value=self.value,
                text=self.text,
                reward=reward,
                ended=ended,
            )
        )
        if self.take is not None:
            self.take.append(self.at)
            self._take_bytes += self.at.size_bytes
        self.steps_wanted, self.told = max(0, self.steps_wanted - 1), None

    def record(self, *, on: bool) -> list[Moment]:
        """Begin a recording at the moment that is shown, or end it; what was recorded until now."""
        take, self.take = self.take or [], [self.at] if on else None
        self._take_bytes = 0
        return take

    def fit(self, budget_bytes: int) -> None:
        """Have another budget from now on. The oldest moments that it leaves no room for are forgotten, but never the one that is shown."""
        self.budget_bytes = budget_bytes
        while self._bytes > budget_bytes // 2 and len(self.timeline) > 1 and self.position > 0:
            self._bytes -= self.timeline.popleft().size_bytes
            self.position -= 1

    def scrub(self, step: int) -> None:
        """Show the moment of a step (the nearest that is remembered) and stand still there."""
        self.paused, self.steps_wanted, self.told = True, 0, None
        self.position = min(max(step - self.timeline[0].step, 0), len(self.timeline) - 1)

    def bookmark(self) -> None:
        """Mark the moment that is shown. WorldError when there are too many."""
        if len(self.bookmarks) >= MAX_BOOKMARKS:
            raise WorldError(f"there are {MAX_BOOKMARKS} bookmarks already; remove one first")
        self._bookmarked += 1
        newest_first = list(self.timeline)[self.position :: -1]
        past = list(_within(newest_first[1:], self.budget_bytes // (2 * MAX_BOOKMARKS) - self.at.size_bytes))
        self.bookmarks[self._bookmarked] = Bookmark(past=(*reversed(past), self.at))

    def branch(self, number: int) -> None:
        """Go to a bookmark; what is done from there on is a branch of its own. WorldError for one that there is not."""
        if number not in self.bookmarks:
            raise WorldError(f"there is no bookmark {number}")
        past = self.bookmarks[number].past
        before = list(takewhile(lambda one: one is not past[-1], self.timeline))
        self.timeline = deque(past) if len(before) == len(self.timeline) else deque([*before, past[-1]])
        self._bytes = sum(one.size_bytes for one in self.timeline)
        self.position, self.problem, self.steps_wanted, self.told = len(self.timeline) - 1, "", 0, None
        self.value = self.value if past[-1].value is None else past[-1].value

    def forget(self, number: int) -> None:
        """Remove a bookmark, if it is there."""
        self.bookmarks.pop(number, None)

    def _next_number(self) -> int:
        self._made += 1
        return self._made

    def _append(self, moment: Moment) -> None:
        self.timeline.append(moment)
        self._bytes += moment.size_bytes
        self.position = len(self.timeline) - 1
        self.fit(self.budget_bytes)


def _within(moments: Iterable[Moment], room_bytes: int) -> Iterable[Moment]:
    """The first of them that together need no more than the room."""
    for moment in moments:
        room_bytes -= moment.size_bytes
        if room_bytes < 0:
            return
        yield moment
