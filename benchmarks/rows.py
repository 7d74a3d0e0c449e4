"""What every recipe and benchmark shares: its arguments, the form of its rows, where they are kept, and resuming after a kill.

    def main(argv=None):
        arguments = parse_arguments(__doc__, argv)
        with Study("my_benchmark", arguments) as study:
            measured = [study.seed(seed, lambda: measure(seed, quick=arguments.quick)) for seed in arguments.seeds]
            study.publish([Row.of("my_benchmark", "model", "speed", bootstrap(measured), seeds=len(measured), unit="1/s")])
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from armillary.core import Estimate
from armillary.core.storage import read_json, write_json
from armillary.train.environment import describe_environment

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
UNFINISHED = ROOT / "runs" / "studies"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measured number. `subject` is who was measured (trivial baselines too); `n` counts the independent units behind it."""

    name: str
    subject: str
    metric: str
    value: float
    low: float
    high: float
    n: int
    seeds: int
    unit: str = ""

    @staticmethod
    def of(name: str, subject: str, metric: str, estimate: Estimate, *, seeds: int, unit: str = "") -> "Row":
        """A row from an estimate."""
        return Row(name=name, subject=subject, metric=metric, **asdict(estimate), seeds=seeds, unit=unit)


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What the person asked for. `quick` is a smoke run of at most 60 s that is never published."""

    seeds: tuple[int, ...]
    quick: bool
    json: bool
    replay: str
    extra: argparse.Namespace


def parse_arguments(
    description: str | None,
    argv: Sequence[str] | None = None,
    *,
    seeds: int = 3,
    add: Callable[[argparse.ArgumentParser], object] | None = None,
) -> Arguments:
    """Read `--seeds`, `--quick` and `--json`; `add(parser)` may declare more, found again in `extra`."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default=str(seeds), help=f"how many seeds (0, 1, ...), or a list such as 0,3,7; default {seeds}")
    parser.add_argument("--quick", action="store_true", help="a smoke run of at most 60 s with one seed, never published")
    parser.add_argument("--json", action="store_true", help="print the rows as one JSON list instead of a table")
    if add is not None:
        add(parser)
    extra = parser.parse_args(argv)
    try:
        chosen = tuple(int(part) for part in extra.seeds.split(",")) if "," in extra.seeds else tuple(range(int(extra.seeds)))
    except ValueError:
        parser.error(f"--seeds must be a count or a list such as 0,3,7; received {extra.seeds!r}")
    if not chosen:
        parser.error("--seeds must be at least 1")
    words = sys.argv[1:] if argv is None else list(argv)
    kept = " ".join(word for word in words if word != "--json")
    return Arguments(seeds=chosen[:1] if extra.quick else chosen, quick=extra.quick, json=extra.json, replay=kept, extra=extra)


class Study:
    """One run of a recipe or benchmark. Finished seeds are kept, so that a killed study goes on where it was.

    `room` is "recipes" or "benchmarks", where the module lies.
    """

    def __init__(self, name: str, arguments: Arguments, *, room: str = "benchmarks"):
        self.name, self.arguments, self.room = name, arguments, room
        self._commit = describe_environment().get("git_commit") or "unknown"
        self._folder = UNFINISHED / (name + ("-quick" if arguments.quick else ""))
        self._started = time.perf_counter()
        self._spent_before_s = 0.0

    def __enter__(self) -> "Study":
        return self

    def __exit__(self, *error) -> None:
        return None

    def folder(self, seed: int) -> Path:
        """Where a seed may keep a run folder of its own, to resume it after a kill."""
        return self._folder / f"seed-{seed}"

    def seed(self, seed: int, measure: Callable[[], object]) -> object:
        """`measure()` as JSON keeps it; not measured again when this commit already did with the same arguments."""
        path = self._folder / f"seed-{seed}.json"
        key = {"commit": self._commit, "arguments": self._settings()}
        if path.exists():
            kept = read_json(path)
            if isinstance(kept, dict) and {name: kept.get(name) for name in key} == key:
                self._spent_before_s += kept["wall_s"]
                return kept["measured"]
        begin = time.perf_counter()
        measured = measure()
        write_json(path, {**key, "wall_s": time.perf_counter() - begin, "measured": measured})
        return read_json(path)["measured"]

    def publish(self, rows: Sequence[Row], *, notes: Sequence[str] = ()) -> None:
        """Print the rows; unless this is a quick run, keep them under benchmarks/results/ for docs/RESULTS.md."""
        plain = [asdict(row) for row in rows]
        print(json.dumps(plain, indent=2) if self.arguments.json else table(rows))
        if self.arguments.quick:
            return
        environment = describe_environment()
        write_json(
            RESULTS / f"{self.name}.json",
            {
                "name": self.name,
                "command": f"python -m {self.room}.{self.name} {self.arguments.replay}".strip(),
                "commit": self._commit,
                "uncommitted_changes": environment.get("git_dirty"),
                "hardware": hardware(),
                "python": platform.python_version(),
                "torch": environment.get("torch"),
                "wall_s": round(time.perf_counter() - self._started + self._spent_before_s, 1),
                "seeds": list(self.arguments.seeds),
                "notes": list(notes),
                "rows": plain,
            },
        )

    def _settings(self) -> dict:
        """The arguments that change what one seed measures."""
        own = vars(self.arguments.extra).items()
        return {name: value if isinstance(value, int | float | str | bool | None) else str(value) for name, value in own} | {
            "seeds": None,
            "json": None,
        }


def table(rows: Sequence[Row]) -> str:
    """Rows for a person to read."""
    lines = [f"{'subject':<20}{'metric':<36}{'value':>12}  95 % interval"]
    for row in rows:
        interval = f"[{row.low:,.3f}, {row.high:,.3f}]  n = {row.n}"
        lines.append(f"{row.subject:<20}{row.metric:<36}{row.value:>12,.3f}  {interval} {row.unit}".rstrip())
    return "\n".join(lines)


def hardware() -> str:
    """The machine in words: processor, cores, accelerator."""
    model = platform.processor() or platform.machine()
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        text = ""
    model = next((line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith("model name")), model)
    import torch

    accelerator = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{len(os.sched_getaffinity(0))} x {model}{accelerator}"
