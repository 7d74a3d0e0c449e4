"""The command `armillary`: which verb, and what its end means to the shell.

Exit codes: 0 done, 1 it cannot go on, 2 a wrong command or setting, 3 the data, 4 a run or checkpoint, 5 the disk,
70 a fault of Armillary itself, 130 stopped by Ctrl-C (what was trained is kept).
"""

import argparse
import os
import sys
import traceback
from collections.abc import Sequence

import armillary
from armillary.cli import cost, data, demo, distill, dream, evaluate, info, plan, play, publish, resume, simulate, tokenize, train, twin
from armillary.cli.console import Console
from armillary.cli.options import split_settings, unknown_words

VERBS = (demo, play, data, train, resume, distill, evaluate, dream, plan, publish, tokenize, twin, simulate, cost, info)
WRONG_COMMAND, FAULT, INTERRUPTED = 2, 70, 130
_CODES = {"ConfigError": WRONG_COMMAND, "DataError": 3, "CheckpointError": 4, "StorageError": 5, "InterruptedRun": INTERRUPTED}
_EPILOG = """start here:  armillary demo                      a first world model, from nothing, in six minutes
             armillary demo --data MY_DATASET    the same for the robot in a LeRobot dataset
             armillary play                      walk into a world in the browser

exit codes:  0 done · 1 cannot go on · 2 wrong command or setting · 3 data · 4 run or checkpoint · 5 disk · 70 our fault · 130 Ctrl-C"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    # Before torch is imported: idle threads must sleep, not spin, or two processes on two cores starve one another.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    words = sys.argv[1:] if argv is None else list(argv)
    parser = build_parser()
    others, settings = split_settings(words)
    options, rest = parser.parse_known_args(others)
    if not hasattr(options, "run"):
        parser.print_help()
        return 0
    console = Console(json_only=options.json)
    if not options.takes_settings:
        rest += [f"--{name}" for name in settings]
    if rest:
        console.error(unknown_words(options, rest))
        return WRONG_COMMAND
    options.settings = settings
    options.replay = ["armillary", *(word for word in words if word != "--json")]
    try:
        return options.run(options, console) or 0
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        console.error("stopped at once; what was written before is intact")
        return INTERRUPTED
    except Exception as error:
        return _told(error, options, console)


def build_parser() -> argparse.ArgumentParser:
    """The parser of every verb. Imports nothing heavy."""
    parser = argparse.ArgumentParser(
        prog="armillary",
        description="World models from recordings, each judged by numbers that anyone can run again.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"armillary {armillary.__version__}")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB")
    for verb in VERBS:
        verb.add(verbs)
    return parser


def _told(error: Exception, options: argparse.Namespace, console: Console) -> int:
    """Say in one message what went wrong; the exit code."""
    from armillary.core import ArmillaryError

    if options.debug:
        traceback.print_exc()
    if isinstance(error, ArmillaryError):
        console.error(_message(error))
        return next((_CODES[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in _CODES), 1)
    if isinstance(error, OSError) and error.filename is not None:
        console.error(f"{error.filename}: {error.strerror}; check the path and the disk, then run the same command again")
        return _CODES["StorageError"]
    if isinstance(error, ValueError):
        console.error(f"{error} (--debug shows where this was found)")
        return WRONG_COMMAND
    console.error(f"a fault in Armillary ({type(error).__name__}: {error}); run the command again with --debug and report what it prints")
    return FAULT


def _message(error: Exception) -> str:
    """The words of an error; those of the operating system without their number."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)
