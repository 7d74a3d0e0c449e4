"""armillary publish RUN --out FOLDER: a finished run as others can use it, without the dataset and without what only training needs."""

from argparse import Namespace

from armillary.cli import options as shared
from armillary.cli.console import Console

_EPILOG = """FOLDER holds settings, weights (safetensors), the split, the card as README.md, and some moments to begin from. It is a run:
play, dream, evaluate and plan take it, also by its name on a hub: armillary play hub:OWNER/NAME. To upload it: hf upload OWNER/NAME FOLDER
Moments are pictures of your recordings: look at them, or leave them out with --moments 0."""


def add(verbs) -> None:
    """Declare the verb."""
    parser = shared.new_verb(verbs, "publish", run, "a finished run as a folder to give away", epilog=_EPILOG)
    parser.add_argument("run_folder", metavar="RUN", help="the folder that train --out made")
    parser.add_argument("--out", required=True, metavar="FOLDER", help="the folder to make")
    parser.add_argument("--data", metavar="PATH", help="where moments are drawn from (default: the dataset that it was trained on)")
    parser.add_argument("--moments", type=int, default=8, metavar="N", help="how many, of episodes it never learned from (default: 8)")
    parser.add_argument("--half", action="store_true", help="round the weights to 16 bits")
    parser.add_argument("--weights", choices=("best", "latest"), default="best", help="which checkpoint (default: best)")


def run(options: Namespace, console: Console) -> int:
    """Write the folder, and say what a person still has to."""
    from pathlib import Path

    from armillary.studies.publish import publish
    from armillary.studies.runs import load_run

    if options.dry_run:
        loaded = load_run(options.run_folder, options.weights)
        text = f"would write {loaded.family} {options.run_folder} to {options.out} with {options.moments} moments; nothing was written"
        console.result({"run": options.run_folder, "out": options.out, "moments": options.moments}, text)
        return 0
    given = {"data": options.data, "moments": options.moments, "half": options.half, "which": options.weights}
    found = publish(options.run_folder, Path(options.out), **given)
    text = f"{found.path}: {found.size_bytes / 1e6:.1f} MB, {found.moments} moments to begin from"
    if found.unsaid:
        console.note(
            f"{found.path / 'README.md'} leaves {found.unsaid} things to be said by you (licence, intended use ...): look for [missing"
        )
    console.result({"path": str(found.path), "size_bytes": found.size_bytes, "moments": found.moments, "unsaid": found.unsaid}, text)
    return 0
