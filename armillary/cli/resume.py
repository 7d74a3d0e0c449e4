"""armillary resume RUN: go on where a run was killed or stopped; it needs no other word."""

from argparse import Namespace

from armillary.cli import options as shared
from armillary.cli.console import Console
from armillary.cli.train import tell_result, watch


def add(verbs) -> None:
    """Declare the verb."""
    parser = shared.new_verb(verbs, "resume", run, "go on with a run from its latest checkpoint")
    parser.add_argument("run_folder", metavar="RUN", help="the folder that train --out made")
    parser.add_argument("--data", metavar="PATH", help="where the dataset is now, if it was moved")


def run(options: Namespace, console: Console) -> int:
    """Resume, and say where the weights are."""
    from armillary.studies.fit import resume
    from armillary.studies.plans import describe_run

    if options.dry_run:
        state = describe_run(options.run_folder)
        text = f"{options.run_folder}: would go on from step {state['step']} to {state['steps']}; nothing was written"
        console.result({"run": options.run_folder, "step": state["step"], "steps": state["steps"]}, text)
        return 0
    tell_result(resume(options.run_folder, data=options.data, watch=watch(console)), options.run_folder, console)
    return 0
