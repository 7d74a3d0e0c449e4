"""Several processes do the same sums as one."""

import pytest
import torch
from safetensors.torch import load_file

from armillary.core import ConfigError
from armillary.train import RunFolder, TrainConfig, distributed
from tests.train.running import create, losses, start_process, train

SETTINGS = {"ema_decay": 0.9, "steps": 20}


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    torch.set_num_threads(1)
    run = create(tmp_path_factory.mktemp("alone") / "run")
    train(run, **SETTINGS)
    return run


def start_pair(path, parallel: str):
    arguments = [f"{key}={value}" for key, value in SETTINGS.items()]
    return start_process("toy_run.py", str(path), f"parallel={parallel}", *arguments, torchrun=2)


@pytest.mark.parametrize("parallel", ["ddp", "fsdp2"])
def test_two_processes_give_the_loss_curve_of_one(tmp_path, alone, parallel):
    process = start_pair(tmp_path / "run", parallel)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    run = RunFolder.open(tmp_path / "run")
    assert losses(run) == pytest.approx(losses(alone), abs=1e-5)
    assert [row["gradient_norm"] for row in run.metrics()] == pytest.approx([row["gradient_norm"] for row in alone.metrics()], abs=1e-4)
    looked = [[row["validation_loss"] for row in each.metrics() if "validation_loss" in row] for each in (run, alone)]
    assert len(looked[0]) == 4 and looked[0] == pytest.approx(looked[1], abs=1e-5)
    for name in ("model", "training"):
        pair, single = (load_file(each.checkpoint("latest") / f"{name}.safetensors") for each in (run, alone))
        assert pair.keys() == single.keys()
        for key, value in single.items():
            torch.testing.assert_close(pair[key], value, atol=1e-4, rtol=0)
    assert not list(tmp_path.rglob(".armillary-tmp-*"))


def test_a_sharded_run_goes_on_alone(tmp_path, alone):
    """What two processes wrote is plain: one process takes it up."""
    process = start_pair(tmp_path / "run", "fsdp2")
    for _ in range(10_000):
        if (tmp_path / "run/checkpoints/step-00000012").exists() or process.poll() is not None:
            break
        try:
            process.wait(0.01)
        except Exception as error:
            assert type(error).__name__ == "TimeoutExpired"
    process.terminate()
    process.communicate(timeout=60)
    run = RunFolder.open(tmp_path / "run", write=True)
    train(run, **SETTINGS)
    assert losses(run) == pytest.approx(losses(alone), abs=1e-5)


def test_fsdp2_alone_names_torchrun():
    with pytest.raises(ConfigError, match="torchrun"), distributed.session(TrainConfig(parallel="fsdp2")):
        pass


def test_none_under_torchrun_is_a_contradiction(monkeypatch):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="contradicts the 2 processes"), distributed.session(TrainConfig(parallel="none", device="cpu")):
        pass


def test_ranks_outside_a_session_are_told(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="session"):
        distributed.wait_for_all()


def test_a_named_gpu_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="no GPU"):
        distributed.choose_device(TrainConfig(device="cuda"))
