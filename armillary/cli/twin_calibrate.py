"""armillary twin calibrate: a twin's physical numbers from recorded motion."""

from argparse import Namespace

from armillary.cli import options as shared
from armillary.cli.console import Console

WRONG_DATA = 3


def add(jobs) -> None:
    """Declare the job."""
    epilog = (
        "--unknown KIND:THING/PART, with =LOW..HIGH for a range of its own, as often as there are unknowns. KIND is mass (of a body),\n"
        "density, friction, restitution (of a material), damping, armature or stiffness (of a joint and its drive). Of a twin with one\n"
        "thing PART is enough. Exit code: 0 if something was measured, 3 if the data tell none of the numbers."
    )
    description = "estimate masses, frictions and the like from recorded motion, and write them back as measured"
    job = shared.new_verb(jobs, "calibrate", run, description, epilog=epilog)
    job.add_argument("twin", metavar="TWIN", help="an asset (OpenUSD, MJCF, URDF), or a scene such as tilted_plane")
    job.add_argument("--data", required=True, metavar="DATASET", help="a LeRobot dataset that saw it move")
    job.add_argument(
        "--unknown", action="append", default=[], metavar="NAME", help="what to look for (default: all that the data can tell)"
    )
    job.add_argument("--episodes", metavar="N,N,...", help="which episodes (default: all); the last quarter is judged by")
    job.add_argument("--noise-m", type=float, default=0.001, metavar="M", help="how well the data measure places (default 0.001)")
    job.add_argument("--noise-rad", type=float, default=0.005, metavar="RAD", help="how well the data measure turns (default 0.005)")
    job.add_argument("--seed", type=int, default=0, help="of the search, and of a scene's layout if the data have none (default 0)")
    job.add_argument(
        "--out", metavar="FILE", help="write the asset (.usda, .usdc, .usdz); a folder where numbers of several things are asked"
    )


def run(options: Namespace, console: Console) -> int:
    """The job: 0 where something was measured, 3 where nothing was."""
    from pathlib import Path

    from armillary.studies.calibrate import carry_out, outputs, plan, write
    from armillary.studies.recorded_motion import Tracker

    console.progress("reading what was recorded")
    planned = plan(
        options.twin,
        options.data,
        wishes=[_wish(text) for text in options.unknown],
        episodes=_episodes(options.episodes),
        seed=options.seed,
        tracker=Tracker(noise_m=options.noise_m, noise_rad=options.noise_rad),
    )
    if options.out is not None:
        outputs(planned, Path(options.out))
    unknowns = ", ".join(map(str, planned.unknowns))
    if options.dry_run:
        value = {"unknowns": [str(one) for one in planned.unknowns], "judged_on": planned.judged, "notes": list(planned.notes)}
        console.result(value, f"would look for the {unknowns}; judged on {planned.judged}; nothing was written")
        return 0
    console.note(f"looking for the {unknowns}")
    outcome = carry_out(planned, seed=options.seed)
    written = write(outcome, Path(options.out)) if options.out is not None else ()
    value = _value(outcome, [str(path) for path in written])
    console.result(value, _words(value))
    return 0 if any(one["identifiable"] for one in value["found"]) else WRONG_DATA


def _wish(text: str):
    """KIND:PART or KIND:PART=LOW..HIGH."""
    from armillary.core import ConfigError
    from armillary.studies.calibrate import Wish

    wanted = f"--unknown is KIND:THING/PART or KIND:THING/PART=LOW..HIGH, such as friction:block/wood=0.1..0.9; received {text!r}"
    name, equals, bounds = text.partition("=")
    kind, colon, part = name.partition(":")
    if not colon or not part:
        raise ConfigError(wanted)
    if not equals:
        return Wish(kind=kind, part=part)
    low, _, high = bounds.partition("..")
    try:
        return Wish(kind=kind, part=part, bounds=(float(low), float(high)))
    except ValueError as error:
        raise ConfigError(wanted) from error


def _episodes(text: str | None) -> list[int] | None:
    from armillary.core import ConfigError

    if text is None:
        return None
    try:
        return [int(one) for one in text.split(",")]
    except ValueError as error:
        raise ConfigError(f"--episodes takes numbers separated by commas, received {text!r}") from error


def _value(outcome, written: list[str]) -> dict:
    from dataclasses import asdict

    found = []
    for prior, one in zip(outcome.priors, outcome.result.found, strict=True):
        before = {"value": prior.value, "source": prior.source, "low": prior.low, "high": prior.high}
        after = {"value": one.value, "low": one.low, "high": one.high}
        found.append({"name": str(one.unknown), "before": before, "estimate": after, "identifiable": one.identifiable, "word": one.word})
    return {
        "found": found,
        "misfit": outcome.result.misfit,
        "simulations": outcome.result.simulations,
        "judged_on": outcome.plan.judged,
        "before": asdict(outcome.before),
        "after": asdict(outcome.after),
        "notes": list(outcome.plan.notes),
        "out": written,
    }


def _words(value: dict) -> str:
    """The table that a person reads."""
    rows = [("number", "before", "range", "estimate", "95 % interval")]
    for one in value["found"]:
        before, after = one["before"], one["estimate"]
        estimate = (f"{after['value']:.4g}", f"{after['low']:.4g} to {after['high']:.4g}") if one["identifiable"] else ("-", "-")
        rows.append((one["name"], f"{before['value']:.4g}", f"{before['low']:.4g} to {before['high']:.4g}", *estimate))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines += [f"  {one['name']}: {one['word']}" for one in value["found"] if one["word"]]
    lines.append(f"on {value['judged_on']}, which it was not calibrated on, the twin is off by (root mean square):")
    for key, what, scale, unit in (("places_m", "places", 1000.0, "mm"), ("turns_rad", "turns", 1000.0, "mrad")):
        before, after = value["before"][key], value["after"][key]
        if before is not None:
            lines.append(f"  {what:<7}{scale * before:.3g} {unit} before, {scale * after:.3g} {unit} after")
    lines.append(f"what it was calibrated on it follows to {value['misfit']:.2g} times the noise; {value['simulations']} simulations")
    lines += [f"  note     {note}" for note in value["notes"]]
    lines += [f"written as {path}" for path in value["out"]]
    return "\n".join(lines)
