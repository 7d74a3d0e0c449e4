"""docs/RESULTS.md from the stored rows: `python -m benchmarks.report`; `--check` fails where the page is not what the rows say."""

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from armillary.core.storage import read_json, write_text
from benchmarks.rows import RESULTS, ROOT

PAGE = ROOT / "docs" / "RESULTS.md"
_HORIZON = re.compile(r" \+([\d.]+) s\b")  # in a metric that is told for several horizons
_HEAD = """# Results

Made by `python -m benchmarks.report` from the rows under `benchmarks/results/`; never typed. Each section's command prints its rows again.
Intervals are 95 %. Trivial baselines are subjects like any other. Negative results are in [LOG.md](LOG.md).
"""


def page(folder: Path = RESULTS) -> str:
    """The whole page, one section a study."""
    sections = [section(read_json(path)) for path in sorted(folder.glob("*.json"))]
    return "\n".join([_HEAD, *sections])


def section(record: Mapping[str, object]) -> str:
    """One study: where its numbers come from, and the table."""
    dirty = " (with uncommitted changes)" if record["uncommitted_changes"] else ""
    wall = "its seeds in processes of their own" if record["wall_s"] is None else f"{record['wall_s']:,.0f} s of wall time"
    lines = [
        f"## {record['name']}",
        "",
        f"`{record['command']}`",
        "",
        f"Commit {str(record['commit'])[:12]}{dirty}, {record['date'][:10]}; {record['hardware']}; Python {record['python']}, "
        f"torch {record['torch']}; {wall}.",
        "",
        *(f"{note}\n" for note in record["notes"]),
    ]
    by_horizon = [one for one in record["rows"] if _HORIZON.search(one["metric"])]
    others = [one for one in record["rows"] if not _HORIZON.search(one["metric"])]
    return "\n".join([*lines, *(_horizons(by_horizon) if by_horizon else []), *(_list(others) if others else [])])


def _list(rows: Sequence[Mapping[str, object]]) -> list[str]:
    """A line a number."""
    lines = ["| subject | metric | value | 95 % interval | n | seeds |", "|---|---|---:|---|---:|---:|"]
    for one in rows:
        unit = f" {one['unit']}" if one["unit"] else ""
        interval = f"{_number(one['low'])} to {_number(one['high'])}"
        lines.append(f"| {one['subject']} | {one['metric']} | {_number(one['value'])}{unit} | {interval} | {one['n']} | {one['seeds']} |")
    return [*lines, ""]


def _horizons(rows: Sequence[Mapping[str, object]]) -> list[str]:
    """Numbers told for several horizons: a line a metric and subject, a column a horizon."""
    horizons = sorted({_HORIZON.search(one["metric"])[1] for one in rows}, key=float)
    lines: dict[tuple[str, str], dict[str, str]] = {}
    for one in rows:
        unit = f", {one['unit']}" if one["unit"] else ""
        key = (_HORIZON.sub("", one["metric"]) + unit, one["subject"])
        cell = f"{_number(one['value'])} [{_number(one['low'])}, {_number(one['high'])}]"
        lines.setdefault(key, {})[_HORIZON.search(one["metric"])[1]] = cell
    head = " | ".join(f"+{horizon} s" for horizon in horizons)
    table = [f"| metric | subject | {head} |", "|---|---|" + "---:|" * len(horizons)]
    table += [f"| {metric} | {subject} | {' | '.join(cells.get(h, '') for h in horizons)} |" for (metric, subject), cells in lines.items()]
    counts = sorted({(one["n"], one["seeds"]) for one in rows})
    told = ", ".join(f"n = {n} in {seeds} seeds" for n, seeds in counts)
    return [*table, "", f"Each cell: the value and its interval; {told}.", ""]


def write() -> None:
    """Write the page."""
    write_text(PAGE, page())


def _number(value: float) -> str:
    size = abs(value)
    return f"{value:,.0f}" if size >= 1000 else f"{value:.1f}" if size >= 100 else f"{value:.2f}" if size >= 1 else f"{value:.3f}"


def main() -> int:
    """Write or check the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the page differs from the stored rows")
    if not parser.parse_args().check:
        write()
        return 0
    if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page():
        print(f"{PAGE.relative_to(ROOT)} is not what the stored rows say; run: python -m benchmarks.report", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
