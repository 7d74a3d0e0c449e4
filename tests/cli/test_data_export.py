"""`armillary data export` as a person uses it: what it prints, writes, refuses and returns."""

import pytest

from armillary.data.labels import label_path
from tests.cli.small_data import run, run_json
from tests.data.labelled import write_labelled


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return write_labelled(tmp_path_factory.mktemp("labelled") / "balls")


def test_a_person_is_told_what_was_written(made, tmp_path, capsys):
    assert run("data", "export", made, "--to", "bop", "--out", tmp_path / "bop", "--episodes", "1", "--camera", "side") == 0
    printed = capsys.readouterr().out
    assert f"{tmp_path / 'bop'}: 1 episodes, 3 frames of side, as bop" in printed
    assert "note: how much of a body is hidden" in printed and "note: there are no models" in printed
    assert (tmp_path / "bop" / "scenes.json").is_file()


def test_json_is_one_value(made, tmp_path, capsys):
    found = run_json(capsys, "data", "export", made, "--to", "coco", "--out", tmp_path / "coco", "--episodes", "1,0")
    assert found == {
        "path": str(tmp_path / "coco"),
        "format": "coco",
        "episodes": [1, 0],
        "cameras": ["front", "side"],
        "frames": 12,
        "notes": [],
    }


def test_a_dry_run_writes_nothing(made, tmp_path, capsys):
    assert run("data", "export", made, "--to", "webdataset", "--out", tmp_path / "out", "--dry-run") == 0
    assert "would export 2 episodes, 12 frames of front, side, as webdataset" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--to", "voc"), 2, "--to must be one of coco, bop, webdataset, usd, received 'voc'"),
        (("--to", "coco", "--episodes", "0-3"), 2, "whole numbers separated by commas, such as 0,1,5, received '0-3'"),
        (("--to", "coco", "--camera", "back"), 2, "has no camera 'back'; it has front, side"),
        (("--to", "coco", "--episodes", "7"), 3, "has no episode 7; it has 2 episodes"),
        (("--to", "usd"), 3, "has no simulation.json"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_written(made, tmp_path, capsys, words, code, said):
    assert run("data", "export", made, "--out", tmp_path / "out", *words) == code
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_there_is_refused(made, tmp_path, capsys):
    assert run("data", "export", made, "--to", "coco", "--out", tmp_path) == 5
    assert "exists already" in capsys.readouterr().err


def test_convert_says_that_labels_came_along(made, tmp_path, capsys):
    assert run("data", "convert", made, tmp_path / "new") == 0
    assert "labels of 2 episodes carried along" in capsys.readouterr().out
    assert label_path(tmp_path / "new", 1).is_file()
