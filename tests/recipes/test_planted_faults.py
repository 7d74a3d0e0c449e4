"""The study of planted faults: it counts what was planted, and its files hold the faults that it says."""

import sys

import pytest

pytest.importorskip("pxr", reason="twins need the extra of that name")

from armillary.worlds.twin.asset_files import load_asset
from recipes import planted_faults
from recipes.faults.clean_assets import CLEAN, mug
from recipes.faults.kinds import KINDS, mass_times
from recipes.planted_faults import measure, planted, through_a_file
from tests.recipes.test_quick_runs import KEYS


def test_sixty_faults_or_more_are_planted_in_parts_drawn_by_the_seed():
    drawn = [[(name, asset.name, where) for name, asset, where in planted(seed, 4, KINDS)] for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    places = [[one[0] for one in drawn[0]].count(name) for name in KINDS]
    assert len(drawn[0]) >= 60 and sum(count == 4 for count in places) >= 15 and len(set(drawn[0])) == len(drawn[0])


@pytest.mark.parametrize("make", CLEAN)
def test_a_clean_file_is_read_back_clean(make, tmp_path):
    assert not planted_faults.check_asset(through_a_file(make(), tmp_path / "asset.usda"))


def test_a_fault_that_nothing_tells_counts_as_missed(tmp_path):
    """A mass that is right is no fault; what it is told by is never found."""
    harmless = {
        "mass": KINDS["mass in other units"].__class__(lambda a: ["mug"][: a.name == "mug"], lambda a, n, d: mass_times(a, n, 1.0), ("no",))
    }
    found = measure(0, 1, harmless, tmp_path)
    assert (found["planted"], found["found"], found["mended"]) == (1, 0, 0) and "body 'mug'" in found["missed"][0]


def test_what_an_asset_leaves_unsaid_its_file_does_too(tmp_path):
    (_, asset, _), *_ = planted(0, 1, {"unit not said": KINDS["unit not said"]})
    read = through_a_file(asset, tmp_path / "unsaid.usda")
    assert "metersPerUnit" not in (tmp_path / "unsaid.usda").read_text() and read.metres_per_unit is None
    assert load_asset(tmp_path / "unsaid.usda").up_axis == "Z" and mug().up_axis == "Z"


def test_the_quick_run_prints_its_rows(tmp_path, capsys, monkeypatch):
    import json

    monkeypatch.setattr(sys, "argv", ["planted_faults", "--quick", "--json", "--out", str(tmp_path / "files")])
    planted_faults.main()
    rows = {row["metric"]: row for row in json.loads(capsys.readouterr().out)}
    assert all(set(row) == KEYS for row in rows.values())
    assert rows["faults_found"]["value"] >= 0.95 and rows["false_alarms_clean"]["value"] == rows["false_alarms_fixed"]["value"] == 0.0
    assert len(list((tmp_path / "files").glob("0-*.usda"))) >= rows["faults_found"]["n"]
