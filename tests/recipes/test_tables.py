"""What a table says about two subjects has the right sign."""

import pytest

from recipes import offline_planning, regulariser_ablation
from recipes.regulariser_ablation import REMOVED, WHOLE


def value(rows: list[dict], subject: str, metric: str) -> float:
    return next(row["value"] for row in rows if (row["subject"], row["metric"]) == (subject, metric))


def test_a_removed_term_that_costs_success_is_a_fall():
    one = {WHOLE: {"solved": [True, True, True, False], "rank": 9.0}, "random": {"solved": [False] * 4, "rank": None}}
    one |= {name: {"solved": [True, False, False, False], "rank": 3.0} for name in REMOVED}
    rows = regulariser_ablation.rows([one, one, one])
    assert value(rows, "without inverse", "fall") == pytest.approx(0.5)
    assert value(rows, "without inverse", "success") == pytest.approx(0.25)


def test_a_planned_command_nearer_to_the_truth_has_less_error():
    one = {"planned": [0.1, 0.2], "zero action": [0.3, 0.4], "mean action": [1.0, 1.0], offline_planning.SHARE: [0.9, 0.7]}
    rows = offline_planning.rows("table", [one, one, one])
    assert value(rows, "planned", "less error than zero action") == pytest.approx(0.2)
    assert value(rows, "model", offline_planning.SHARE) == pytest.approx(0.8)
