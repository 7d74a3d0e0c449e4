"""A process that dies at any call that changes the disk leaves a run that opens and goes on to the same end.

The calls of a whole run are counted; then runs die at every fifth of them, the folder being copied as it stands at that
instant, since code that tidies up on the way out would not run after kill -9.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from armillary.train import RunFolder
from armillary.train.checkpoint import read_state
from tests.train.running import create, losses, train
from tests.train.toy import ToyWorld

SETTINGS = {"steps": 8, "checkpoint_every": 2, "validate_every": 2, "ema_decay": 0.9}
CALLS = ("replace", "rename", "fsync", "unlink", "rmdir", "mkdir")


class Died(BaseException):
    """Ends the run as kill -9 would: nothing catches it."""


def before_call(monkeypatch: pytest.MonkeyPatch, act: Callable[[int], None]) -> None:
    """Have `act(number)` called before each call that changes the disk."""
    numbers = iter(range(1, 1_000_000))

    def wrap(real):
        def call(*args, **kwargs):
            act(next(numbers))
            return real(*args, **kwargs)

        return call

    for name in CALLS:
        monkeypatch.setattr(os, name, wrap(getattr(os, name)))


def copy_as_it_stands(source: Path, target: Path) -> None:
    """Copy a folder in another process, whose calls are not counted."""
    if source.exists():
        os.waitpid(os.posix_spawn("/bin/cp", ["cp", "-a", str(source), str(target)], os.environ), 0)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """The losses of a run that nobody disturbs, and how many calls it made."""
    torch.set_num_threads(1)
    calls = []
    with pytest.MonkeyPatch.context() as patched:
        before_call(patched, calls.append)
        run = create(tmp_path_factory.mktemp("unbroken") / "run")
        train(run, **SETTINGS)
    return losses(run), len(calls)


@pytest.mark.parametrize("first", range(5))
def test_the_run_goes_on(tmp_path, unbroken, first):
    expected, count = unbroken
    assert count > 100
    for number in range(1 + 6 * first, count, 30):
        path, frozen = tmp_path / f"run{number}", tmp_path / f"frozen{number}"

        def die(present, number=number, path=path, frozen=frozen):
            if present == number:
                copy_as_it_stands(path, frozen)
                raise Died

        with pytest.MonkeyPatch.context() as patched, pytest.raises(Died):
            before_call(patched, die)
            train(create(path), **SETTINGS)

        run = RunFolder.open(frozen, write=True) if (frozen / "config.json").exists() else create(frozen)
        assert not list(frozen.rglob(".armillary-tmp-*"))
        if run.checkpoint("latest") is not None:
            assert read_state(run.checkpoint("latest")).step <= len(run.metrics())
        train(run, world=ToyWorld(), **SETTINGS)
        assert losses(run) == expected
