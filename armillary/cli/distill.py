"""armillary distill RUN --steps 4 --out OUT: a diffusion world that draws as its teacher does, in few sampling steps."""

from argparse import Namespace

from armillary.cli import options as shared
from armillary.cli.console import Console
from armillary.cli.train import tell_result, watch

_EPILOG = """OUT is an ordinary run: judge it, resume it, play in it. Its pictures, camera and rate are the teacher's.
Settings of the training can be given as --group.name VALUE: --train.steps 400 --train.learning-rate-scale 0.25 --model.teacher-steps 16"""


def add(verbs) -> None:
    """Declare the verb."""
    description = "teach a diffusion world to need few sampling steps"
    parser = shared.new_verb(verbs, "distill", run, description, takes_settings=True, epilog=_EPILOG)
    parser.add_argument("run_folder", metavar="RUN", help="the teacher: a run of train diffusion")
    words = {"metavar": "N", "help": "sampling steps of the student, 1 to 4 say"}
    parser.add_argument("--steps", dest="sampling_steps", type=int, required=True, **words)
    parser.add_argument("--out", required=True, metavar="OUT", help="the run folder to make")
    parser.add_argument("--data", metavar="PATH", help="recordings to learn on (default: those that the teacher learned from)")


def run(options: Namespace, console: Console) -> int:
    """Distill, and say where the weights are."""
    from armillary.studies.distill import distill, student_settings

    config = shared.with_settings(student_settings(options.run_folder, options.sampling_steps), options)
    if options.dry_run:
        steps = config.model.sampling_steps
        text = f"would teach {steps} sampling steps what {options.run_folder} does in {config.model.teacher_steps}, into {options.out}"
        console.result({"run": options.out, "sampling_steps": steps, "steps": config.train.steps}, f"{text}; nothing was written")
        return 0
    given = {"config": config, "data": options.data, "replay": options.replay, "watch": watch(console)}
    tell_result(distill(options.run_folder, out=options.out, **given), options.out, console)
    return 0
