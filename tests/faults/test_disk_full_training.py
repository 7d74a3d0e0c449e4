"""The disk fills up while training: a clear error, nothing lost, and with space again the run goes on to the bit."""

import subprocess

import pytest
import torch

from armillary.core import StorageError
from armillary.train import RunFolder
from armillary.train.checkpoint import load_weights, read_state
from tests.train.running import create, losses, train
from tests.train.toy import ToyWorld

SETTINGS = {"checkpoint_every": 2, "keep_checkpoints": 2}


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 KiB, where this user may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("only root may mount a small tmpfs")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.mark.parametrize("free_kib", [4, 12, 20, 32, 44])
def test_a_full_disk_loses_nothing(tmp_path, small_disk, free_kib):
    torch.set_num_threads(1)
    unbroken = create(tmp_path / "unbroken")
    train(unbroken, **SETTINGS)
    run = create(small_disk / "run")
    ballast = small_disk / "ballast"

    def fill(progress):
        if progress.step == 7:
            free = int(subprocess.check_output(["stat", "-f", "-c", "%a", str(small_disk)])) * 4096
            ballast.write_bytes(bytes(max(0, free - free_kib * 1024)))

    with pytest.raises(StorageError, match=r"disk is full.*Nothing written before was lost"):
        train(run, on_progress=fill, **SETTINGS)
    run.close()

    run = RunFolder.open(run.path, write=True)
    assert not list(run.path.rglob(".armillary-tmp-*"))
    assert read_state(run.checkpoint("latest")).step >= 6
    load_weights(ToyWorld(), run.weights("latest"))
    assert losses(run) == losses(unbroken)[: len(run.metrics())]
    ballast.unlink()
    train(run, **SETTINGS)
    assert losses(run) == losses(unbroken)
    run.close()
