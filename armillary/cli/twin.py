"""armillary twin (check, preview, calibrate): digital twins, from assets that are ready for simulation to scenes."""

from argparse import Namespace
from dataclasses import asdict

from armillary.cli import options as shared
from armillary.cli import twin_calibrate
from armillary.cli.console import Console

WRONG_DATA = 3


def add(verbs) -> None:
    """Declare the verb and what it can do."""
    parser = verbs.add_parser("twin", help="check, mend and calibrate digital twins, look at scenes", allow_abbrev=False)
    jobs = parser.add_subparsers(title="jobs", metavar="JOB", required=True)
    epilog = (
        "Exit code: 0 without errors (warnings may be left), 3 with errors. armillary/worlds/twin/readiness.py has the score's formula."
    )
    job = shared.new_verb(
        jobs, "check", check, "what an asset lacks for simulation and what about it cannot be, with a score", epilog=epilog
    )
    job.add_argument("file", metavar="FILE", help="OpenUSD (.usda, .usdc, .usdz), MJCF (.xml) or URDF")
    job.add_argument("--fix", metavar="OUT", help="write a copy with what is missing estimated from geometry and a material table")
    job = shared.new_verb(jobs, "preview", preview, "one picture of every camera of scenes, to look at")
    job.add_argument(
        "scene", metavar="SCENE", nargs="*", help="tabletop, kitchen, rooms, road, dominoes, ... (default: all, and every randomiser)"
    )
    job.add_argument("--out", required=True, metavar="FILE", help="the picture that is written, .png")
    job.add_argument("--seed", type=int, default=0, help="which of a scene's layouts (default 0)")
    job.add_argument("--randomisers", action="store_true", help="also what each randomiser makes of the named scenes")
    job.add_argument("--quality", default="fine", help="draft, fast or fine (default fine)")
    twin_calibrate.add(jobs)


def check(options: Namespace, console: Console) -> int:
    """twin check: 0 when no error is left, 3 otherwise."""
    from pathlib import Path

    from armillary.worlds.twin.asset_files import load_asset, save_asset
    from armillary.worlds.twin.readiness import check_asset, known, score
    from armillary.worlds.twin.readiness_finding import ERROR
    from armillary.worlds.twin.readiness_fix import fix_asset

    asset, done = load_asset(Path(options.file)), ()
    before = score(check_asset(asset), asset)
    if options.fix is not None:
        asset, done = fix_asset(asset)
        if not options.dry_run:
            save_asset(asset, Path(options.fix))
    findings = check_asset(asset)
    value = {
        "path": options.file,
        "score": round(score(findings, asset), 1),
        "score_before": round(before, 1),
        "errors": sum(finding.severity == ERROR for finding in findings),
        "warnings": sum(finding.severity != ERROR for finding in findings),
        "findings": [asdict(finding) for finding in findings],
        "numbers": known(asset),
        "notes": list(asset.notes),
        "fixed": list(done),
        "out": options.fix,
    }
    console.result(value, _words(value, options.dry_run))
    return WRONG_DATA if value["errors"] else 0


def preview(options: Namespace, console: Console) -> int:
    """twin preview: writes the sheet."""
    from pathlib import Path

    from PIL import Image

    from armillary.core import ConfigError
    from armillary.core.storage import write_atomically
    from armillary.worlds.twin.preview import contact_sheet
    from armillary.worlds.twin.scenes.catalogue import SCENES

    out, scenes = Path(options.out), options.scene or list(SCENES)
    randomised = ["tabletop"] if not options.scene else scenes if options.randomisers else []
    if out.suffix != ".png":
        raise ConfigError(f"--out must be a .png file, received {options.out}")
    sheet = contact_sheet(scenes, seed=options.seed, quality=options.quality, randomised=randomised)
    if not options.dry_run:
        write_atomically(out, lambda path: Image.fromarray(sheet).save(path, format="PNG"))
    value = {"out": None if options.dry_run else str(out), "scenes": list(scenes), "height": sheet.shape[0], "width": sheet.shape[1]}
    written = "nothing was written" if options.dry_run else f"written as {out}"
    console.result(value, f"{len(scenes)} scenes, {sheet.shape[1]} x {sheet.shape[0]} pixels: {written}")
    return 0


def _words(value: dict, dry_run: bool) -> str:
    """The report that a person reads."""
    lines = []
    if value["out"] is not None:
        lines += [f"  {'would fix' if dry_run else 'fixed':<8} {one}" for one in value["fixed"]]
        what = "nothing was written" if dry_run else f"written as {value['out']}"
        lines.append(
            f"{value['path']}: SimReady score was {value['score_before']:g} of 100; {len(value['fixed'])} things estimated; {what}"
        )
    counted = f"{value['errors']} errors, {value['warnings']} warnings"
    lines.append(f"{value['out'] or value['path']}: SimReady score {value['score']:g} of 100; {counted}")
    for one in value["findings"]:
        lines.append(f"  {one['severity']:<8} {one['where']}: {one['problem']}")
        lines.append(f"           {one['fix']}{'  [--fix]' if one['fixable'] else ''}")
    lines.append("  numbers  " + ", ".join(f"{count} {source}" for source, count in value["numbers"].items()))
    lines += [f"  note     {note}" for note in value["notes"]]
    return "\n".join(lines)
