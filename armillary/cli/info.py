"""armillary info [PATH]: what is here, or what a run folder, a released model or a dataset holds."""

from argparse import Namespace
from pathlib import Path

from armillary.cli import options as shared
from armillary.cli.console import Console, size


def add(verbs) -> None:
    """Declare the verb."""
    parser = shared.new_verb(verbs, "info", run, "this installation, or a run folder, a released model or a dataset", writes=False)
    parser.add_argument("path", nargs="?", metavar="PATH", help="a run, a released model or a dataset (default: this installation)")


def run(options: Namespace, console: Console) -> int:
    """Describe it."""
    if options.path is None:
        found = _installation()
    elif (Path(options.path) / "config.json").is_file():
        from armillary.studies.plans import describe_run

        found = describe_run(options.path)
    elif (Path(options.path) / "model_index.json").is_file():  # diffusers' layout
        from armillary.worlds.cosmos.load import describe as describe_released

        found = describe_released(options.path)
    else:
        from armillary.cli.data import describe

        return describe(options.path, console)
    console.result(found, "\n".join(f"{name.replace('_', ' '):<18}{_words(name, value)}" for name, value in found.items()))
    return 0


def _installation() -> dict[str, object]:
    import armillary
    from armillary.data.remembered import cache_folder
    from armillary.policies.catalog import FAMILIES as POLICIES
    from armillary.train.environment import describe_environment
    from armillary.worlds.catalog import FAMILIES, RELEASED, SMALL

    return {
        "armillary": armillary.__version__,
        "families": list(FAMILIES),
        "policies": list(POLICIES),
        "released": list(RELEASED),
        "small_worlds": list(SMALL),
        "cache": str(cache_folder()),
        **describe_environment(),
    }


def _words(name: str, value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{part.replace('_', ' ')} {_words(name, one)}" for part, one in value.items())
    if isinstance(value, list):
        return ", ".join(str(one) for one in value) or "none"
    return size(value) if name.startswith("bytes") else str(value)
