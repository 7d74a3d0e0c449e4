"""`armillary simulate` as a person uses it: what it prints, writes, refuses and returns."""

import importlib.util
import json

import pytest

from armillary.data.dataset import open_dataset
from tests.cli.small_data import run, run_json

pytest.importorskip("mujoco", reason="twins need the extra of that name")

QUICK = ("--episodes", 4, "--steps", 6, "--size", 64, "--quality", "draft", "--modalities", "rgb,segmentation")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("simulated") / "data"
    assert run("simulate", "gyroscope", "--out", out, "--seed", 3, "--randomise.light", 0.5, *QUICK) == 0
    return out


def test_what_was_simulated_can_be_trained_on(made):
    dataset = open_dataset(made)
    assert (len(dataset), dataset.info.action_size, dataset.info.state_size, len(dataset.info.camera_keys)) == (4, 1, 2, 1)


def test_the_datasets_own_manifest_makes_it_again_and_words_win(made, tmp_path, capsys):
    found = run_json(capsys, "simulate", "--manifest", made / "simulation.json", "--out", tmp_path / "less", "--episodes", 1)
    assert found["out"] == str(tmp_path / "less") and found["manifest"]["episodes"] == 1
    wanted = json.loads((made / "simulation.json").read_text()) | {"episodes": 1}
    assert found["manifest"] == wanted == json.loads((tmp_path / "less" / "simulation.json").read_text())
    assert wanted["seed"] == 3 and wanted["randomise"]["light"] == 0.5
    label = "labels/episode-000000.npz"
    assert (tmp_path / "less" / label).read_bytes() == (made / label).read_bytes()


def test_a_person_is_told_what_was_made_and_what_is_next(made, tmp_path, capsys):
    assert run("simulate", "--manifest", made / "simulation.json", "--out", tmp_path / "told", "--episodes", 1, "--steps", 2) == 0
    printed = capsys.readouterr().out
    assert "1 episodes of 2 pictures of gyroscope" in printed
    assert f"armillary train vmc --data {tmp_path / 'told'}" in printed and "README.md" in printed


def test_a_dry_run_writes_nothing(tmp_path, capsys):
    assert run("simulate", "gyroscope", "--out", tmp_path / "data", "--dry-run") == 0
    assert "would simulate 10 episodes of 50 pictures of gyroscope" in capsys.readouterr().out
    assert not (tmp_path / "data").exists()


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs the extra `ray`")
def test_ray_writes_the_same_bytes_and_stdout_is_one_value(made, tmp_path, capfd):
    out = tmp_path / "data"
    found = run_json(capfd, "simulate", "--manifest", made / "simulation.json", "--out", out, "--workers", 2, "--ray")
    assert found["workers"] == 2
    files = [path.relative_to(made) for path in sorted(made.rglob("*")) if path.is_file()]
    assert files == [path.relative_to(out) for path in sorted(out.rglob("*")) if path.is_file()] and len(files) > 8
    assert all((made / file).read_bytes() == (out / file).read_bytes() for file in files)


@pytest.mark.parametrize("words", [("--ray",), ("--ray-address", "127.0.0.1:6379")])
@pytest.mark.parametrize("dry", [True, False])
def test_where_ray_is_missing_the_command_that_installs_it_is_told(words, dry, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("armillary.studies.ray_processes.find_spec", lambda name: None)
    assert run("simulate", "gyroscope", "--out", tmp_path / "data", *words, *(["--dry-run"] if dry else [])) == 2
    assert 'pip install -e ".[ray]"' in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("gyroscop",), 2, "no scene 'gyroscop'; scenes: tabletop"),
        ((), 2, "which scene?"),
        (("gyroscope", "--steps", "many"), 2, "steps must be a whole number, received 'many'"),
        (("gyroscope", "--workers", 0), 2, "--workers must be >= 1, received 0"),
        (("gyroscope", "--quality", "best"), 2, "quality must be one of draft, fast, fine"),
        (("gyroscope", "--randomise.lights", "1"), 2, "did you mean randomise.light"),
        (("gyroscope", "--cameras", "behind"), 2, "has no camera 'behind'; it has front"),
        (("--manifest", "nowhere.json"), 3, "nowhere.json does not exist"),
    ],
)
@pytest.mark.parametrize("dry", [True, False])
def test_what_cannot_be_done_is_said_and_nothing_is_written(words, code, said, dry, tmp_path, capsys):
    assert run("simulate", *words, "--out", tmp_path / "data", *(["--dry-run"] if dry else [])) == code
    assert said in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("dry", [True, False])
def test_a_dataset_that_is_there_stays(made, capsys, dry):
    before = (made / "meta" / "info.json").read_bytes()
    assert run("simulate", "gyroscope", "--out", made, *QUICK, *(["--dry-run"] if dry else [])) == 5
    assert "exists already" in capsys.readouterr().err
    assert (made / "meta" / "info.json").read_bytes() == before
