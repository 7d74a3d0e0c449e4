"""`armillary twin check` as a person uses it: what it prints, writes, refuses and returns."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.cli.small_data import run, run_json

pytest.importorskip("pxr", reason="twins need the extra of that name")

from armillary.worlds.twin.asset_files import save_asset
from armillary.worlds.twin.quantity import Quantity
from recipes.faults.clean_assets import door
from recipes.faults.kinds import with_joint, with_material


@pytest.fixture
def clean(tmp_path) -> Path:
    save_asset(door(), tmp_path / "door.usda")
    return tmp_path / "door.usda"


@pytest.fixture
def faulty(tmp_path) -> Path:
    """A bounce that makes energy and a material that does not say how it rubs."""
    asset = with_material(door(), "oak", restitution=Quantity(1.4, "datasheet"))
    save_asset(with_material(asset, "brass", friction=None), tmp_path / "faulty.usda")
    return tmp_path / "faulty.usda"


def test_a_clean_asset_scores_100_and_ends_well(clean, capsys):
    found = run_json(capsys, "twin", "check", clean)
    assert (found["score"], found["errors"], found["warnings"], found["findings"]) == (100.0, 0, 0, [])
    assert found["numbers"]["datasheet"] == 4 and found["numbers"]["measured"] == 0


def test_findings_say_where_what_and_the_fix_and_errors_fail(faulty, capsys):
    assert run("twin", "check", faulty) == 3
    printed = capsys.readouterr().out
    assert "1 errors, 1 warnings" in printed and "SimReady score 86.1 of 100" in printed
    assert "  error    material 'oak': restitution 1.4 is outside 0 to 1\n           correct it" in printed
    assert "  warning  material 'brass': has no friction" in printed


def test_fix_writes_a_copy_that_has_no_findings(faulty, tmp_path, capsys):
    before = faulty.read_bytes()
    found = run_json(capsys, "twin", "check", faulty, "--fix", tmp_path / "fixed.usda")
    assert (found["score_before"], found["score"], found["errors"], len(found["fixed"])) == (86.1, 100.0, 0, 2)
    assert faulty.read_bytes() == before
    again = run_json(capsys, "twin", "check", tmp_path / "fixed.usda")
    assert again["score"] == 100.0 and again["numbers"]["estimated"] == 9
    assert run("twin", "check", faulty, "--fix", tmp_path / "again.usda") == 0
    assert "fixed    material 'oak': restitution 0.45 (0.3 to 0.6) as oak" in capsys.readouterr().out


def test_a_dry_run_says_what_it_would_fix_and_writes_nothing(faulty, tmp_path, capsys):
    assert run("twin", "check", faulty, "--fix", tmp_path / "fixed.usda", "--dry-run") == 0
    printed = capsys.readouterr().out
    assert "would fix material 'brass': friction 0.4" in printed and "nothing was written" in printed
    assert not (tmp_path / "fixed.usda").exists()


def test_what_a_person_must_decide_is_left(tmp_path, capsys):
    save_asset(replace(with_joint(door(), "swing", limits=(Quantity(0.0), Quantity(110.0)))), tmp_path / "door.usda")
    assert run("twin", "check", tmp_path / "door.usda", "--fix", tmp_path / "fixed.usda") == 3
    assert "give limits in radians, not degrees" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [("none.usda", None, "none.usda"), ("door.step", "", "received '.step'"), ("broken.usda", "#usda 1.0\n(", "broken.usda")],
)
def test_files_that_cannot_be_read_are_told(name, content, said, tmp_path, capsys):
    if content is not None:
        (tmp_path / name).write_text(content)
    assert run("twin", "check", tmp_path / name) == 3
    printed = capsys.readouterr()
    assert said in printed.err and "Traceback" not in printed.err and not printed.out


def test_preview_shows_every_camera_of_a_scene(tmp_path, capsys):
    from PIL import Image

    value = run_json(capsys, "twin", "preview", "dominoes", "--quality", "draft", "--out", tmp_path / "sheet.png")
    picture = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert picture.shape == (value["height"], value["width"], 3) == (240, 4 * 320, 3)
    views = np.split(picture, 4, axis=1)
    assert all(view.std() > 10 for view in views), "something is seen"
    assert not any(np.array_equal(views[0], other) for other in views[1:])
    assert value["scenes"] == ["dominoes"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere", "--out", "a.png"], "there is no scene 'nowhere'; scenes: tabletop"),
        (["dominoes", "--out", "a.jpg"], "--out must be a .png file, received a.jpg"),
        (["dominoes", "--quality", "best", "--out", "a.png"], "received 'best'"),
    ],
)
def test_a_preview_that_cannot_be_is_refused(words, said, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("twin", "preview", *words) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
