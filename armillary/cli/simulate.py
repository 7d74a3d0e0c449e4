"""armillary simulate: labelled recordings of a twin, as many as wanted, the same for the same manifest."""

from argparse import Namespace

from armillary.cli import options as shared
from armillary.cli.console import Console

SHORT = (
    *("episodes", "steps", "seconds_per_step", "seed", "size", "quality", "cameras", "modalities", "label_columns"),
    *("task", "policy", "demonstrations"),
)


def add(verbs) -> None:
    """Declare the verb and what it can do."""
    epilog = (
        "How far things are varied: --randomise.light 0.5 --randomise.latency-s 0.2 --randomise.camera-deg 0\n"
        "(armillary/worlds/twin/randomise.py has them all). The same manifest gives the same bytes for any number of workers."
    )
    description = "simulate a twin and record it as a labelled LeRobot dataset"
    job = shared.new_verb(verbs, "simulate", simulate_scene, description, takes_settings=True, epilog=epilog)
    job.add_argument(
        "scene",
        nargs="?",
        metavar="SCENE",
        help="tabletop, kitchen, rooms, road, or a physics scene such as dominoes (default: the task's)",
    )
    job.add_argument("--out", required=True, metavar="DATASET", help="the dataset to make")
    job.add_argument("--manifest", metavar="FILE", help="begin with these settings (a dataset's simulation.json); words here win")
    job.add_argument("--workers", type=int, default=1, metavar="W", help="processes that simulate and draw (default: 1)")
    job.add_argument("--ray", action="store_true", help="let Ray run these processes; one of its own starts and ends with the command")
    job.add_argument("--ray-address", metavar="HOST:PORT", help="let the Ray that runs there do it (implies --ray)")
    job.add_argument("--episodes", metavar="N", help="how many (default: 10)")
    job.add_argument("--steps", metavar="T", help="pictures an episode (default: 50); a task ends when it is done")
    job.add_argument("--seconds-per-step", metavar="S", help="from one picture to the next (default: 0.1)")
    job.add_argument("--label-columns", metavar="true|false", help="labels of cameras as columns of the dataset as well (default: false)")
    job.add_argument("--task", metavar="TASK", help="what is done: reach, grasp, pick_place, push, drawer or go_to (default: nothing)")
    job.add_argument(
        "--policy",
        metavar="P",
        help="who does it: expert, random, mimic, or tour: a camera in rooms (default: expert with --task, else random)",
    )
    job.add_argument(
        "--demonstrations", metavar="DATASET", help="carry over what these episodes of the same task show to other places (policy mimic)"
    )
    job.add_argument("--seed", metavar="N", help="decides everything that is random (default: 0)")
    job.add_argument("--size", metavar="PX", help="pixels of a side (default: 128)")
    job.add_argument("--quality", metavar="Q", help="draft, fast or fine (default: fast)")
    job.add_argument("--cameras", metavar="NAMES", help="separated by commas (default: the scene's first)")
    job.add_argument(
        "--modalities", metavar="NAMES", help="rgb and any of depth, segmentation, normals, flow (default: rgb,depth,segmentation)"
    )


def simulate_scene(options: Namespace, console: Console) -> int:
    """The verb."""
    from contextlib import nullcontext
    from pathlib import Path

    from armillary.core import ConfigError, StorageError
    from armillary.core.settings import to_plain
    from armillary.studies import processes, ray_processes
    from armillary.studies.simulate import simulate, try_out

    if options.workers < 1:
        raise ConfigError(f"--workers must be >= 1, received {options.workers}")
    by_ray = options.ray or options.ray_address is not None
    if by_ray:
        ray_processes.check_installed()
    manifest = _manifest(options)
    value = {"out": options.out, "workers": options.workers, "manifest": to_plain(manifest)}
    each = f"the task {manifest.task} in" if manifest.task else f"{manifest.steps} pictures of"
    what = f"{manifest.episodes} episodes of {each} {manifest.scene}"
    if options.dry_run:
        if Path(options.out).exists():
            raise StorageError(f"{options.out} exists already; choose another folder")
        try_out(manifest)
        console.result(value, f"would simulate {what} as {options.out}; nothing was written")
        return 0
    crew = ray_processes.on_ray(options.workers, options.ray_address) if by_ray else nullcontext(processes.in_order)
    with crew as in_order:
        simulate(manifest, options.out, workers=options.workers, in_order=in_order, progress=console.count("simulating episodes"))
    lines = [
        f"{options.out}: {what}; labels in {options.out}/labels, README.md says what they are",
        f"train on it with: armillary train vmc --data {options.out} --out RUN",
        f"make it again with: armillary simulate --manifest {options.out}/simulation.json --out COPY",
    ]
    console.result(value, "\n".join(lines))
    return 0


def _manifest(options: Namespace):
    """The file's manifest, or the default one, with the words of the command on top."""
    from armillary.core import ConfigError
    from armillary.core.settings import override
    from armillary.worlds.twin.manifest import Manifest, read_manifest
    from armillary.worlds.twin.tasks.catalogue import kind_of

    if options.manifest is None and options.scene is None and options.task is None:
        raise ConfigError(
            "which scene? Name one, as in: armillary simulate tabletop --out DATASET; or give --task TASK, or --manifest FILE"
        )
    if options.task and options.scene is None:
        options.scene = kind_of(options.task).scene
    if options.policy is None and (options.task or options.demonstrations):
        options.policy = "mimic" if options.demonstrations else "expert"
    manifest = Manifest(scene=options.scene) if options.manifest is None else read_manifest(options.manifest)
    words = {name: getattr(options, name) for name in ("scene", *SHORT) if getattr(options, name) is not None}
    return override(manifest, words | options.settings)
