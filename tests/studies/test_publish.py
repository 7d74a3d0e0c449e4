"""A published run: whole without its dataset, without what is private, the same world as before, here and behind a hub id."""

import json
import shutil
from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors import safe_open

from armillary.core import CheckpointError, ConfigError, Prompt, StorageError, WorldError, seeded
from armillary.studies.beginnings import TENSORS, WORDS, load_beginnings
from armillary.studies.publish import publish
from armillary.studies.runs import held_out, load_run, open_world, run_folder
from armillary.train.card import MISSING
from tests.cli.small_data import SMALL, run, run_json, write_small_dataset

CONTEXT = 3


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A V-M-C of two steps, published in halves."""
    folder = tmp_path_factory.mktemp("published")
    write_small_dataset(folder / "data", num_episodes=5, num_steps=24)
    assert run("train", "vmc", "--data", folder / "data", "--out", folder / "run", "--steps", "2", *SMALL) == 0
    assert run("publish", folder / "run", "--out", folder / "given", "--moments", "3", "--half") == 0
    return folder


def pictures(world) -> torch.Tensor:
    state = world.start(Prompt(frames=torch.full((1, CONTEXT, 3, 64, 64), 0.5), actions=torch.zeros(1, CONTEXT - 1, 2)), seeded(0))
    return world.render(world.step(state, torch.ones(1, 2), seeded(1)))["rgb"]


def test_it_is_a_run_with_the_same_world(place):
    before, given = load_run(place / "run"), load_run(place / "given")
    assert given.family == "vmc" and given.config == before.config
    torch.testing.assert_close(pictures(given.world), pictures(before.world), atol=2e-3, rtol=0)


def test_half_rounds_and_whole_does_not(place, tmp_path):
    publish(place / "run", tmp_path / "whole", moments=0)
    (weights,) = (tmp_path / "whole").glob("checkpoints/*/model.safetensors")
    (halves,) = (place / "given").glob("checkpoints/*/model.safetensors")
    assert weights.read_bytes() == next((place / "run").glob(f"checkpoints/{weights.parent.name}/model.safetensors")).read_bytes()
    with safe_open(halves, "pt") as file:
        assert {file.get_tensor(name).dtype for name in file.keys()} <= {torch.float16, torch.int64, torch.bool}  # noqa: SIM118
    assert not (tmp_path / "whole" / WORDS).exists()


def test_nothing_private_and_nothing_of_training_is_in_it(place):
    files = {path.relative_to(place / "given").as_posix() for path in (place / "given").rglob("*") if path.is_file()}
    assert not [name for name in files if name.endswith("training.safetensors") or "metrics" in name or "lock" in name]
    for name in files:
        assert str(place).encode() not in (place / "given" / name).read_bytes(), name
    told = json.loads((place / "given" / "config.json").read_text())
    assert told["data_path"] == "data" and told["replay"][:2] == ["armillary", "train"]
    assert MISSING in (place / "given" / "README.md").read_text()


def test_moments_are_of_episodes_that_it_never_learned_from(place):
    recorded, moments = load_beginnings(place / "given")
    assert recorded.robot_type == "pusher" and (recorded.height, recorded.width) == (64, 64) and len(moments) == 3
    held = held_out(load_run(place / "run"), place / "data").episodes
    camera = load_run(place / "run").camera
    seen = [episode.frames[camera][first : first + CONTEXT] for episode in held for first in range(len(episode) - CONTEXT)]
    for moment in moments:
        assert any(np.array_equal(moment.frames, frames) for frames in seen)


def test_it_plays_and_is_judged_without_where_it_came_from(place, tmp_path, capsys):
    shutil.copytree(place / "given", tmp_path / "elsewhere")
    assert run_json(capsys, "play", tmp_path / "elsewhere", "--check")["step_ms"] > 0
    rows = run_json(capsys, "evaluate", tmp_path / "elsewhere", "--data", place / "data", "--protocol.horizon-s", "0.5")
    assert {row["subject"] for row in rows} > {"model", "copy_last"}
    assert not (tmp_path / "elsewhere" / "writer.lock").exists(), "reading leaves nothing behind"


def test_by_its_name_on_a_hub(place, monkeypatch, capsys):
    hub, asked = pytest.importorskip("huggingface_hub"), []

    def fetched(name, *, revision, allow_patterns):
        asked.append((name, revision, tuple(allow_patterns)))
        return str(place / "given")

    monkeypatch.setattr(hub, "snapshot_download", fetched)
    assert run_json(capsys, "play", "hub:somebody/pusher@v1", "--check")["step_ms"] > 0
    assert asked[0][:2] == ("somebody/pusher", "v1") and not [one for one in asked[0][2] if one.startswith("*")]
    torch.testing.assert_close(pictures(open_world("hub:somebody/pusher")), pictures(load_run(place / "given").world))
    assert run_folder("runs/here").as_posix() == "runs/here"
    with pytest.raises(CheckpointError, match="neither a folder nor a hub id such as"):
        load_run("hub:../escape")


def test_it_can_be_published_again_and_never_over_another(place, tmp_path):
    again = publish(place / "given", tmp_path / "again", data=place / "data", moments=1)
    assert again.moments == 1 and again.unsaid > 0 and load_run(tmp_path / "again").family == "vmc"
    with pytest.raises(StorageError, match="exists already"):
        publish(place / "run", tmp_path / "again")
    with pytest.raises(ConfigError, match="--data PATH, or leave them out: --moments 0"):
        publish(place / "given", tmp_path / "third")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again"]


def test_what_cannot_be_published_is_said(place, tmp_path):
    with pytest.raises(ConfigError, match="0 or more, received -1"):
        publish(place / "run", tmp_path / "out", moments=-1)
    with pytest.raises(CheckpointError, match="not a run folder"):
        publish(place / "data", tmp_path / "out")
    short = write_small_dataset(tmp_path / "short", seed=5, num_episodes=2, num_steps=3)
    with pytest.raises(WorldError, match="longer than its context of 3 steps"):
        publish(place / "run", tmp_path / "out", data=short)


def test_damaged_moments_are_refused(place, tmp_path):
    shutil.copytree(place / "given", tmp_path / "given")
    (tmp_path / "given" / TENSORS).write_bytes(b"0" * 100)
    with pytest.raises(CheckpointError, match="publish the run again"):
        load_beginnings(tmp_path / "given")
    words = json.loads((place / "given" / WORDS).read_text())
    (tmp_path / "given" / WORDS).write_text(json.dumps({**words, "tasks": []}))
    (tmp_path / "given" / TENSORS).write_bytes((place / "given" / TENSORS).read_bytes())
    with pytest.raises(CheckpointError, match="damaged"):
        load_beginnings(tmp_path / "given")


def test_a_run_that_needs_another_is_not_published(place, tmp_path, monkeypatch):
    @dataclass(frozen=True)
    class Leaning:
        tokenizer: str = str(place / "run")

    leaning = replace(load_run(place / "run"), config=SimpleNamespace(model=Leaning()))
    monkeypatch.setattr("armillary.studies.publish.load_run", lambda run, which: leaning)
    with pytest.raises(ConfigError, match=r"needs .*/run \(model\.tokenizer\)"):
        publish(place / "run", tmp_path / "out")
    assert not (tmp_path / "out").exists()
