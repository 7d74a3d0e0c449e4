"""armillary dream RUN --prompt FRAME|VIDEO|TEXT --actions FILE: a trained world dreams on, into an mp4 with its provenance."""

from argparse import Namespace

from armillary.cli import options as shared
from armillary.cli.console import Console

_EPILOG = """PROMPT is a picture (.png, .jpg), a video (its last frames), a text where the world was trained with texts, or
DATASET:EPISODE@SECONDS, a recorded moment (EPISODE -1: the last): then --actions may be left out, what was recorded next is done,
and what really happened is shown beside the dream.
FILE is .npy, .csv or .json, one action a row, as they were recorded (same size, same rate). A video-diffusion world also dreams without
one (--seconds says how long): after a picture or a video, or of a text alone.
A run of several cameras draws them all, side by side. --cameras NAME,NAME says which of them PROMPT shows; what the others see is drawn
too. Pictures or videos of several cameras are FILE,FILE.
OUT holds dream.mp4 (to look at), seed-N.mp4 (the bare pictures of each sample), strip.png, and provenance.json."""


def add(verbs) -> None:
    """Declare the verb."""
    parser = shared.new_verb(verbs, "dream", run, "let a trained world dream on from a picture, a video or a recording", epilog=_EPILOG)
    parser.add_argument("run_folder", metavar="RUN", help="the folder that train --out made, of a world that draws pictures")
    parser.add_argument("--prompt", required=True, metavar="PROMPT", help="what it begins with, see below")
    parser.add_argument("--cameras", metavar="NAMES", help="of a run of several, those that PROMPT shows (default: see below)")
    parser.add_argument("--actions", metavar="FILE", help="what is done in the dream, see below")
    parser.add_argument("--actions-fps", type=float, metavar="F", help="rows of FILE a second (default: as in the run's recordings)")
    parser.add_argument("--seconds", type=float, metavar="S", help="how long (default: as long as there are actions)")
    parser.add_argument("--out", required=True, metavar="OUT", help="the folder to make")
    parser.add_argument("--samples", type=int, default=1, metavar="N", help="dreams side by side, seeds one after another (default: 1)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="draws what the world leaves open (default: 0)")
    parser.add_argument("--fps", type=float, metavar="F", help="pictures of dream.mp4 a second (default: real time)")
    parser.add_argument("--decoder", metavar="RUN", help="a run of code-decoder: it draws the codes of an autoregressive world anew")
    parser.add_argument("--weights", choices=("best", "latest"), default="best", help="which checkpoint (default: best)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: a GPU where there is one")


def run(options: Namespace, console: Console) -> int:
    """Check everything, dream, and say what was written."""
    from armillary.studies.dream import DreamJob, prepare, run_dream

    job = DreamJob(
        run=options.run_folder,
        prompt=options.prompt,
        out=options.out,
        cameras=tuple(name for name in (options.cameras or "").split(",") if name),
        actions=options.actions,
        actions_fps=options.actions_fps,
        seconds=options.seconds,
        seed=options.seed,
        samples=options.samples,
        fps=options.fps,
        weights=options.weights,
        decoder=options.decoder,
        device=options.device,
    )
    prepared = prepare(job)
    about = prepared.to_json()
    if options.dry_run:
        console.result(about, "\n".join([f"would dream {told(about)}; nothing was written", *_notes(about)]))
        return 0
    about = run_dream(prepared, replay=options.replay, on_step=console.count("dreaming"))
    console.result(about, "\n".join([f"{options.out}/dream.mp4: {told(about)}", *_notes(about)]))
    return 0


def told(about: dict) -> str:
    """What is dreamt, in a line."""
    dream = about["dream"]
    count = len(dream["seeds"])
    size = f"{dream['height']} x {dream['width']} pixels"
    return f"{count if count > 1 else 'one'} dream{'s' if count > 1 else ''} of {dream['seconds']:g} s, {dream['steps']} pictures of {size}"


def _notes(about: dict) -> list[str]:
    return [f"note: {note}" for note in about["notes"]]
