"""The verbs as a person uses them, on a small dataset: what they print, write, refuse and return."""

import json
import os
import subprocess
import sys

import pytest

from armillary.studies.fit import Watch
from armillary.train.run import RunFolder
from armillary.worlds.catalog import FAMILIES
from tests.cli.small_data import SMALL, run, run_json, write_small_dataset

SUBJECTS = {"model", "copy_last", "mean_frame", "constant_velocity", "shuffled_actions"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_small_dataset(tmp_path_factory.mktemp("data") / "pusher")


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    assert run("train", "vmc", "--data", data, "--out", folder, "--steps", 4, "--seed", 7, "--checkpoint-every", 2, *SMALL) == 0
    return folder


def files(folder) -> set:
    return {path.relative_to(folder) for path in folder.rglob("*")} if folder.exists() else set()


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from armillary.cli.main import build_parser; build_parser().format_help();"
        "print([name for name in ('torch', 'numpy', 'av', 'pyarrow', 'matplotlib') if name in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"


def test_module_runs_and_lets_idle_threads_sleep(capsys, monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    assert run("--help") == 0
    printed = capsys.readouterr().out
    assert all(f"    {verb} " in printed for verb in ("demo", "data", "train", "resume", "evaluate", "cost", "info"))
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"


def test_train_writes_a_line_for_every_step(trained):
    rows = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    assert all(isinstance(row["loss"], float) for row in rows)
    config = RunFolder.open(trained).config
    assert config["config"]["train"]["seed"] == 7 and config["config"]["model"]["latent_size"] == 8
    assert config["replay"][:3] == ["armillary", "train", "vmc"]


def test_evaluate_prints_rows_only_and_writes_the_report(trained, data, tmp_path, capsys):
    short = ("--protocol.horizon-s", "1", "--protocol.report-s", "0.5,1")
    rows = run_json(capsys, "evaluate", trained, "--data", data, "--report", tmp_path / "report", *short)
    assert isinstance(rows, list) and all(set(row) == {"metric", "horizon_s", "subject", "value", "low", "high", "n"} for row in rows)
    assert {row["subject"] for row in rows if row["metric"] == "psnr"} == SUBJECTS
    assert {row["horizon_s"] for row in rows} == {0.5, 1.0}
    assert {row["n"] for row in rows} == {1}, "only the held-out one of six episodes is judged"
    assert "http-equiv" in (tmp_path / "report" / "index.html").read_text()


def test_evaluate_dreams_longer_and_several_times(trained, data, capsys):
    short = ("--protocol.horizon-s", "0.5", "--protocol.report-s", "0.5", "--drift", "2", "--samples", "2")
    rows = run_json(capsys, "evaluate", trained, "--data", data, *short)
    subjects = {metric: {row["subject"] for row in rows if row["metric"] == metric} for metric in {row["metric"] for row in rows}}
    assert subjects["drift_psnr"] == {"model", "copy_last"} and subjects["drift_sharpness"] == {"model", "copy_last", "real"}
    assert subjects["spread_skill"] == {"model"} and subjects["crps"] == {"model", "one_sample", "copy_last"}
    assert max(row["horizon_s"] for row in rows if row["metric"].startswith("drift")) == pytest.approx(1.2), "twice the 6 steps of training"


def test_evaluate_judges_all_of_a_foreign_dataset(trained, tmp_path, capsys):
    other = write_small_dataset(tmp_path / "other", seed=5, num_episodes=3)
    rows = run_json(capsys, "evaluate", trained, "--data", other)
    assert {row["n"] for row in rows} == {3}


def test_evaluate_recognises_training_episodes_in_a_converted_copy(trained, data, tmp_path, capsys):
    assert run("data", "convert", data, tmp_path / "copy") == 0
    found = run_json(capsys, "evaluate", trained, "--data", tmp_path / "copy", "--dry-run")
    assert found["episodes"] == 1


def test_resume_goes_on_where_a_run_was_stopped(data, tmp_path, capsys, monkeypatch):
    common = ("train", "vmc", "--data", data, "--seed", 3, "--steps", 4, "--checkpoint-every", 1, *SMALL)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert run(*common, "--out", whole) == 0

    def stop(progress):
        if progress.step == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("armillary.cli.train.watch", lambda console: Watch(on_train=stop))
        assert run(*common, "--out", cut) == 130
    assert run_json(capsys, "resume", cut, "--dry-run") == {"run": str(cut), "step": 2, "steps": 4}
    assert run("resume", cut) == 0
    losses = [[row["loss"] for row in RunFolder.open(folder).metrics()] for folder in (whole, cut)]
    assert losses[0] == losses[1] and len(losses[0]) == 4


def test_dry_runs_write_nothing(data, trained, tmp_path, capsys):
    before = files(trained)
    for words in (
        ("train", "vmc", "--data", data, "--out", tmp_path / "run", *SMALL),
        ("data", "convert", data, tmp_path / "copy"),
        ("data", "merge", data, data, tmp_path / "both"),
        ("data", "add", data, tmp_path / "library"),
        ("data", "doctor", data, "--repair", tmp_path / "repaired"),
        ("demo", "--out", tmp_path / "demo"),
        ("evaluate", trained, "--report", tmp_path / "report"),
        ("resume", trained),
    ):
        assert run(*words, "--dry-run") == 0, words
    assert not list(tmp_path.iterdir()) and files(trained) == before


def test_dry_run_of_train_names_every_setting(data, tmp_path, capsys):
    plan = run_json(capsys, "train", "vmc", "--data", data, "--out", tmp_path / "run", "--dry-run", "--train.steps=11")
    assert plan["config"]["train"]["steps"] == 11 and plan["plan"]["test"] == 1
    run("train", "vmc", "--data", data, "--out", tmp_path / "run", "--dry-run")
    assert "--model.latent-size" in capsys.readouterr().out


def test_cost_and_info_are_json(data, trained, capsys):
    cost = run_json(capsys, "cost", "vmc", "--data", data, "--steps", 10, *SMALL)
    assert cost["parameters"] > 0 and cost["seconds"] > 0 and cost["disk_bytes"] > cost["cache_bytes"] > 0
    of_recipe = run_json(capsys, "cost", "g1_open_loop", "--data", data, "--train.steps", 20, *SMALL)
    assert of_recipe["recipe"] == "g1_open_loop" and of_recipe["parameters"] == cost["parameters"]
    assert run_json(capsys, "info", data)["episodes"] == 6
    assert run_json(capsys, "info", trained)["step"] == 4
    assert "two-rooms" in run_json(capsys, "info")["small_worlds"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("train", "vmc", "--data", "{data}", "--out", "{new}", "--train.stepz", "3"), 2, "did you mean train.steps"),
        (("train", "vmc", "--data", "{data}", "--out", "{new}", "--steps", "many"), 2, "train.steps must be a whole number"),
        (("train", "vmc", "--data", "{data}", "--out", "{new}", "--stepz", "3"), 2, "did you mean --steps"),
        (("train", "vmc", "--data", "{data}", "--out", "{new}", "--model.decoding", "none"), 2, "context or global"),
        (("train", "vmc", "--data", "{data}", "--out", "{new}", "--preset", "best"), 2, "published"),
        (("train", "vcm", "--data", "{data}", "--out", "{new}"), 2, "vmc"),
        (("train", "vmc", "--data", "{data}", "--out", "{new}", "--data.camera", "wrist"), 2, "observation.images.view"),
        (("train", "vmc", "--data", "{data}", "--out", "{trained}"), 2, "resume"),
        (("train", "vmc", "--data", "{new}", "--out", "{new}"), 3, "{new}"),
        (("resume", "{data}"), 4, "config.json"),
        (("evaluate", "{new}"), 4, "config.json"),
        (("cost", "nonsense", "--data", "{data}"), 2, "no recipe"),
        (("cost", "kill_and_resume", "--data", "{data}"), 2, "trains no single world"),
        (("data", "info", "{data}", "--deep"), 2, "--deep"),
        (("info", "--train.steps", "3"), 2, "--train.steps"),
        (("demo", "--out", "{trained}"), 2, "holds no demo"),
    ],
)
def test_errors_are_one_message_with_an_exit_code(words, code, said, data, trained, tmp_path, capsys):
    places = {"data": data, "trained": trained, "new": tmp_path / "new"}
    assert run(*(word.format(**places) for word in words)) == code
    printed = capsys.readouterr()
    assert said.format(**places) in printed.err and "Traceback" not in printed.err and not printed.out
    assert not (tmp_path / "new").exists()


def test_debug_shows_where_an_error_came_from(tmp_path, capsys):
    assert run("data", "info", tmp_path / "new", "--debug") == 3
    assert "Traceback" in capsys.readouterr().err


def test_our_own_faults_are_told_apart(monkeypatch, capsys):
    monkeypatch.setattr("armillary.train.environment.describe_environment", lambda: 1 / 0)
    assert run("info") == 70
    assert "fault in Armillary" in capsys.readouterr().err


def test_data_jobs(data, tmp_path, capsys):
    other = write_small_dataset(tmp_path / "other", seed=9, num_episodes=2)
    assert run_json(capsys, "data", "convert", data, tmp_path / "copy")["frame_exact"] is True
    run_json(capsys, "data", "merge", data, other, tmp_path / "both")
    assert run_json(capsys, "data", "info", tmp_path / "both")["episodes"] == 8
    assert run_json(capsys, "data", "add", data, tmp_path / "library", "--name", "mine")["episodes"] == 6
    assert run_json(capsys, "data", "doctor", tmp_path / "library" / "mine", "--deep")["ok"] is True


def test_doctor_fails_on_a_faulty_dataset_and_repairs_it(tmp_path, capsys):
    broken = write_small_dataset(tmp_path / "broken", num_episodes=2)
    meta = broken / "meta" / "info.json"
    meta.write_text(json.dumps(json.loads(meta.read_text()) | {"total_frames": 9}))
    assert run("data", "doctor", broken) == 3
    assert run("data", "info", broken) == 3
    assert "total_frames" in capsys.readouterr().err
    run_json(capsys, "data", "doctor", broken, "--repair", tmp_path / "good")
    assert run("data", "doctor", tmp_path / "good") == 0


def test_train_and_cost_name_every_family(capsys):
    for verb in ("train", "cost"):
        run(verb, "--help")
        printed = capsys.readouterr().out
        assert all(family in printed for family in FAMILIES)
