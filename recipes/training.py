"""What the recipes that train share: a run that is finished when it is asked for, and the processor time that it took."""

import time
from collections.abc import Sequence
from pathlib import Path

from armillary.core import ConfigError
from armillary.core.storage import read_json, write_json
from armillary.studies.fit import read_settings, resume, train_family
from armillary.studies.runs import LoadedRun, load_run
from armillary.train.run import RunFolder

PROCESSOR_TIME = "processor_time.json"


def trained(
    family: str, config, *, data: Path, folder: Path, replay: Sequence[str], init: Path | None = None, lora_rank: int = 0
) -> LoadedRun:
    """The run in `folder`: trained now (from the weights of the run `init`), gone on with where it was killed, or loaded where it is
    finished. ConfigError for a run of other settings."""
    steps, done = config.train.steps, _steps_done(folder, config)
    if done != steps:
        started = time.process_time()
        if done is not None:
            resume(folder)
        else:
            train_family(family, data=data, out=folder, config=config, replay=replay, init=init, lora_rank=lora_rank)
        share = (steps - (done or 0)) / steps  # a resumed run is scaled to a whole one
        write_json(folder / PROCESSOR_TIME, {"processor_s": (time.process_time() - started) / share})
    return load_run(folder)


def processor_seconds(run: LoadedRun) -> float:
    """What training took of one core."""
    return read_json(run.path / PROCESSOR_TIME)["processor_s"]


def _steps_done(folder: Path, config) -> int | None:
    """Steps of the run in `folder` so far; None when there is no run."""
    if not (folder / "config.json").exists():
        return None
    run = RunFolder.open(folder)
    if read_settings(run.config)[0] != config:
        raise ConfigError(f"{folder} is a run of other settings than are asked for; give another --out, or move it away")
    rows = run.metrics()
    return rows[-1]["step"] if rows else 0
