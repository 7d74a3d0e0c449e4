"""Work in several processes: in order, each piece once, whatever is killed, and errors that reach the caller."""

import multiprocessing
import os
import signal
from functools import partial
from pathlib import Path

import pytest

from armillary.core import ArmillaryError, ConfigError, DataError
from armillary.studies import processes
from armillary.studies.processes import Pieces, in_order


def note(folder: Path, piece: int) -> int:
    """Leave a file for every time that a piece was begun."""
    (folder / f"{piece}-{len(list(folder.glob(f'{piece}-*')))}").touch()
    return piece * piece


def die_once_then_refuse(folder: Path, piece: int) -> int:
    """Kill the process that has piece 1 in hand, the first time; fail at piece 4."""
    found = note(folder, piece)
    if piece == 1 and not (folder / "1-1").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    if piece == 4:
        raise DataError("piece 4 is wrong")
    return found


def die_always(folder: Path, piece: int) -> int:
    """Kill every process that has piece 0 in hand."""
    note(folder, piece)
    os.kill(os.getpid(), signal.SIGKILL)
    return piece


def begun(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_killed_process_is_replaced_its_piece_done_again_and_an_error_reaches_the_caller(tmp_path):
    found = in_order(partial(die_once_then_refuse, tmp_path), 5, 2)
    assert [next(found) for _ in range(4)] == [0, 1, 4, 9]
    with pytest.raises(DataError, match="piece 4 is wrong"):
        next(found)
    assert begun(tmp_path) == ["0-0", "1-0", "1-1", "2-0", "3-0", "4-0"], "only what was in hand may be begun twice"
    assert not multiprocessing.active_children()


def test_a_piece_that_kills_every_process_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "ATTEMPTS", 2)
    with pytest.raises(ArmillaryError, match="2 processes died of piece 0, the last with exit code -9"):
        list(in_order(partial(die_always, tmp_path), 1, 2))
    assert begun(tmp_path) == ["0-0", "0-1"]


def test_pieces_are_begun_in_order_only_so_far_ahead_and_a_lost_one_comes_first():
    pieces = Pieces(9, 2)
    assert [pieces.begin() for _ in range(5)] == [0, 1, 2, 3, None], "two for each of two workers"
    pieces.done(1, "one")
    assert not pieces.ready
    pieces.done(0, "zero")
    assert [pieces.ready and pieces.take() for _ in range(3)] == ["zero", "one", False]
    pieces.lost(2, "a signal")
    assert [pieces.begin() for _ in range(4)] == [2, 4, 5, None]


def test_one_worker_is_this_process():
    assert list(in_order(lambda piece: os.getpid() + piece, 2, 1)) == [os.getpid(), os.getpid() + 1]


def test_no_workers_are_refused_at_once():
    with pytest.raises(ConfigError, match="workers must be >= 1, received 0"):
        in_order(abs, 3, 0)
