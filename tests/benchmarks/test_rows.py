"""Rows: the one form, kept only when a run was whole, finished seeds not measured again, and a page that is what the rows say."""

import json

import pytest

from armillary.core import Estimate
from benchmarks import report, rows


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(rows, "UNFINISHED", tmp_path / "unfinished")


def one_row():
    return rows.row("speed", "model", "frames", Estimate(1.23456, 1.0, 1.5, 3), seeds=3, unit="1/s")


def test_a_row_has_the_published_form():
    assert one_row() == {
        "name": "speed",
        "subject": "model",
        "metric": "frames",
        "value": 1.235,
        "low": 1.0,
        "high": 1.5,
        "n": 3,
        "seeds": 3,
        "unit": "1/s",
    }


def test_quick_runs_are_never_kept(capsys):
    options = rows.parser("benchmarks.speed", "Speed.").parse_args(["--quick", "--json"])
    rows.publish("speed", [one_row()], options, command="python -m benchmarks.speed", wall_s=1.0)
    assert json.loads(capsys.readouterr().out) == [one_row()]
    assert not rows.RESULTS.exists()


def test_whole_runs_become_a_section_of_the_page(capsys):
    options = rows.parser("benchmarks.speed", "Speed.").parse_args(["--seeds", "2"])
    rows.publish("speed", [one_row()], options, command="python -m benchmarks.speed", wall_s=1.0, notes=["A note."])
    page = report.page(rows.RESULTS)
    assert "`python -m benchmarks.speed --seeds 2`" in page and "| model | frames | 1.24 1/s | 1.00 to 1.50 | 3 | 3 |" in page
    assert "A note." in page and "Commit " in page


def test_horizons_become_columns(capsys):
    options = rows.parser("benchmarks.dream", "Dream.").parse_args([])
    found = [{**one_row(), "metric": f"gain +{horizon} s, recorded", "value": value} for horizon, value in (("2.0", 7.0), ("0.5", 4.0))]
    rows.publish("dream", [*found, one_row()], options, command="python -m benchmarks.dream", wall_s=None)
    page = report.page(rows.RESULTS)
    assert "| metric | subject | +0.5 s | +2.0 s |" in page
    assert "| gain, recorded, 1/s | model | 4.00 [1.00, 1.50] | 7.00 [1.00, 1.50] |" in page
    assert "| model | frames | 1.24 1/s |" in page and "processes of their own" in page


def test_finished_seeds_are_not_measured_again():
    calls = []

    def measure():
        calls.append(1)
        return {"value": 1}

    assert rows.finished("speed", 0, {"steps": 3}, measure) == rows.finished("speed", 0, {"steps": 3}, measure) == {"value": 1}
    assert len(calls) == 1
    rows.finished("speed", 0, {"steps": 4}, measure)
    assert len(calls) == 2, "other settings are another measurement"


def test_a_printed_table_is_as_wide_as_its_head():
    short = rows.row("x", "us", "fps", Estimate(value=1.0, low=0.5, high=2.0, n=3), seeds=3, unit="1/s")
    head, line = rows.table([short]).splitlines()
    assert head.split()[:3] == ["subject", "metric", "value"] and head.index("metric") == line.index("fps")


def test_at_least_one_seed():
    with pytest.raises(SystemExit):
        rows.parser("benchmarks.speed", "Speed.").parse_args(["--seeds", "0"])


def test_the_page_in_the_repository_is_what_its_rows_say():
    assert report.PAGE.read_text(encoding="utf-8") == report.page(rows.ROOT / "benchmarks" / "results")
