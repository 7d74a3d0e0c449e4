"""`armillary twin calibrate` as a person uses it: what it prints, writes, refuses and returns."""

from pathlib import Path

import pytest

from tests.cli.small_data import run, run_json

pytest.importorskip("mujoco", reason="twins need the extra of that name")
pytest.importorskip("cma", reason="twins need the extra of that name")
pytest.importorskip("pxr", reason="twins need the extra of that name")

from armillary.worlds.twin.asset_files import load_asset
from tests.studies.recorded_twins import GUESS, TRUTH, in_catalogue, record


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return record(tmp_path_factory.mktemp("recorded"), "slid", episodes=2)


@pytest.fixture(autouse=True)
def guessed(monkeypatch):
    in_catalogue(monkeypatch, GUESS)


def test_a_number_is_printed_with_its_interval_and_written_as_measured(data, tmp_path, capsys):
    out = tmp_path / "block.usda"
    options = ("--unknown", "friction:block/wood=0.1..0.9", "--unknown", "mass:block/body", "--out", out)
    assert run("twin", "calibrate", "slid", "--data", data, *options) == 0
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert lines[0].split("  ")[0] == "number" and lines[1].startswith("friction of block/wood  0.2     0.1 to 0.9")
    assert "looking for the friction of block/wood, mass of block/body" in printed.err
    friction = load_asset(out).material("wood").friction
    assert friction.source == "measured" and friction.value == pytest.approx(TRUTH["friction"], rel=0.02)
    assert f"{friction.value:.4g}   {friction.low:.4g} to {friction.high:.4g}".split() == lines[1].split()[-4:]
    assert "on episode 1, which it was not calibrated on" in printed.out and f"written as {out}" in printed.out
    (places,) = [line.split() for line in lines if line.startswith("  places")]
    assert float(places[1]) > 10 * float(places[4])


def test_nothing_that_the_data_tell_is_exit_code_3_and_no_file(data, tmp_path, capsys):
    found = ("twin", "calibrate", "slid", "--data", data, "--unknown", "restitution:block/wood", "--episodes", "0")
    assert run(*found, "--out", tmp_path / "block.usda") == 3
    printed = capsys.readouterr().out
    assert "restitution of block/wood: not identifiable: " in printed and "it is left at 0.2" in printed
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_says_what_it_would_look_for(data, tmp_path, capsys):
    value = run_json(capsys, "twin", "calibrate", "slid", "--data", data, "--out", tmp_path / "block.usda", "--dry-run")
    assert value == {"unknowns": ["mass of block/body", "friction of block/wood"], "judged_on": "episode 1", "notes": []}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--unknown", "friction"), 2, "--unknown is KIND:THING/PART or KIND:THING/PART=LOW..HIGH"),
        (("--unknown", "friction:block/wood=0.3"), 2, "received 'friction:block/wood=0.3'"),
        (("--unknown", "colour:block/wood"), 2, "an unknown must be one of mass, density"),
        (("--unknown", "friction:block/oak"), 3, "has no material 'oak'; it has 'wood'"),
        (("--episodes", "one"), 2, "--episodes takes numbers separated by commas, received 'one'"),
        (("--unknown", "mass:block/body", "--out", "block.glb"), 2, "--out must be a .usda, .usdc, .usdz file"),
        (("--noise-m", "0"), 3, "noise_m must be above 0"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_looked_for(data, tmp_path, monkeypatch, capsys, options, code, words):
    monkeypatch.chdir(tmp_path)
    assert run("twin", "calibrate", "slid", "--data", data, *options) == code
    assert words in capsys.readouterr().err
