"""The study of the experts: its quick run prints its rows and keeps its starts, and its table counts what it is given."""

import json
import sys

import pytest

pytest.importorskip("mujoco", reason="twins need the extra of that name")

from armillary.core import WorldError
from armillary.worlds.twin.tasks.catalogue import draw
from recipes import twin_experts
from recipes.twin_experts import EXPERT, FIRST_SEED, IDLE, WANDERING
from tests.recipes.test_quick_runs import KEYS


def test_the_quick_run_prints_its_rows_and_does_no_start_again(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["twin_experts", "--quick", "--json", "--tasks", "reach", "--out", str(tmp_path)])
    twin_experts.main()
    printed = capsys.readouterr().out
    rows = {(row["subject"], row["metric"]): row for row in json.loads(printed)}
    assert all(set(row) == KEYS for row in rows.values())
    assert rows["reach, expert", "success"]["value"] == 1.0 and 0.0 < rows["reach, expert", "simulated_seconds_to_success"]["value"] < 6.0
    assert rows[f"reach, {IDLE}", "success"]["value"] == 0.0 and rows[f"reach, {IDLE}", "success"]["n"] == 1
    kept = json.loads((tmp_path / "quick" / "starts-reach-0.json").read_text())
    assert [one["seed"] for one in kept] == [FIRST_SEED, FIRST_SEED + 1] and set(kept[0]["by"]) == {EXPERT, IDLE, WANDERING}
    monkeypatch.setattr(twin_experts, "trial", None)
    twin_experts.main()
    assert capsys.readouterr().out == printed


def test_the_table_counts_shares_of_starts_of_all_seeds():
    def outcome(done: bool) -> dict:
        return {"done": done, "seconds": 2.0 if done else None, "problem": ""}

    starts = [{"by": {EXPERT: outcome(n < 9)} | ({IDLE: outcome(False), WANDERING: outcome(n == 0)} if n < 4 else {})} for n in range(10)]
    shares = {(row["subject"], row["metric"]): (row["value"], row["n"]) for row in twin_experts.rows([{"push": starts}, {"push": starts}])}
    assert shares == {
        ("push, expert", "success"): (0.9, 20),
        ("push, expert", "simulated_seconds_to_success"): (2.0, 18),
        (f"push, {IDLE}", "success"): (0.0, 8),
        (f"push, {WANDERING}", "success"): (0.25, 8),
    }


def test_starts_are_varied_by_their_seed_alone():
    first, again, other = (twin_experts.start_of("reach", seed).scene for seed in (FIRST_SEED, FIRST_SEED, FIRST_SEED + 1))
    assert first == again != other
    drawn = draw("reach", FIRST_SEED).scene
    assert [thing.pose for thing in first.things] == [thing.pose for thing in drawn.things]
    joints = [scene.thing("arm").asset.joint("joint 1").drive.damping.value for scene in (first, drawn)]
    assert first != drawn and joints[0] != joints[1]


def test_physics_that_become_unstable_are_a_failure_that_says_why(monkeypatch):
    def burst(world, policy):
        raise WorldError("thing 'cup' became unstable")

    monkeypatch.setattr(twin_experts, "attempt", burst)
    assert twin_experts.tried(None, None) == {"done": False, "seconds": None, "problem": "thing 'cup' became unstable"}
