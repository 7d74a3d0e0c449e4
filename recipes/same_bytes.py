"""The same manifest, simulated by 1, 2 and 4 workers, and with a worker killed: is it the same dataset, to the last byte?

    python -m recipes.same_bytes [--seeds 3] [--episodes 6] [--quick] [--json]

For each scene and seed, a dataset that one process writes is the reference. The others count as identical when the sha256 over the sorted
paths and the bytes of all their files is the reference's. Killed: the worker that has the middle episode in hand gets SIGKILL at half the
time that an episode takes, by our own processes and by Ray's. "begun_twice" counts the other episodes that were begun more than once. The
control is another seed, which must not be identical. Intervals are Wilson's.
"""

import hashlib
import os
import signal
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from armillary.evaluate.closed_loop_result import wilson
from armillary.studies import processes
from armillary.studies.ray_processes import on_ray
from armillary.studies.simulate import simulate
from armillary.worlds.twin.manifest import Manifest
from benchmarks.rows import finished, parser, publish, row, timed

NAME = "same_bytes"
SCENES = ("tabletop", "dominoes", "rooms")
CONTROL = "control: another seed"
SUBJECTS = ("1 worker again", "2 workers", "4 workers", "2 workers, one killed", "2 workers of Ray, one killed")
MODALITIES = ("rgb", "depth", "segmentation", "normals")
Crew = Callable[..., Iterator[Any]]


def digest(dataset: Path) -> str:
    """The sha256 of every file's path and bytes, in the order of the paths."""
    found = hashlib.sha256()
    for path in sorted(one for one in dataset.rglob("*") if one.is_file()):
        content = path.read_bytes()
        found.update(f"{path.relative_to(dataset).as_posix()}\0{len(content)}\0".encode() + content)
    return found.hexdigest()


def noted(notes: Path, victim: int, after_s: float, work: Callable[[int], Any], piece: int) -> Any:
    """`work(piece)`, with a note that it was begun; the first process that has `victim` in hand is killed after `after_s` seconds."""
    first = not any(notes.glob(f"{piece}-*"))
    (notes / f"{piece}-{uuid.uuid4()}").touch()
    if piece != victim or not first:
        return work(piece)
    threading.Timer(after_s, os.kill, (os.getpid(), signal.SIGKILL)).start()
    work(piece)
    signal.pause()


def one_killed(crew: Crew, notes: Path, after_s: float, work: Callable[[int], Any], count: int, workers: int) -> Iterator[Any]:
    """The crew, of which the process that has the middle piece in hand is killed once."""
    return crew(partial(noted, notes, count // 2, after_s, work), count, workers)


def begun_twice(notes: Path, episodes: int) -> int:
    """How many episodes but the middle one were begun more than once. RuntimeError unless that one was killed once and done again."""
    begun = Counter(int(path.name.partition("-")[0]) for path in notes.iterdir())
    if begun.pop(episodes // 2) != 2:
        raise RuntimeError("the killed episode was not begun exactly twice; nothing was measured")
    return sum(times > 1 for times in begun.values())


def measure(manifest: Manifest, ray_crew: Crew, folder: Path) -> dict:
    """Which subjects wrote the reference's bytes, and how many episodes were begun twice."""
    with timed() as wall:
        reference = digest(simulate(manifest, folder / "reference"))
    half_s, killed = (
        wall["s"] / manifest.episodes / 2,
        {"2 workers, one killed": processes.in_order, "2 workers of Ray, one killed": ray_crew},
    )
    same, twice = {}, {}
    for number, subject in enumerate((*SUBJECTS, CONTROL)):
        notes = folder / f"notes-{number}"
        notes.mkdir()
        crew = partial(one_killed, killed[subject], notes, half_s) if subject in killed else processes.in_order
        wanted = replace(manifest, seed=manifest.seed + 1000) if subject == CONTROL else manifest
        workers = 1 if subject == CONTROL else int(subject[0])
        same[subject] = digest(simulate(wanted, folder / f"data-{number}", workers=workers, in_order=crew)) == reference
        if subject in killed:
            twice[subject] = begun_twice(notes, manifest.episodes)
    return {"scene": manifest.scene, "seed": manifest.seed, "episodes": manifest.episodes, "same": same, "twice": twice}


def measure_seed(seed: int, scenes: tuple[str, ...], episodes: int, steps: int, folder: Path) -> list[dict]:
    """Every scene with this seed."""
    found = []
    with on_ray(2) as ray_crew:
        for scene in scenes:
            work, begin = folder / f"{scene}-{seed}", time.perf_counter()
            work.mkdir(parents=True)
            manifest = Manifest(scene=scene, seed=seed, episodes=episodes, steps=steps, size=64, modalities=MODALITIES)
            found.append(measure(manifest, ray_crew, work))
            print(f"{scene}, seed {seed}: {found[-1]['same']}, {time.perf_counter() - begin:.0f} s", file=sys.stderr)
    return found


def rows(found: list[dict], seeds: int) -> list[dict]:
    """A share of identical datasets for each subject, and of episodes begun twice where one was killed."""
    share = {subject: wilson(sum(one["same"][subject] for one in found), len(found)) for subject in (*SUBJECTS, CONTROL)}
    made = [row(NAME, subject, "identical_bytes", share[subject], seeds=seeds, unit="share of datasets") for subject in share]
    others = sum(one["episodes"] - 1 for one in found)
    for subject in found[0]["twice"]:
        twice = wilson(sum(one["twice"][subject] for one in found), others)
        made.append(row(NAME, subject, "begun_twice", twice, seeds=seeds, unit="share of episodes not killed"))
    return made


def main() -> None:
    """Print the rows."""
    options = parser("recipes.same_bytes", __doc__, seeds=3)
    options.add_argument("--episodes", type=int, default=6, help="of each dataset")
    options.add_argument("--out", type=Path, help="keep the datasets in this folder")
    options = options.parse_args()
    scenes, seeds, episodes, steps = (SCENES[1:2], 1, 3, 3) if options.quick else (SCENES, options.seeds, options.episodes, 8)
    settings, found = {"scenes": scenes, "episodes": episodes, "steps": steps}, []
    with timed() as wall, tempfile.TemporaryDirectory() as temporary:
        for seed in range(seeds):
            made = partial(measure_seed, seed, scenes, episodes, steps, options.out or Path(temporary))
            found += made() if options.quick else finished(NAME, seed, settings, made)
    notes = [
        f"{', '.join(scenes)}; {episodes} episodes of {steps} pictures, {', '.join(MODALITIES)}, 64x64, everything randomised; "
        f"{len(found)} manifests, each compared with what one process wrote",
        "the worker with the middle episode in hand is killed by SIGKILL at half the time of an episode",
    ]
    publish(NAME, rows(found, seeds), options, command="python -m recipes.same_bytes", wall_s=wall["s"], notes=notes)


if __name__ == "__main__":
    main()
