"""What every recipe and benchmark shares: its arguments, the one form of a row, and where measured rows are kept.

A recipe reads `parser(...).parse_args()`, makes rows with `row(...)`, and ends with `publish(...)`, which prints them and, unless
the run was quick, keeps them under benchmarks/results/ with the commit, the machine and the time; `python -m benchmarks.report`
makes docs/RESULTS.md of them. `finished` keeps each seed's measurement, so that a killed study goes on where it was.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from armillary.core import Estimate, bootstrap
from armillary.core.storage import read_json, write_json
from armillary.train.environment import describe_environment, hardware

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
UNFINISHED = ROOT / "runs" / "studies"


def parser(module: str, description: str, *, seeds: int = 3) -> argparse.ArgumentParser:
    """A parser that knows `--seeds`, `--quick` and `--json`; add what else the study needs."""
    found = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    found.add_argument("--seeds", type=_count, default=seeds, help=f"how many seeds, from 0 on (default {seeds})")
    found.add_argument("--quick", action="store_true", help="a smoke run of at most 60 s, one seed, never published")
    found.add_argument("--json", action="store_true", help="print the rows as one JSON list instead of a table")
    return found


def row(name: str, subject: str, metric: str, estimate: Estimate, *, seeds: int, unit: str = "", digits: int = 3) -> dict:
    """One measured number. `subject` is who was measured (trivial baselines too); `n` counts the independent units behind it."""
    numbers = {key: round(getattr(estimate, key), digits) for key in ("value", "low", "high")}
    return {"name": name, "subject": subject, "metric": metric, **numbers, "n": estimate.n, "seeds": seeds, "unit": unit}


def of_rounds(
    name: str, metrics: Mapping[str, tuple[str, str]], measured: Sequence[Mapping[str, Mapping[str, float]]], *, digits: int = 2
) -> list[dict]:
    """One row for each number of each subject, over rounds; `metrics` are (what a row calls it, unit) by key."""
    found = []
    for who, numbers in measured[0].items():
        for key in numbers:
            metric, unit = metrics[key]
            estimate = bootstrap([one[who][key] for one in measured])
            found.append(row(name, who, metric, estimate, seeds=len(measured), unit=unit, digits=digits))
    return found


@contextmanager
def timed() -> Iterator[dict[str, float]]:
    """The wall seconds of the block, found under "s" when it ended."""
    found, begin = {"s": 0.0}, time.perf_counter()
    try:
        yield found
    finally:
        found["s"] = time.perf_counter() - begin


def finished(name: str, seed: int, settings: Mapping[str, object], measure: Callable[[], object]) -> object:
    """`measure()` as JSON keeps it; not measured again where this commit already did with the same settings."""
    path = UNFINISHED / name / f"seed-{seed}.json"
    key = {"commit": describe_environment()["git_commit"], "settings": {k: str(v) for k, v in sorted(settings.items())}}
    if path.exists():
        kept = read_json(path)
        if isinstance(kept, dict) and kept.get("key") == key:
            return kept["measured"]
    write_json(path, {"key": key, "measured": measure()})
    return read_json(path)["measured"]


def publish(
    name: str,
    rows: Sequence[Mapping[str, object]],
    options: argparse.Namespace,
    *,
    command: str,
    wall_s: float | None,
    notes: Sequence[str] = (),
) -> None:
    """Print the rows; unless this was a quick run, keep them for docs/RESULTS.md. `wall_s` is None where parts were done before."""
    print(json.dumps(list(rows), indent=2) if options.json else table(rows))
    if options.quick:
        return
    environment = describe_environment()
    record = {
        "name": name,
        "command": f"{command} --seeds {options.seeds}",
        "commit": environment["git_commit"],
        "uncommitted_changes": environment["git_dirty"],
        "date": environment["created"],
        "hardware": hardware(),
        "python": environment["python"],
        "torch": environment["packages"]["torch"],
        "wall_s": None if wall_s is None else round(wall_s, 1),
        "notes": list(notes),
        "rows": list(rows),
    }
    write_json(RESULTS / f"{name}.json", record)


def run_speed(name: str, doc: str, rows: Callable[[int, bool], list[dict]]) -> None:
    """The whole of a benchmark that has no options of its own: measure `rows(seeds, quick)` and publish them. `doc` is its module's."""
    options = parser(f"benchmarks.{name}", doc.splitlines()[0]).parse_args()
    with timed() as wall:
        measured = rows(1 if options.quick else options.seeds, options.quick)
    publish(name, measured, options, command=f"python -m benchmarks.{name}", wall_s=wall["s"])


def table(rows: Sequence[Mapping[str, object]]) -> str:
    """Rows for a person to read."""
    first, width = (max(len(str(one[column])) for one in [{column: column}, *rows]) + 2 for column in ("subject", "metric"))
    lines = [f"{'subject':<{first}}{'metric':<{width}}{'value':>12}  95 % interval"]
    for one in rows:
        interval = f"[{one['low']:,.3f}, {one['high']:,.3f}]  n = {one['n']}"
        lines.append(f"{one['subject']:<{first}}{one['metric']:<{width}}{one['value']:>12,.3f}  {interval} {one['unit']}".rstrip())
    return "\n".join(lines)


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, received {count}")
    return count
