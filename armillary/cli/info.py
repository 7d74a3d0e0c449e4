"""armillary info [PATH]: what is here, or what a run folder or a dataset holds."""

from argparse import Namespace
from pathlib import Path

from armillary.cli import options as shared
from armillary.cli.console import Console


def add(verbs) -> None:
    """Declare the verb."""
    parser = shared.new_verb(verbs, "info", run, "this installation, or a run folder, or a dataset", writes=False)
    parser.add_argument("path", nargs="?", metavar="PATH", help="a run folder or a dataset (default: this installation)")


def run(options: Namespace, console: Console) -> int:
    """Describe it."""
    if options.path is None:
        found = _installation()
    elif (Path(options.path) / "config.json").is_file():
        from armillary.studies.plans import describe_run

        found = describe_run(options.path)
    else:
        from armillary.cli.data import describe

        return describe(options.path, console)
    console.result(found, "\n".join(f"{name.replace('_', ' '):<18}{_words(value)}" for name, value in found.items()))
    return 0


def _installation() -> dict[str, object]:
    import armillary
    from armillary.data.remembered import cache_folder
    from armillary.policies.catalog import FAMILIES as POLICIES
    from armillary.train.environment import describe_environment
    from armillary.worlds.catalog import FAMILIES, SMALL

    return {
        "armillary": armillary.__version__,
        "families": list(FAMILIES),
        "policies": list(POLICIES),
        "small_worlds": list(SMALL),
        "cache": str(cache_folder()),
        **describe_environment(),
    }


def _words(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {one}" for name, one in value.items())
    return ", ".join(str(one) for one in value) or "none" if isinstance(value, list) else str(value)
