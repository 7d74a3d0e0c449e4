"""A run that begins with the weights of another: what it takes over, what learns, that a kill costs nothing, and what is refused."""

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from armillary.core import CheckpointError, ConfigError
from armillary.core.settings import override
from armillary.data.record import write_dataset
from armillary.studies.fit import Watch, family_module, resume, settings_from, train_family
from armillary.studies.runs import load_run
from armillary.train import RunFolder
from armillary.train.checkpoint import read_tensors, read_weights
from armillary.train.lora import is_update, plain_name
from armillary.train.start import ADAPTER, with_adapter
from armillary.worlds.small.record import record_episodes
from tests.cli.small_data import run as command
from tests.docs.test_commands import TINY

MADE_ANEW = {"reader.cell.weight_ih", "standardise.mean", "standardise.std"}


def words(family: str, **changes: str) -> dict[str, str]:
    flat = [word for one in TINY[family] for word in one.split("=")]
    small = {name.removeprefix("--"): value for name, value in zip(flat[::2], flat[1::2], strict=True)}
    return small | {"train.steps": "4", "train.checkpoint-every": "1"} | changes


def settings(family: str, **changes: str):
    return override(family_module(family).PRESETS["default"], words(family, **changes))


def train(family: str, data: Path, out: Path, config=None, **options):
    return train_family(family, data=data, out=out, config=config or settings(family), replay=["test"], **options)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Recordings of a robot, of another one with more joints, and a run on the first."""
    folder = tmp_path_factory.mktemp("start")
    first = record_episodes("pusher", num_episodes=4, num_steps=16, seed=0)
    second = record_episodes("pusher", num_episodes=4, num_steps=16, seed=1)
    wider = [replace(one, actions=np.concatenate([one.actions, one.actions[:, :1]], 1), content_hash="") for one in second]
    write_dataset(folder / "robot", first)
    write_dataset(folder / "other", wider)
    train("diffusion", folder / "robot", folder / "base")
    return folder


def begun(place: Path, out: Path, lora_rank: int = 2, **options):
    config = override(settings_from("diffusion", settings("diffusion"), str(place / "base")), {"train.steps": "4"})
    return train("diffusion", place / "other", out, config, init=place / "base", lora_rank=lora_rank, **options)


def test_only_what_is_new_and_updates_change(place, tmp_path):
    begun(place, tmp_path / "run")
    base = read_weights(RunFolder.open(place / "base").weights())
    found = read_tensors(RunFolder.open(tmp_path / "run").weights())
    frozen = {plain_name(name): tensor for name, tensor in found.items() if not is_update(name)}
    assert {name for name in base if frozen[name].shape != base[name].shape} == MADE_ANEW
    changed = {name for name in base.keys() - MADE_ANEW if not torch.equal(base[name], frozen[name])}
    assert changed == {"looks.still"}  # what stands still in the recordings, no weight
    assert any(found[name].any() for name in found if name.endswith("lora_B.default.weight"))
    assert f"begins with the weights of | {place / 'base'} |" in (tmp_path / "run" / "MODEL_CARD.md").read_text()
    recorded = RunFolder.open(tmp_path / "run").config["init"]
    assert set(recorded["made_anew"]) == MADE_ANEW and 0 < recorded["learned_parameters"] < recorded["all_parameters"] / 4


def test_all_learns_without_a_rank(place, tmp_path):
    seen = []
    begun(place, tmp_path / "run", lora_rank=0, watch=Watch(on_start=seen.append))
    base, found = (read_tensors(RunFolder.open(run).weights()) for run in (place / "base", tmp_path / "run"))
    assert not torch.equal(base["painter.exit.weight"], found["painter.exit.weight"])
    assert seen[0].lora_rank == 0 and seen[0].learned_parameters == seen[0].all_parameters
    assert "made anew: reader.cell.weight_ih" in seen[0].told()


def test_the_reader_keeps_how_it_takes_in_pictures(place, tmp_path):
    config = override(settings_from("diffusion", settings("diffusion"), str(place / "base")), {"train.learning-rate-scale": "1e-12"})
    train("diffusion", place / "other", tmp_path / "run", config, init=place / "base")
    before, now = (read_tensors(RunFolder.open(run).weights())["reader.cell.weight_ih"] for run in (place / "base", tmp_path / "run"))
    assert before.shape[1] + 1 == now.shape[1]
    assert torch.allclose(before[:, 2:], now[:, 3:], atol=1e-6) and not torch.allclose(before[:, :2], now[:, :2], atol=1e-2)


class Killed(Exception):
    pass


def kill_after(step: int) -> Watch:
    def watch(progress) -> None:
        if progress.step == step:
            raise Killed

    return Watch(on_train=watch)


@pytest.mark.parametrize("step", [1, 3])  # in the first phase, in the second
def test_a_kill_costs_nothing_even_if_the_base_is_gone(place, tmp_path, step):
    begun(place, tmp_path / "whole")
    copy = tmp_path / "copy"
    shutil.copytree(place, copy)
    with pytest.raises(Killed):
        begun(copy, tmp_path / "killed", watch=kill_after(step))
    load_run(tmp_path / "killed")  # can be looked at meanwhile
    shutil.rmtree(copy / "base")
    resume(tmp_path / "killed")
    first, second = (read_tensors(RunFolder.open(tmp_path / run).weights()) for run in ("whole", "killed"))
    assert first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
    resume(tmp_path / "killed")  # finished: nothing to do, nothing lost


def test_killed_before_a_checkpoint_it_needs_the_same_base(place, tmp_path):
    shutil.copytree(place, tmp_path / "copy")
    begun(tmp_path / "copy", tmp_path / "run")
    wanted = read_tensors(RunFolder.open(tmp_path / "run").weights())
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    (tmp_path / "run" / "metrics.jsonl").unlink()
    resume(tmp_path / "run")
    assert all(torch.equal(tensor, wanted[name]) for name, tensor in read_tensors(RunFolder.open(tmp_path / "run").weights()).items())
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    shutil.rmtree(tmp_path / "copy" / "base")
    train("diffusion", place / "robot", tmp_path / "copy" / "base", settings("diffusion", **{"train.seed": "7"}))
    with pytest.raises(CheckpointError, match="holds other weights than when this run began"):
        resume(tmp_path / "run")


def test_a_finished_run_needs_neither_peft_nor_its_base(place, tmp_path, monkeypatch):
    begun(place, tmp_path / "run")
    monkeypatch.setitem(sys.modules, "peft", None)
    world = load_run(tmp_path / "run").world
    assert not any(is_update(name) for name in world.state_dict())
    with pytest.raises(ConfigError, match=r"armillary\[lora\]"):
        begun(place, tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_the_adapter_on_its_base_is_the_run(place, tmp_path):
    begun(place, tmp_path / "run")
    base = RunFolder.open(place / "base").weights()
    found = with_adapter(base, tmp_path / "run" / ADAPTER)
    world = load_run(tmp_path / "run").world.state_dict()
    assert found.keys() == world.keys() and all(torch.equal(found[name], world[name]) for name in found)
    assert (tmp_path / "run" / ADAPTER).stat().st_size < base.stat().st_size / 4
    with pytest.raises(CheckpointError, match="was not learned on"):
        with_adapter(RunFolder.open(tmp_path / "run").weights(), tmp_path / "run" / ADAPTER)


@pytest.mark.parametrize("family", ["vmc", "autoregressive", "jepa"])
def test_other_families_begin_from_their_runs_too(family, place, tmp_path):
    train(family, place / "robot", tmp_path / "base", settings(family, **{"train.steps": "2"}))
    config = override(settings_from(family, settings(family), str(tmp_path / "base")), {"train.steps": "2"})
    train(family, place / "other", tmp_path / "run", config, init=tmp_path / "base", lora_rank=2)
    assert load_run(tmp_path / "run").world.spec.action_space.shape == (3,)
    recorded = RunFolder.open(tmp_path / "run").config["init"]
    assert recorded["made_anew"] and recorded["learned_parameters"] < recorded["all_parameters"]


@pytest.mark.parametrize(
    ("given", "message", "code"),
    [
        (["vmc", "--init", "BASE"], "is a run of diffusion, not of vmc", 2),
        (["diffusion", "--init", "BASE", "--data.height", "48"], "learned pictures of 32 x 32, this run has 48 x 32", 2),
        (["diffusion", "--init", "BASE", "--model.width", "48"], "holds another model", 2),
        (["diffusion", "--init", "BASE", "--lora", "-1"], "at least 1; received -1", 2),
        (["diffusion", "--init", "nowhere"], "nowhere is not a run folder", 4),
        (["diffusion", "--lora", "4"], "name a run to begin from", 2),
        (["vjepa2", "--lora", "4"], "vjepa2 cannot learn low-rank updates", 2),
        (["diffusion", "--lora", "4", "--dry-run"], "name a run to begin from", 2),
        (["vjepa2", "--init", "BASE"], "is a run of diffusion, not of vjepa2", 2),
    ],
)
def test_what_cannot_be_a_start_is_refused_before_anything_is_written(given, message, code, place, tmp_path, capsys):
    family, *rest = [str(place / "base") if word == "BASE" else word for word in given]
    assert command("train", family, "--data", place / "other", "--out", tmp_path / "run", "--steps", "2", *rest) == code
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_what_this_machine_cannot_run_is_refused_before_anything_is_written(place, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CXX", "no-such-compiler")
    monkeypatch.setattr("armillary.train.distributed.cpu_has_bf16", lambda: False)
    for setting, message in ((["--train.compile", "true"], "no-such-compiler was found"), (["--train.precision", "bf16"], "bf16 units")):
        assert command("train", "vmc", "--data", place / "other", "--out", tmp_path / "run", "--train.device", "cpu", *setting) == 2
        assert message in capsys.readouterr().err
        assert not (tmp_path / "run").exists()
