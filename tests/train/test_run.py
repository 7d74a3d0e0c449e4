"""The run folder: what is in it, who may write, and what a killed writer leaves."""

import json
import os
import subprocess
import sys
import threading

import pytest

from armillary.core import CheckpointError, ConfigError, StorageError
from armillary.train import RunFolder
from tests.train.running import ROOT, create, train


def test_a_new_run_says_what_it_is(tmp_path):
    run = create(tmp_path / "run")
    assert run.config == {"family": "toy", "seed": 0, "replay": ["armillary", "train", "a b"], "data_path": None, "config": {}}
    environment = json.loads((run.path / "environment.json").read_text())
    assert environment["packages"]["torch"] and environment["python"]
    assert environment.keys() >= {"git_commit", "git_dirty", "platform", "cores", "gpus"}
    card = (run.path / "MODEL_CARD.md").read_text()
    assert "armillary train 'a b'" in card
    assert "| licence of the data | **[missing: please fill in]** |" in card


def test_the_card_gets_the_results(tmp_path):
    run = create(tmp_path / "run")
    result = train(run)
    card = (run.path / "MODEL_CARD.md").read_text()
    assert f"| validation loss | {result.best_validation_loss} |" in card


def test_a_run_is_not_made_twice(tmp_path):
    create(tmp_path / "run").close()
    with pytest.raises(ConfigError, match="armillary resume"):
        create(tmp_path / "run")


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(ConfigError, match="not empty"):
        create(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_what_a_killed_create_left_does_not_stand_in_the_way(tmp_path):
    path = tmp_path / "run"
    path.mkdir()
    (path / "environment.json").write_text("{")
    (path / ".armillary-tmp-1").write_text("{")
    assert create(path).config["family"] == "toy"
    assert not (path / ".armillary-tmp-1").exists()


def test_no_run_is_a_checkpoint_error(tmp_path):
    with pytest.raises(CheckpointError, match=r"config\.json"):
        RunFolder.open(tmp_path)


def test_two_writers_one_wins_and_the_other_is_told(tmp_path):
    first = create(tmp_path / "run")
    assert RunFolder.open(first.path).config == first.config
    with pytest.raises(StorageError, match=f"process {os.getpid()}"):
        RunFolder.open(first.path, write=True)
    first.close()
    with RunFolder.open(first.path, write=True):
        pass


def test_a_reader_leaves_a_writers_files_alone_and_sweeps_a_dead_ones(tmp_path):
    writer = create(tmp_path / "run")
    half = writer.path / "checkpoints" / ".armillary-tmp-half"
    half.mkdir(parents=True)
    RunFolder.open(writer.path)
    assert half.exists()
    writer.close()
    RunFolder.open(writer.path)
    assert not half.exists()


def test_a_writer_waits_for_a_reader_that_is_sweeping(tmp_path):
    sweeping = create(tmp_path / "run")
    threading.Timer(0.2, sweeping.close).start()
    RunFolder.open(sweeping.path, write=True).close()


def test_the_lock_of_a_killed_process_is_free(tmp_path):
    code = "import os, pathlib, sys; from tests.train.running import create; create(pathlib.Path(sys.argv[1])); os.kill(os.getpid(), 9)"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "run")], env=os.environ | {"PYTHONPATH": str(ROOT)}, cwd=ROOT)
    assert done.returncode == -9
    RunFolder.open(tmp_path / "run", write=True).close()


def test_weights_before_the_first_checkpoint_are_missed(tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint yet"):
        create(tmp_path / "run").weights()
