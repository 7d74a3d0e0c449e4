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
    if workers < 1:
        raise ConfigError(f"workers must be >= 1, received {workers}")
    return map(work, range(count)) if workers == 1 else _by_crew(work, count, min(workers, count))


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
        self._context, self._work, self._count = multiprocessing.get_context("spawn"), work, count
        self._left, self._done, self._next = deque(range(count)), {}, 0
        self._lost = [0] * count
        self._workers: list[_Worker] = []
        for _ in range(workers):
            self._hire()

    def results(self) -> Iterator[Any]:
        """Every piece's result, in order."""
        while self._next < self._count:
            self._hand_out()
            if self._next in self._done:
                found = self._done.pop(self._next)
                self._next += 1
                if isinstance(found, Exception):
                    raise found
                yield found
                continue
            ready = connection.wait([worker.pipe for worker in self._workers])
            for worker in [one for one in self._workers if one.pipe in ready]:
                self._take(worker)

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
        for worker in list(self._workers):
            if worker.piece is None and self._left and self._left[0] < self._next + AHEAD * len(self._workers):
                worker.piece = self._left.popleft()
                try:
                    worker.pipe.send(worker.piece)
                except OSError:
                    self._replace(worker)

    def _take(self, worker: _Worker) -> None:
        try:
            found = worker.pipe.recv()
        except (EOFError, OSError):
            self._replace(worker)
            return
        self._done[worker.piece], worker.piece = found, None

    def _replace(self, worker: _Worker) -> None:
        """Another process for one that died; what it had in hand comes first."""
        worker.pipe.close()
        worker.process.join()
        self._workers.remove(worker)
        if worker.piece is not None:
            self._lost[worker.piece] += 1
            if self._lost[worker.piece] == ATTEMPTS:
                raise ArmillaryError(
                    f"{ATTEMPTS} processes died of piece {worker.piece}, the last with exit code {worker.process.exitcode}; "
                    "is there enough memory? One worker shows what happens"
                )
            self._left.appendleft(worker.piece)
        self._hire()


def _serve(work: Callable[[int], Any], pipe: connection.Connection) -> None:
    """Do pieces until the other end of the pipe is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    while True:
        try:
            piece = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            found = work(piece)
        except Exception as error:
            found = error
        try:
            pipe.send(found)
        except OSError:
            return
