"""Kill training with kill -9 at random instants and resume it: is the resumed run the unbroken one, to the last bit?

    python -m recipes.kill_and_resume [--data PATH] [--seeds 4] [--points 5] [--steps 24] [--quick] [--json]

For each seed one unbroken run of V-M-C through the command line is the reference. Then `--points` times a new run is killed at
an instant drawn uniformly between the making of its folder and its end, and `armillary resume RUN` finishes it. A point counts
as identical when every number of metrics.jsonl but the seconds, and the bytes of the last weights, are those of the reference.
The interval is Wilson's. `--quick`: one kill of a run of a few steps.
"""

import math
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

from armillary.core import Estimate
from armillary.core.storage import TEMPORARY_PREFIX
from armillary.train import RunFolder
from benchmarks.rows import ROOT, UNFINISHED, finished, parser, publish, row, timed

DATA = ROOT.parent / "shared" / "data" / "g1_inspire_lerobot21_160x120"
NAME = "kill_and_resume"


def command(*arguments: str) -> subprocess.Popen:
    """`armillary ...` in a process of its own, quiet, with one thread that does not spin."""
    environment = {"OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": "1"} | os.environ
    whole = [sys.executable, "-m", "armillary", *arguments]
    return subprocess.Popen(whole, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen) -> None:
    """Wait for a command that must end well."""
    _, errors = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{' '.join(process.args)} ended with {process.returncode}:\n{errors}")


def begin(data: Path, run: Path, steps: int, seed: int) -> subprocess.Popen:
    """Begin a new run that checkpoints often, and wait until its folder can be resumed."""
    shutil.rmtree(run, ignore_errors=True)
    settings = {"--data": data, "--out": run, "--seed": seed, "--steps": steps, "--checkpoint-every": max(2, steps // 8)}
    process = command("train", "vmc", *(str(part) for pair in settings.items() for part in pair))
    while not (run / "config.json").exists() and process.poll() is None:
        time.sleep(0.01)
    return process


def killed_and_resumed(data: Path, path: Path, steps: int, seed: int, reference: RunFolder, duration_s: float, draw: random.Random) -> dict:
    """Kill a new run at a random instant, resume it and compare."""
    while True:
        process = begin(data, path, steps, seed)
        time.sleep(draw.uniform(0.0, duration_s))
        process.kill()
        _, errors = process.communicate()
        if process.returncode < 0:
            break
        if process.returncode > 0:
            raise RuntimeError(f"{' '.join(process.args)} ended with {process.returncode}:\n{errors}")
    rows_at_kill = len(RunFolder.open(path).metrics())
    finish(command("resume", str(path)))
    run = RunFolder.open(path)
    same = numbers(run) == numbers(reference) and run.weights("latest").read_bytes() == reference.weights("latest").read_bytes()
    left = sum(1 for _ in path.rglob(f"{TEMPORARY_PREFIX}*"))
    shutil.rmtree(path)
    return {"rows_at_kill": rows_at_kill, "identical": same, "temporary_files": left}


def numbers(run: RunFolder) -> list[dict]:
    """Every row of metrics.jsonl without the seconds, which no two runs share."""
    return [{key: value for key, value in row.items() if key != "seconds"} for row in run.metrics()]


def measure(data: Path, work: Path, seed: int, *, points: int, steps: int) -> list[dict]:
    """The unbroken run of a seed, and every point beside it."""
    process = begin(data, work / "unbroken", steps, seed)
    started = time.perf_counter()
    finish(process)
    duration_s, reference, draw = time.perf_counter() - started, RunFolder.open(work / "unbroken"), random.Random(seed)
    found = []
    for number in range(points):
        found.append(killed_and_resumed(data, work / f"point{number}", steps, seed, reference, duration_s, draw))
        print(f"seed {seed}, point {number + 1} of {points}: {found[-1]}", file=sys.stderr)
    return found


def wilson(successes: int, count: int) -> Estimate:
    """A share with its 95 % interval (Wilson 1927)."""
    z, share = 1.959964, successes / count
    centre, scale = share + z * z / (2 * count), 1 + z * z / count
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return Estimate(value=share, low=max(0.0, (centre - half) / scale), high=min(1.0, (centre + half) / scale), n=count)


def main() -> None:
    """Print the rows."""
    options = parser("recipes.kill_and_resume", __doc__, seeds=4)
    options.add_argument("--data", type=Path, default=DATA, help="any LeRobot dataset")
    options.add_argument("--points", type=int, default=5, help="kills for each seed")
    options.add_argument("--steps", type=int, default=24, help="steps of each run")
    options = options.parse_args()
    points, steps, seeds = (1, 6, 1) if options.quick else (options.points, options.steps, options.seeds)
    settings = {"data": options.data.resolve(), "points": points, "steps": steps}
    done = []
    with timed() as wall:
        for seed in range(seeds):
            work = UNFINISHED / NAME / f"seed-{seed}"
            done += finished(
                NAME, seed, settings, lambda seed=seed, work=work: measure(settings["data"], work, seed, points=points, steps=steps)
            )
    share = wilson(sum(point["identical"] for point in done), len(done))
    left = float(sum(point["temporary_files"] for point in done))
    rows = [
        row(NAME, "vmc", "resumed_bit_identical", share, seeds=seeds, unit="share of kills"),
        row(NAME, "vmc", "temporary_files_left", Estimate(value=left, low=left, high=left, n=len(done)), seeds=seeds, unit="files"),
    ]
    publish(NAME, rows, options, command="python -m recipes.kill_and_resume", wall_s=wall["s"])


if __name__ == "__main__":
    main()
