"""Calibration from datasets that `armillary simulate` made of twins whose truth is known, in other twins' hands."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mujoco", reason="twins need the extra of that name")
pytest.importorskip("cma", reason="twins need the extra of that name")
pytest.importorskip("pxr", reason="twins need the extra of that name")

from armillary.core import ConfigError, DataError
from armillary.core.storage import read_json, write_json
from armillary.studies.calibrate import Wish, carry_out, outputs, plan, write
from armillary.worlds.twin.asset_files import load_asset, save_asset
from armillary.worlds.twin.quantity import Quantity
from armillary.worlds.twin.scenes import catalogue
from tests.studies.recorded_twins import GUESS, TRUTH, in_catalogue, load, record, slid


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> dict[str, Path]:
    """What was recorded of the truth, and of a block that nobody pushes; and what of the load without its labels."""
    folder = tmp_path_factory.mktemp("recorded")
    found = {name: record(folder, name) for name in ("slid", "lifted")}
    found["rest"] = record(folder, "slid", "rest", reach=0.0, episodes=1)
    found["sensed"] = shutil.copytree(found["lifted"], folder / "sensed")
    shutil.rmtree(found["sensed"] / "labels")
    return found


@pytest.fixture(autouse=True)
def guessed(monkeypatch):
    """From here on the catalogue has the guess."""
    in_catalogue(monkeypatch, GUESS)


def wishes(*texts: str) -> list[Wish]:
    return [Wish(kind=text.partition(":")[0], part=text.partition(":")[2]) for text in texts]


def test_the_truth_comes_back_is_written_as_measured_and_follows_an_episode_that_was_held_back(made, tmp_path):
    planned = plan("slid", made["slid"], wishes=wishes("mass:block/body", "friction:block/wood"))
    assert (len(planned.calibrated_on), planned.judged) == (2, "episode 2")
    outcome = carry_out(planned)
    for found in outcome.result.found:
        truth = TRUTH[found.unknown.kind]
        assert found.value == pytest.approx(truth, rel=0.02) and found.low < truth < found.high, str(found.unknown)
    assert outcome.before.places_m > 0.02 and outcome.after.places_m < 0.002 and outcome.after.turns_rad < 1e-6
    (path,) = write(outcome, tmp_path / "block.usda")
    back = load_asset(path)
    mass, friction = back.body("body").mass, back.material("wood").friction
    assert (mass.source, friction.source, back.material("wood").restitution.source) == ("measured", "measured", "estimated")
    assert (friction.low, friction.high) == (outcome.result.found[1].low, outcome.result.found[1].high)
    assert mass.note == "calibrated from slid"


def test_an_asset_s_file_and_a_dataset_of_joints_alone(made, tmp_path):
    """As of a real robot: a state with names, no labels. The place of the thing in the world is not needed."""
    save_asset(load(GUESS), tmp_path / "load.usda")
    outcome = carry_out(plan(str(tmp_path / "load.usda"), made["sensed"], wishes=wishes("mass:body", "damping:hook")))
    assert outcome.plan.calibrated_on[0].joints == ("load/hook",) and not outcome.plan.calibrated_on[0].bodies
    for found in outcome.result.found:  # a file has no substep: this twin's is finer than the truth's
        truth = TRUTH[found.unknown.kind]
        assert found.value == pytest.approx(truth, rel=0.06) and found.low < truth < found.high, str(found.unknown)
    assert outcome.after.places_m < 0.1 * outcome.before.places_m and outcome.before.turns_rad is None


def test_an_asset_s_file_stands_where_the_labels_say(made, tmp_path):
    """It is called as the data call it, and stands where they saw it: 0.3 m aside and 1 m up."""
    save_asset(replace(load(GUESS), name="cup"), tmp_path / "cup.usda")
    planned = plan(str(tmp_path / "cup.usda"), made["lifted"], wishes=wishes("mass:load/body"), episodes=[1])
    assert planned.scene.things[0].name == "load" and planned.calibrated_on[0].bodies == ("load/body",)
    np.testing.assert_allclose(planned.scene.things[0].pose.position, (0.0, 0.3, 1.0), atol=1e-9)
    assert planned.judged == "rows 8 to 9 of the only episode, 1"
    assert (len(planned.calibrated_on[0].actions), planned.judged_on[0][1]) == (8, 8)


def test_what_the_data_can_tell_is_found_and_nothing_else(made):
    planned = plan("slid", made["slid"])
    assert [str(one) for one in planned.unknowns] == ["mass of block/body", "friction of block/wood"]


def test_what_the_data_cannot_tell_is_left_as_it_was(made, tmp_path):
    outcome = carry_out(plan("slid", made["slid"], wishes=wishes("restitution:block/wood")))
    (found,) = outcome.result.found
    assert not found.identifiable and "the recordings hardly change with it; it is left at 0.2" in found.word
    assert outcome.result.scene == outcome.plan.scene and outcome.after == outcome.before
    assert write(outcome, tmp_path / "block.usda") == () and list(tmp_path.iterdir()) == []


def test_a_range_that_is_wished_is_the_one_that_is_searched(made):
    wide = Wish(kind="friction", part="block/wood", bounds=(0.1, 0.9))
    (unknown,) = (planned := plan("slid", made["slid"], wishes=[wide])).unknowns
    assert unknown.in_scene(planned.scene) == Quantity(0.2, "estimated", 0.1, 0.9, "the range that calibration was told")
    other = Wish(kind="friction", part="block/wood", bounds=(0.4, 0.9))
    assert unknown.in_scene(plan("slid", made["slid"], wishes=[other]).scene).value == pytest.approx(0.6)
    with pytest.raises(ConfigError, match=r"in a range such as 0.1..0.9, received 0.9..0.4"):
        plan("slid", made["slid"], wishes=[Wish(kind="friction", part="block/wood", bounds=(0.9, 0.4))])


def changed(made: dict[str, Path], folder: Path, name: str, **changes) -> Path:
    """A copy of a dataset whose manifest says something else."""
    copy = shutil.copytree(made[name], folder / "copy")
    write_json(copy / "simulation.json", read_json(copy / "simulation.json") | changes)
    return copy


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vary_layout": True}, "every episode has a layout of its own .*choose one, as in: --episodes 0"),
        ({"randomise": {"friction": 0.5, "mass": 0.0, "drives": 0.0}}, "masses, frictions or gains of its own .randomise.friction"),
    ],
)
def test_episodes_of_different_twins_are_refused_together(made, tmp_path, change, message):
    data = changed(made, tmp_path, "slid", **change)
    with pytest.raises(DataError, match=message):
        plan("slid", data)
    assert plan("slid", data, episodes=[1], wishes=wishes("mass:block/body")).judged.endswith("of the only episode, 1")


def test_what_the_twin_does_not_know_of_the_data_is_said(made, tmp_path):
    data = changed(made, tmp_path, "slid", randomise={"latency_s": 0.2, "mass": 0.0, "friction": 0.0, "drives": 0.0})
    (note,) = plan("slid", data, wishes=wishes("mass:block/body")).notes
    assert note.startswith("actions take effect up to 0.2 s late")


def test_what_rests_tells_nothing(made):
    with pytest.raises(DataError, match=r"nothing of the twin moves that could be followed .*block/body"):
        plan("slid", made["rest"])


def test_another_twin_is_refused(made, monkeypatch):
    monkeypatch.setitem(catalogue.SCENES, "slid", lambda rng: slid(GUESS, y=0.2))
    with pytest.raises(DataError, match=r"episode 0: body 'block/body' starts at .* and the twin can only have it at"):
        plan("slid", made["slid"])
    with pytest.raises(DataError, match="saw none of the twin's bodies; is this the twin of this dataset"):
        plan("lifted", made["slid"])


@pytest.mark.parametrize(
    ("twin", "options", "error", "message"),
    [
        ("teapot", {}, ConfigError, "one of the scenes tabletop, .*received 'teapot'"),
        ("slid", {"episodes": [0, 0]}, ConfigError, r"each once, received \[0, 0\]"),
        ("slid", {"episodes": [7]}, DataError, "has no episode 7; it has 3 episodes"),
        ("slid", {"wishes": wishes("mass:body")}, ConfigError, "needs a name like 'thing/body', received 'body'"),
        ("slid", {"wishes": wishes("stiffness:block/up")}, ConfigError, "stiffness of block/up .* but nobody gave one"),
    ],
)
def test_settings_that_cannot_be_are_refused(made, twin, options, error, message):
    with pytest.raises(error, match=message):
        carry_out(plan(twin, made["slid"], **options))


def test_outputs_are_a_file_of_one_thing_or_a_folder_of_several(made):
    one = plan("slid", made["slid"], wishes=wishes("mass:block/body"))
    assert outputs(one, Path("a.usdz")) == {"block": Path("a.usdz")}
    with pytest.raises(ConfigError, match=r"must be a .usda, .usdc, .usdz file, received a.glb"):
        outputs(one, Path("a.glb"))
    several = replace(one, unknowns=(*one.unknowns, replace(one.unknowns[0], name="table/top")))
    assert outputs(several, Path("twins")) == {"block": Path("twins/block.usda"), "table": Path("twins/table.usda")}
    with pytest.raises(ConfigError, match=r"of 2 things are looked for .block, table.: --out must be a folder"):
        outputs(several, Path("a.usda"))
