"""Faults planted in clean assets: how many of them does `armillary twin check` find, and how often does it cry wolf?

    python -m recipes.planted_faults [--seeds 3] [--places 4] [--quick] [--json]

Five clean assets are made in code: a mug, a door, a cabinet with a drawer, an arm with motors, a cart with wheels. For each kind of
fault (KINDS) and each seed, `--places` parts are drawn from all that could have it, and one fault is planted in each: 60 or more files a
seed. Each is written as OpenUSD, read back and checked. A fault counts as found when a finding of its code is about that very part (any, if
the fault is of the whole), or when the file cannot be read and the message names the part.
False alarms are findings on the clean files, and findings left on what `--fix` made of each file whose fault it can mend.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from armillary.core import DataError
from armillary.evaluate.closed_loop_result import wilson
from armillary.worlds.twin.asset import Asset
from armillary.worlds.twin.asset_files import load_asset, save_asset
from armillary.worlds.twin.readiness import check_asset
from armillary.worlds.twin.readiness_finding import WHOLE, Finding, at_body, at_joint, at_material
from armillary.worlds.twin.readiness_fix import fix_asset
from benchmarks.rows import parser, publish, row, timed
from recipes.faults.clean_assets import CLEAN
from recipes.faults.kinds import KINDS, Kind, in_centimetres

NAME = "planted_faults"


def planted(seed: int, places: int, kinds: dict[str, Kind]) -> Iterator[tuple[str, Asset, str]]:
    """(kind, an asset with this one fault, where the fault is)."""
    draw, assets = np.random.default_rng(seed), [make() for make in CLEAN]
    for name, kind in kinds.items():
        can = [(asset, part) for asset in assets for part in kind.parts(asset)]
        chosen = draw.choice(len(can), size=min(places, len(can)), replace=False)
        for asset, part in (can[int(number)] for number in chosen):
            yield name, kind.plant(asset, part, draw), _place(asset, kind, part)


def _place(asset: Asset, kind: Kind, part: str) -> str:
    if part == WHOLE:
        return WHOLE
    one = {at_body: asset.body, at_joint: asset.joint, at_material: asset.material}[kind.where](part)
    return kind.where(one)


def tells(finding: Finding, kind: Kind, where: str) -> bool:
    """Whether a finding is of this fault at this place; a fault of the whole asset may show in any part."""
    return finding.code in kind.codes and (where == WHOLE or finding.where.startswith(where))


def through_a_file(asset: Asset, file: Path) -> Asset:
    """As OpenUSD keeps it. What the asset leaves unsaid the file does too, and OpenUSD then reads centimetres and Y up."""
    unsaid = [word for word, value in (("metersPerUnit", asset.metres_per_unit), ("upAxis", asset.up_axis)) if value is None]
    save_asset(in_centimetres(asset) if "metersPerUnit" in unsaid else asset, file)
    if unsaid:
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        file.write_text("".join(line for line in lines if not line.strip().startswith(tuple(unsaid))), encoding="utf-8")
    return load_asset(file)


def measure(seed: int, places: int, kinds: dict[str, Kind], folder: Path) -> dict:
    """What was found of the faults of one seed, and what was found where nothing is wrong any more."""
    found = {"planted": 0, "found": 0, "refused": 0, "mended": 0, "left": 0, "missed": []}
    for number, (name, asset, where) in enumerate(planted(seed, places, kinds)):
        file = folder / f"{seed}-{number:03d}-{asset.name}-{name.replace(' ', '-')}.usda"
        found["planted"] += 1
        try:
            read = through_a_file(asset, file)
        except DataError as error:
            # The check ends with this message; it tells the fault where it names the part.
            told = where.partition(" ")[2].strip("'") in str(error)
            found["refused"] += told
            found["found"] += told
            found["missed"] += [] if told else [f"missed: {name} in {asset.name}, {where}, refused with {error}"]
            continue
        hits = [one for one in check_asset(read) if tells(one, kinds[name], where)]
        found["found"] += bool(hits)
        found["missed"] += [] if hits else [f"missed: {name} in {asset.name}, {where}"]
        if any(one.fixable for one in hits):
            left = check_asset(through_a_file(fix_asset(read)[0], file.with_suffix(".fixed.usda")))
            found["mended"] += 1
            found["left"] += bool(left)
            found["missed"] += [f"left after mending {name} in {asset.name}: {one}" for one in left]
    return found


def main() -> None:
    """Print the rows."""
    options = parser("recipes.planted_faults", __doc__, seeds=3)
    options.add_argument("--places", type=int, default=4, help="parts that each kind of fault is planted in")
    options.add_argument("--out", type=Path, help="keep the files in this folder")
    options = options.parse_args()
    seeds, places = (1, 1) if options.quick else (options.seeds, options.places)
    kinds = dict(list(KINDS.items())[::5]) if options.quick else KINDS
    with timed() as wall, tempfile.TemporaryDirectory() as temporary:
        folder = options.out or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        clean = [check_asset(through_a_file(make(), folder / f"{make.__name__}.usda")) for make in CLEAN]
        done = [measure(seed, places, kinds, folder) for seed in range(seeds)]
    for line in [line for one in done for line in one["missed"]] + [f"false alarm: {one}" for findings in clean for one in findings]:
        print(line, file=sys.stderr)
    planted_count, found, mended, left = (sum(one[key] for one in done) for key in ("planted", "found", "mended", "left"))
    rows = [
        row(NAME, "twin check", "faults_found", wilson(found, planted_count), seeds=seeds, unit="share of planted faults"),
        row(NAME, "twin check", "false_alarms_clean", wilson(sum(map(bool, clean)), len(clean)), seeds=1, unit="share of clean files"),
        row(NAME, "twin check --fix", "false_alarms_fixed", wilson(left, mended), seeds=seeds, unit="share of fixed files"),
    ]
    refused = sum(one["refused"] for one in done)
    notes = [
        f"{len(kinds)} kinds of fault in {planted_count} files, {refused} of which the reader refuses by name, which counts as found",
        "a file is clean when the check finds nothing at all, warnings included",
    ]
    publish(NAME, rows, options, command="python -m recipes.planted_faults", wall_s=wall["s"], notes=notes)


if __name__ == "__main__":
    main()
