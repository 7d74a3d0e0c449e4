"""armillary demo: the main job, from recordings to a judged world model and a page that shows it."""

import os
import sys
from argparse import Namespace

from armillary.cli import options as shared
from armillary.cli.console import Console, clock

_EPILOG = """Without --data it records its own from a small world. Killed and started again with the same --out, it goes on where it was.
Settings of the model can be given as for `armillary train`: --train.steps 500 --model.latent-size 64"""


def add(verbs) -> None:
    """Declare the verb."""
    parser = shared.new_verb(
        verbs, "demo", run, "data, training, judgement and a report page in one command", takes_settings=True, epilog=_EPILOG
    )
    parser.add_argument("--data", metavar="PATH", help="a LeRobot dataset (default: record a small world)")
    parser.add_argument("--out", metavar="DIR", help="where everything goes (default: runs/demo, or runs/demo-NAME with --data)")
    parser.add_argument("--minutes", type=float, metavar="M", help="time for the whole job (default: 5.5, with --data 12)")
    parser.add_argument("--episodes", type=int, default=120, metavar="N", help="how many to record where there is no --data (default: 120)")
    parser.add_argument("--no-browser", action="store_true", help="do not open the page")
    shared.add_shorthand(parser, preset=None)


def run(options: Namespace, console: Console) -> int:
    """Do the whole job, telling of each stage."""
    from armillary.studies.demo import PRESET, PRESET_WITH_DATA, Demo, run_demo

    options.preset = options.preset or (PRESET_WITH_DATA if options.data else PRESET)
    config = shared.family_config("vmc", options)
    demo = Demo.of(
        config,
        data=options.data,
        out=options.out,
        minutes=options.minutes,
        episodes=options.episodes,
        fixed_steps=options.steps is not None or "train.steps" in shared.settings(options),
    )
    if options.dry_run:
        console.result(demo.to_json(), f"would work in {demo.out} for about {demo.minutes:g} minutes on {demo.data or 'a small world'}")
        return 0
    done = run_demo(demo, replay=options.replay, on_stage=console.note, on_progress=console.progress)
    console.result({"report": str(done.page), "run": str(done.run), "seconds": done.seconds, "rows": done.rows}, _verdict(done))
    if not options.no_browser and _has_display():
        import webbrowser

        webbrowser.open(done.page.resolve().as_uri())
    return 0


def _verdict(done) -> str:
    lines = [f"held out: {done.verdict}", f"all done in {clock(done.seconds)}", f"report: {done.page}"]
    return "\n".join(lines)


def _has_display() -> bool:
    if not sys.stdout.isatty():
        return False
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
