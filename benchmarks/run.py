"""Run benchmarks and recipes one after the other: `python -m benchmarks.run [NAME ...] [--seeds N] [--quick] [--list]`.

Each runs in a process of its own. Full runs keep their rows under benchmarks/results/, then docs/RESULTS.md is made of them.
With `--quick` every named study is only shown to work, and nothing is kept.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from benchmarks import report

ROOT = Path(__file__).resolve().parent.parent
_TOOLS = {"__init__", "rows", "run", "report", "lerobot_reader", "stand_in"}
_NOT_STUDIES = _TOOLS | {"training", "intervals", "g1_worlds", "real_videos", "seeds", "bundled_card"}


def studies() -> dict[str, str]:
    """Every recipe and benchmark by name, with the module that runs it."""
    found = {}
    for room in ("benchmarks", "recipes"):
        for path in sorted((ROOT / room).glob("*.py")):
            if path.stem not in _NOT_STUDIES:
                found[path.stem] = f"{room}.{path.stem}"
    return found


def main() -> int:
    """Run what was asked for; the number of studies that failed."""
    known = studies()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"default: all of {', '.join(known)}")
    parser.add_argument("--seeds", type=int, help="how many seeds (default: each study's own)")
    parser.add_argument("--quick", action="store_true", help="smoke runs that are never published")
    parser.add_argument("--list", action="store_true", help="only name the studies")
    options = parser.parse_args()
    if options.list:
        print("\n".join(f"{name:<20} python -m {module}" for name, module in known.items()))
        return 0
    unknown = [name for name in options.names if name not in known]
    if unknown:
        parser.error(f"there is no study {', '.join(unknown)}; choose from {', '.join(known)}")
    failed = []
    for name in options.names or known:
        words = [sys.executable, "-m", known[name]]
        words += ["--seeds", str(options.seeds)] if options.seeds else []
        words += ["--quick"] if options.quick else []
        print(f"== {' '.join(words[1:])}", flush=True)
        if subprocess.run(words, cwd=ROOT).returncode != 0:
            failed.append(name)
    if not options.quick:
        report.write()
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return len(failed)


if __name__ == "__main__":
    raise SystemExit(main())
