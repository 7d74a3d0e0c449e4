"""The study of calibration: its quick run recovers one truth of each experiment, and its table counts what it is given."""

import json
import sys

import pytest

pytest.importorskip("mujoco", reason="twins need the extra of that name")
pytest.importorskip("cma", reason="twins need the extra of that name")

from recipes import twin_calibration
from tests.recipes.test_quick_runs import KEYS


def test_the_quick_run_prints_its_rows(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["twin_calibration", "--quick", "--json", "--out", str(tmp_path)])
    twin_calibration.main()
    rows = json.loads(capsys.readouterr().out)
    assert all(set(row) == KEYS for row in rows)
    near = {row["metric"]: row["value"] for row in rows if row["subject"] == "calibrated" and row["metric"].endswith("within_10_percent")}
    assert near == {f"{what}_within_10_percent": 1.0 for what in ("slid_mass", "slid_friction", "lifted_mass", "lifted_damping")}
    kept = json.loads((tmp_path / "twin_calibration.json").read_text())
    assert len(kept) == 4 and all(one["low"] < one["value"] < one["high"] and 0.7 < one["misfit"] < 1.3 for one in kept)


def test_the_table_counts_shares_of_trials():
    trials = [{"what": "slid_mass", "near": True, "held": number < 15, "middle_near": number < 5} for number in range(20)]
    shares = {(row["subject"], row["metric"]): (row["value"], row["n"]) for row in twin_calibration.rows(trials, seeds=1)}
    assert shares == {
        ("calibrated", "slid_mass_within_10_percent"): (1.0, 20),
        ("calibrated", "slid_mass_interval_holds_truth"): (0.75, 20),
        ("the prior's middle", "slid_mass_within_10_percent"): (0.25, 20),
    }


def test_truths_are_drawn_anew_in_each_trial_and_guesses_apart_from_them():
    draws = [twin_calibration.np.random.default_rng([0, number]) for number in (0, 0, 1)]
    masses = [[twin_calibration.slid(draw).scene.thing("block").asset.body("body").mass.value for _ in range(2)] for draw in draws]
    assert masses[0] == masses[1] != masses[2] and masses[0][0] != masses[0][1]
