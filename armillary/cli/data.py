"""armillary data (record | add | info | convert | merge | export | doctor): datasets made, looked at, and made right."""

from argparse import Namespace
from dataclasses import asdict

from armillary.cli import data_export
from armillary.cli import options as shared
from armillary.cli.console import Console


def add(verbs) -> None:
    """Declare the verb and what it can do."""
    parser = verbs.add_parser("data", help="record, add, look at, convert, merge, export and repair LeRobot datasets", allow_abbrev=False)
    jobs = parser.add_subparsers(title="jobs", metavar="JOB", required=True)
    _add_record(jobs)
    job = shared.new_verb(jobs, "add", add_dataset, "validate a dataset and copy it into a library, with a hash of every file")
    job.add_argument("source", metavar="SRC")
    job.add_argument("library", metavar="LIBRARY", help="the folder that holds the library; made if it is not there")
    job.add_argument("--name", help="the dataset's name in the library (default: its folder's)")
    job = shared.new_verb(jobs, "info", show, "what a dataset holds, and which episodes cannot be used", writes=False)
    job.add_argument("path", metavar="PATH")
    job = shared.new_verb(jobs, "convert", convert_dataset, "write a LeRobot v3 copy of a v2.0, v2.1 or v3 dataset")
    job.add_argument("source", metavar="SRC")
    job.add_argument("destination", metavar="DST")
    job = shared.new_verb(jobs, "merge", merge_datasets, "write several datasets of one robot as one")
    job.add_argument("sources", nargs="+", metavar="SRC")
    job.add_argument("destination", metavar="DST")
    data_export.add(jobs)
    job = shared.new_verb(jobs, "doctor", doctor, "find what is wrong with a dataset; --repair writes a correct copy")
    job.add_argument("path", metavar="PATH")
    job.add_argument(
        "--repair",
        nargs="?",
        const="",
        metavar="COPY",
        help="write a correct copy (default: PATH-repaired); a killed recording is finished in place",
    )
    job.add_argument("--deep", action="store_true", help="decode every video too")


def _add_record(jobs) -> None:
    epilog = "What the world is like: --layout.wall-x-m random --layout.theme midnight (armillary/worlds/small/README.md has them all)"
    job = shared.new_verb(
        jobs, "record", record_world, "record a small world as a LeRobot dataset to train on", takes_settings=True, epilog=epilog
    )
    job.add_argument("--env", required=True, metavar="NAME", help="two-rooms, pusher, bouncing-balls or platformer")
    job.add_argument("--out", required=True, metavar="DIR", help="the dataset to make")
    job.add_argument("--episodes", type=int, default=60, metavar="N", help="how many (default: 60)")
    job.add_argument("--steps", type=int, default=80, metavar="N", help="frames an episode, ten a second (default: 80)")
    job.add_argument("--size", type=int, default=64, metavar="N", help="pixels of a side (default: 64)")
    job.add_argument("--policy", default="mixed", metavar="NAME", help="mixed (scripted and random in turn) or uniform (random actions)")
    job.add_argument("--no-goal", action="store_true", help="leave the goal out of the pictures: what a JEPA is best trained on")
    job.add_argument(
        "--events", nargs="*", default=[], metavar="TEXT", help='what happens now and then, captioned: rain, night, "a wall appears"'
    )
    job.add_argument("--seed", type=int, default=0, metavar="N", help="decides everything")


def record_world(options: Namespace, console: Console) -> int:
    """data record."""
    from armillary.core import ConfigError
    from armillary.studies.layout import split_layout
    from armillary.studies.recording import Recording, record

    layout, others = split_layout(options.settings)
    if others:
        raise ConfigError(f"there is no setting {next(iter(others))}; a recording has --layout.NAME VALUE only")
    recording = Recording(
        env=options.env,
        num_episodes=options.episodes,
        num_steps=options.steps,
        seed=options.seed,
        size=options.size,
        policy=options.policy,
        show_goal=not options.no_goal,
        layout=layout,
        events=tuple(options.events),
    )
    value = asdict(recording) | {"out": options.out}
    what = f"{options.episodes} episodes of {options.steps} frames of {options.env}"
    if options.dry_run:
        recording.episodes()
        console.result(value, f"would record {what} as {options.out}; nothing was written")
        return 0
    record(recording, options.out, console.count("recording episodes"))
    console.result(value, f"{options.out}: {what}\ntrain on it with: armillary train jepa --data {options.out} --out RUN")
    return 0


def describe(path: str, console: Console) -> int:
    """A dataset in words."""
    from armillary.data.dataset import open_dataset

    dataset = open_dataset(path, progress=console.count("checking episodes"))
    known = dataset.info
    value = {
        "path": str(path),
        "version": known.version,
        "robot": known.robot_type,
        "fps": known.fps,
        "cameras": list(known.camera_keys),
        "action_size": known.action_size,
        "state_size": known.state_size,
        "tasks": list(known.tasks),
        "episodes": len(dataset.episodes),
        "frames": sum(record.length for record in dataset.episodes),
        "quarantined": [asdict(one) for one in dataset.quarantined],
        "notes": list(dataset.notes),
    }
    minutes = value["frames"] / known.fps / 60
    lines = [
        f"{path}: LeRobot {known.version}, robot {known.robot_type}, {known.fps:g} frames a second",
        f"  {value['episodes']} usable episodes, {value['frames']} frames, {minutes:.1f} minutes; {len(dataset.quarantined)} quarantined",
        f"  cameras  {', '.join(known.camera_keys) or 'none'}",
        f"  action   {known.action_size} numbers; state {known.state_size or 'none'}",
        *(f"  task     {task}" for task in known.tasks[:5]),
        *(f"  quarantined: {one}" for one in dataset.quarantined),
        *(f"  note: {note}" for note in dataset.notes),
    ]
    console.result(value, "\n".join(lines))
    return 0


def show(options: Namespace, console: Console) -> int:
    """data info."""
    return describe(options.path, console)


def add_dataset(options: Namespace, console: Console) -> int:
    """data add."""
    from armillary.data.library import add

    if options.dry_run:
        return _dry_run([options.source], options.library, "copied into the library", console)
    found = add(options.source, options.library, name=options.name, progress=console.count("copying files"))
    state = "was already there" if found.already_there else "added"
    lines = [f"{found.path}: {state}; {found.episodes} episodes, content {found.content_hash[:16]}"]
    lines += [f"  quarantined: {one}" for one in found.quarantined]
    console.result(asdict(found), "\n".join(lines))
    return 0


def convert_dataset(options: Namespace, console: Console) -> int:
    """data convert."""
    from armillary.data.convert import convert

    if options.dry_run:
        return _dry_run([options.source], options.destination, "written as LeRobot v3", console)
    return _written(convert(options.source, options.destination, progress=console.count("converting episodes")), console)


def merge_datasets(options: Namespace, console: Console) -> int:
    """data merge."""
    from armillary.data.merge import merge

    if options.dry_run:
        return _dry_run(options.sources, options.destination, "written as one LeRobot v3 dataset", console)
    return _written(merge(options.sources, options.destination, progress=console.count("merging episodes")), console)


def doctor(options: Namespace, console: Console) -> int:
    """data doctor: 0 when nothing is wrong or it was repaired, 3 otherwise."""
    from armillary.data.doctor import examine, repair

    progress = console.count("checking episodes")
    if options.repair is None or options.dry_run:
        report = examine(options.path, deep=options.deep, progress=progress)
        console.result(report.to_json(), str(report))
        return 0 if report.ok else 3
    found = repair(options.path, options.repair or None, deep=options.deep, progress=progress)
    if found is None:
        console.result({"path": options.path, "job": "finish"}, f"{options.path}: nothing is left to repair; every saved episode is there")
        return 0
    return _written(found, console)


def _written(found, console: Console) -> int:
    console.result(found.to_json(), str(found))
    return 0


def _dry_run(sources: list[str], destination: str, what: str, console: Console) -> int:
    from armillary.data.dataset import open_dataset

    opened = [open_dataset(source, remember=False) for source in sources]
    count = sum(len(dataset.episodes) for dataset in opened)
    left_out = [str(one) for dataset in opened for one in dataset.quarantined]
    lines = [f"{count} episodes would be {what} at {destination}; nothing was written", *(f"  faulty: {one}" for one in left_out)]
    console.result({"episodes": count, "faulty": left_out, "destination": destination}, "\n".join(lines))
    return 0
