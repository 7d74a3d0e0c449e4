"""A study over seeds: what each found is kept under --out and not made again, one process or several may share the seeds, then the rows."""

import logging
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

from armillary.core import ArmillaryError
from armillary.core.storage import read_json, write_json
from benchmarks.rows import parser, publish, timed

Judge = Callable[[int, Namespace, Path], Mapping]  # (seed, options, folder) to what JSON can keep


def study_parser(name: str, doc: str, *, out: Path | None = None) -> ArgumentParser:
    """`benchmarks.rows.parser` with --out and --seed; `doc` is the recipe's own, of which the first line is shown."""
    arguments = parser(f"recipes.{name}", doc.splitlines()[0])
    folder = Path("runs") / name if out is None else out
    arguments.add_argument("--out", type=Path, default=folder, help=f"where everything that was made is kept (default {folder})")
    arguments.add_argument("--seed", type=int, nargs="*", help="only do the work of these seeds (to share it among processes)")
    return arguments


def begin(arguments: ArgumentParser) -> Namespace:
    """The parsed arguments; from here on the log goes to standard error and one thread computes, so that seeds can run side by side."""
    options = arguments.parse_args()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    return options


def run_seeds(
    name: str,
    options: Namespace,
    judge: Judge,
    rows: Callable[[Sequence[Mapping]], list[dict]],
    *,
    kept: str = "found",
    room: str = "",
    words: str = "",
    notes: Sequence[str] = (),
) -> None:
    """Judge every seed in OUT/`room` (OUT/quick in a quick run, of one seed) and publish the rows; with --seed only judge.

    `kept`-SEED.json holds what a seed found. `words` follow the recipe's name in the command that prints the rows again, `notes`
    stand above the table. An ArmillaryError ends the process with its message alone.
    """
    out, seeds = (options.out / "quick", 1) if options.quick else (options.out / room, options.seeds)

    def found(seed: int) -> Mapping:
        path = out / f"{kept}-{seed}.json"
        if not path.exists():
            write_json(path, judge(seed, options, out))
        return read_json(path)

    earlier = any((out / f"{kept}-{seed}.json").exists() for seed in range(seeds))
    try:
        with timed() as wall:
            measured = [found(seed) for seed in (range(seeds) if options.seed is None else options.seed)]
    except ArmillaryError as error:
        sys.exit(f"recipes.{name}: {error}")
    if options.seed is not None:
        return
    table = rows(measured)
    command = " ".join(["python", "-m", f"recipes.{name}", *words.split()])
    publish(table[0]["name"], table, options, command=command, wall_s=None if earlier else wall["s"], notes=notes)
