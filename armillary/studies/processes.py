"""Numbered pieces of work done by several processes, given back in order. What a killed process had in hand is done again, none twice."""

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing import connection
from typing import Any, TypeVar

from armillary.core import ArmillaryError, ConfigError

T = TypeVar("T")
AHEAD = 2  # pieces a process that may be done before the one that is waited for, which bounds the memory
ATTEMPTS = 3  # how many processes may die of one piece


def in_order(work: Callable[[int], T], count: int, workers: int) -> Iterator[T]:
    """`work(0)` to `work(count - 1)`, in this order, by `workers` processes; by this one alone if that is 1.

    `work` must be importable by a fresh process. An exception in it is raised here, in its turn. ConfigError, at once, if there are no
    workers; ArmillaryError if a piece has ended ATTEMPTS processes.
    """
    check_workers(workers)
    return map(work, range(count)) if workers == 1 else _by_crew(work, count, min(workers, count))


def check_workers(workers: int) -> None:
    """ConfigError if there are none."""
    if workers < 1:
        raise ConfigError(f"workers must be >= 1, received {workers}")


def attempt(work: Callable[[int], Any], piece: int) -> Any:
    """What `work` makes of a piece; an exception in it is given back, so that it can be raised elsewhere."""
    try:
        return work(piece)
    except Exception as error:
        return error


class Pieces:
    """Which pieces are left, which are done, and whose turn it is."""

    def __init__(self, count: int, workers: int):
        self._left, self._done, self._next = deque(range(count)), {}, 0
        self._count, self._ahead, self._lost = count, AHEAD * workers, [0] * count

    @property
    def finished(self) -> bool:
        """Whether all have had their turn."""
        return self._next == self._count

    @property
    def ready(self) -> bool:
        """Whether the one is done whose turn it is."""
        return self._next in self._done

    def begin(self) -> int | None:
        """Another piece to be done; None if none is left or too many would wait for their turn."""
        return self._left.popleft() if self._left and self._left[0] < self._next + self._ahead else None

    def done(self, piece: int, found: Any) -> None:
        """Keep what was found until its turn."""
        self._done[piece] = found

    def lost(self, piece: int, how: str) -> None:
        """It comes first again. ArmillaryError, with how its process died, if it has ended ATTEMPTS of them."""
        self._lost[piece] += 1
        if self._lost[piece] == ATTEMPTS:
            raise ArmillaryError(
                f"{ATTEMPTS} processes died of piece {piece}, the last with {how}; is there enough memory? One worker shows what happens"
            )
        self._left.appendleft(piece)

    def take(self) -> Any:
        """What was found of the piece whose turn it is; raised here if it is an exception."""
        found = self._done.pop(self._next)
        self._next += 1
        if isinstance(found, Exception):
            raise found
        return found


def _by_crew(work: Callable[[int], T], count: int, workers: int) -> Iterator[T]:
    crew = _Crew(work, count, workers)
    try:
        yield from crew.results()
    finally:
        crew.dismiss()


@dataclass
class _Worker:
    """A process, the end of its pipe that is here, and the piece that it has in hand."""

    process: Any
    pipe: connection.Connection
    piece: int | None = None


class _Crew:
    """The processes and what is left to do."""

    def __init__(self, work: Callable[[int], Any], count: int, workers: int):
        # Forked children would share this process's threads and graphics driver.
        self._context, self._work, self._pieces = multiprocessing.get_context("spawn"), work, Pieces(count, workers)
        self._workers: list[_Worker] = []
        for _ in range(workers):
            self._hire()

    def results(self) -> Iterator[Any]:
        """Every piece's result, in order."""
        while not self._pieces.finished:
            self._hand_out()
            if self._pieces.ready:
                yield self._pieces.take()
                continue
            ready = connection.wait([worker.pipe for worker in self._workers])
            for worker in [one for one in self._workers if one.pipe in ready]:
                self._receive(worker)

    def dismiss(self) -> None:
        """End every process."""
        for worker in self._workers:
            worker.process.terminate()
            worker.process.join()
            worker.pipe.close()
        self._workers = []

    def _hire(self) -> None:
        here, there = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(self._work, there), daemon=True)
        process.start()
        there.close()  # so that this end reads the end of the pipe when the process is gone
        self._workers.append(_Worker(process, here))

    def _hand_out(self) -> None:
        for worker in [one for one in self._workers if one.piece is None]:
            worker.piece = self._pieces.begin()
            if worker.piece is None:
                return
            try:
                worker.pipe.send(worker.piece)
            except OSError:
                self._replace(worker)

    def _receive(self, worker: _Worker) -> None:
        try:
            found = worker.pipe.recv()
        except (EOFError, OSError):
            self._replace(worker)
            return
        self._pieces.done(worker.piece, found)
        worker.piece = None

    def _replace(self, worker: _Worker) -> None:
        """Another process for one that died; what it had in hand comes first."""
        worker.pipe.close()
        worker.process.join()
        self._workers.remove(worker)
        if worker.piece is not None:
            self._pieces.lost(worker.piece, f"exit code {worker.process.exitcode}")
        self._hire()


def _serve(work: Callable[[int], Any], pipe: connection.Connection) -> None:
    """Do pieces until the other end of the pipe is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    while True:
        try:
            piece = pipe.recv()
        except (EOFError, OSError):
            return
        found = attempt(work, piece)
        try:
            pipe.send(found)
        except OSError:
            return
