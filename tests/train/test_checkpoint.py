"""Checkpoints appear whole, old ones go last, and damage is named."""

import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from armillary.core import CheckpointError, StorageError
from armillary.train import checkpoint
from armillary.train.checkpoint import (
    TrainingState,
    find_checkpoint,
    load_weights,
    read_state,
    save_best,
    save_checkpoint,
    sweep_checkpoints,
)
from armillary.train.tensors import whole_weights

STATE = TrainingState(step=3, phase="see", seed=0, steps=9, best_step=None, best_loss=None)


def save(root, step, keep=2):
    return save_checkpoint(root, replace(STATE, step=step), {"w": torch.full((2,), float(step))}, {"m": torch.ones(1)}, keep)


def folders(root):
    return sorted(path.name for path in root.iterdir() if path.is_dir())


def test_the_newest_are_kept_and_the_last_is_pointed_to(tmp_path):
    for step in (1, 2, 3):
        save(tmp_path, step)
    assert folders(tmp_path) == ["step-00000002", "step-00000003"]
    latest = find_checkpoint(tmp_path, "latest")
    assert latest.name == "step-00000003"
    assert read_state(latest) == replace(STATE, step=3)


def test_the_best_replaces_the_best_before(tmp_path):
    save(tmp_path, 1)
    for step in (4, 6):
        save_best(tmp_path, replace(STATE, step=step), {"w": torch.zeros(1)})
    assert folders(tmp_path) == ["best-00000006", "step-00000001"]
    assert find_checkpoint(tmp_path, "best").name == "best-00000006"


@pytest.mark.parametrize("broken", ["latest", "model"])
def test_a_kill_before_the_pointer_moves_leaves_the_old_one(tmp_path, monkeypatch, broken):
    """Whatever call the process dies in, the old checkpoint is read and the rest is swept."""
    save(tmp_path, 1)

    def dies(path, *rest):
        raise SystemExit("killed")

    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "write_json" if broken == "latest" else "write_tensors", dies)
        with pytest.raises(SystemExit):
            save(tmp_path, 2)
    sweep_checkpoints(tmp_path)
    assert find_checkpoint(tmp_path, "latest").name == "step-00000001"
    assert folders(tmp_path) == ["step-00000001"]
    assert save(tmp_path, 2).is_dir()


def test_unpointed_folders_are_swept(tmp_path):
    save(tmp_path, 1)
    (tmp_path / "step-00000005").mkdir()
    (tmp_path / "best-00000005").mkdir()
    sweep_checkpoints(tmp_path)
    assert folders(tmp_path) == ["step-00000001"]


def test_weights_of_another_model_are_refused_and_nothing_is_written(tmp_path):
    source, target = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1)), nn.Sequential(nn.Linear(2, 4), nn.Identity(), nn.Linear(3, 1))
    checkpoint.write_tensors(tmp_path / "a.safetensors", whole_weights(source))
    before = whole_weights(target)
    with pytest.raises(CheckpointError) as caught:
        load_weights(target, tmp_path / "a.safetensors")
    message = str(caught.value)
    assert (
        "missing: 2.bias" in message
        and "unexpected: 1.weight" in message
        and "shape of 0.weight: the model has (4, 2), the file (3, 2)" in message
    )
    assert all(torch.equal(value, before[name]) for name, value in target.state_dict().items())


def test_weights_come_back_to_the_bit_whatever_their_layout(tmp_path):
    source, target = (nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last) for _ in range(2))
    checkpoint.write_tensors(tmp_path / "a.safetensors", whole_weights(source))
    load_weights(target, tmp_path / "a.safetensors")
    assert torch.equal(source.weight, target.weight)
    assert target.weight.is_contiguous(memory_format=torch.channels_last)


def test_tied_weights_are_written(tmp_path):
    source, target = (nn.ModuleDict({"a": nn.Linear(3, 3), "b": nn.Linear(3, 3)}) for _ in range(2))
    for net in (source, target):
        net["b"].weight = net["a"].weight
    checkpoint.write_tensors(tmp_path / "a.safetensors", whole_weights(source))
    load_weights(target, tmp_path / "a.safetensors")
    assert torch.equal(target["b"].weight, source["a"].weight)


@pytest.mark.parametrize("size", [0, 5, 100])
def test_a_truncated_file_is_a_checkpoint_error(tmp_path, size):
    folder = save(tmp_path, 1)
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        load_weights(nn.Linear(1, 1), path)


def test_a_missing_file_is_a_checkpoint_error(tmp_path):
    with pytest.raises(CheckpointError, match=r"nowhere\.safetensors"):
        load_weights(nn.Linear(1, 1), tmp_path / "nowhere.safetensors")


@pytest.mark.parametrize(
    "pointer", [{"folder": "../../etc"}, {"folder": "step-9"}, ["step-00000001"], {"folder": 3}, {"folder": "step-00000007"}]
)
def test_a_pointer_that_leads_elsewhere_is_refused(tmp_path, pointer):
    save(tmp_path, 1)
    (tmp_path / "latest.json").write_text(json.dumps(pointer))
    with pytest.raises(CheckpointError, match="step-00000001"):
        find_checkpoint(tmp_path, "latest")


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"format": 99, "step": 1}', '{"format": 1, "pace": 1}'])
def test_a_damaged_state_is_named(tmp_path, text):
    folder = save(tmp_path, 1)
    (folder / "state.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"state\.json"):
        read_state(folder)


def test_the_operating_systems_reason_is_kept(tmp_path):
    with pytest.raises(OSError) as caught:
        checkpoint.write_tensors(tmp_path / "no" / "a.safetensors", {"w": torch.ones(1)})
    assert caught.value.errno == 2


def test_a_failed_write_is_a_storage_error(tmp_path, monkeypatch):
    save(tmp_path, 1)

    def full(path, tensors):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "write_tensors", full)
    with pytest.raises(StorageError, match="disk is full"):
        save(tmp_path, 2)
    assert folders(tmp_path) == ["step-00000001"]
