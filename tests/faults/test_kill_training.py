"""kill -9 while training: what goes on afterwards is the unbroken run, to the bit."""

import random
import time

import pytest
import torch

from armillary.train import RunFolder
from tests.train.running import create, losses, start_process, train, weights

SETTINGS = {"ema_decay": 0.9, "steps": 24, "checkpoint_every": 3, "validate_every": 2}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    torch.set_num_threads(1)
    run = create(tmp_path_factory.mktemp("unbroken") / "run")
    train(run, **SETTINGS)
    return run


def kill_at(path, num_rows: int) -> None:
    """Start or go on with a run in another process and kill it once metrics.jsonl has so many rows."""
    process = start_process("toy_run.py", str(path), "pause=0.005", *(f"{key}={value}" for key, value in SETTINGS.items()))
    metrics = path / "metrics.jsonl"
    while process.poll() is None:
        if metrics.exists() and metrics.read_bytes().count(b"\n") >= num_rows:
            process.kill()
        time.sleep(0.001)
    output, _ = process.communicate()
    assert process.returncode == -9, output


def test_three_kills_and_the_run_is_the_unbroken_one(tmp_path, unbroken):
    path, places = tmp_path / "run", random.Random(0)
    for first, last in ((1, 5), (11, 14), (17, 22)):  # in the first phase, around the border of phases, in the last phase
        kill_at(path, places.randint(first, last))
        assert RunFolder.open(path).weights("latest").is_file()
    run = RunFolder.open(path, write=True)
    assert not list(path.rglob(".armillary-tmp-*"))
    train(run, **SETTINGS)
    assert losses(run) == losses(unbroken)
    assert weights(run) == weights(unbroken)
    assert [{**row, "seconds": 0} for row in run.metrics()] == [{**row, "seconds": 0} for row in unbroken.metrics()]
