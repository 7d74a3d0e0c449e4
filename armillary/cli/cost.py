"""armillary cost RECIPE --data PATH: what a run will need, before anything runs."""

from argparse import Namespace

from armillary.cli import options as shared
from armillary.cli.console import Console, clock, size


def add(verbs) -> None:
    """Declare the verb."""
    parser = shared.new_verb(
        verbs,
        "cost",
        run,
        "parameters, memory, disk and time of a run, from a short measurement",
        writes=False,
        takes_settings=True,
        epilog=shared.FAMILIES,
    )
    parser.add_argument("recipe", metavar="RECIPE", help="a FAMILY, see below, or a recipe (g1_open_loop)")
    parser.add_argument("--data", required=True, metavar="PATH", help="the dataset")
    shared.add_shorthand(parser)


def run(options: Namespace, console: Console) -> int:
    """Measure a few steps and print what the whole will need."""
    from dataclasses import asdict

    from armillary.studies.plans import estimate_run

    family, config = shared.recipe_config(options.recipe, options)
    cost, cache = estimate_run(family, config, options.data)
    phases = ", ".join(f"{name} {clock(seconds)}" for name, seconds in cost.seconds_by_phase.items())
    lines = [
        f"{options.recipe} on {options.data}, {config.train.steps} steps on {cost.device}",
        f"  parameters   {cost.parameters:,}",
        f"  RAM          {size(cost.ram_bytes)}",
        f"  VRAM         {size(cost.vram_bytes) if cost.vram_bytes else 'none'}",
        f"  disk         {size(cost.disk_bytes)} (frame cache {size(cache.bytes)} of it)",
        f"  time         {clock(cost.seconds)} of training ({phases}), and {clock(cache.seconds)} to decode the recordings once",
    ]
    console.result({"recipe": options.recipe, **asdict(cost), "cache_bytes": cache.bytes, "cache_seconds": cache.seconds}, "\n".join(lines))
    return 0
