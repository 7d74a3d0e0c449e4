"""The run folder: everything about one training run, and the one process that may write to it."""

import fcntl
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from armillary.core import CheckpointError, ConfigError, StorageError
from armillary.core.storage import TEMPORARY_PREFIX, read_json, storage_errors, sweep_temporary, write_json, write_text
from armillary.train import distributed
from armillary.train.card import model_card
from armillary.train.checkpoint import find_checkpoint, sweep_checkpoints
from armillary.train.environment import describe_environment
from armillary.train.metrics_log import read_metrics

_LOCK = "writer.lock"


class RunFolder:
    """config.json, environment.json, split.json, metrics.jsonl, checkpoints/, tensorboard/ and MODEL_CARD.md of one run.

    Made by `create` (a new run, which this process writes) or `open` (to read, or with `write=True` to go on). What a
    killed writer left half done is swept away at opening, unless another process is writing.
    """

    def __init__(self, path: Path, lock: int | None):
        self.path = path
        self._lock = lock

    @classmethod
    def create(cls, path: Path | str, *, family: str, config: Mapping[str, object], replay: Sequence[str], seed: int) -> "RunFolder":
        """Make a run folder; `config` is what config.json holds beside `family`, `seed` and `replay`.

        Raises ConfigError when the folder holds a run, or anything else, already. Under torchrun rank 0 makes it
        (inside an open `distributed.session`) and the others open it.
        """
        path = Path(path)
        if distributed.rank() == 0:
            run = cls._create(path, {"family": family, "seed": seed, "replay": list(replay), **config})
        distributed.wait_for_all()
        return run if distributed.rank() == 0 else cls(path, None)

    @classmethod
    def _create(cls, path: Path, config: dict) -> "RunFolder":
        if (path / "config.json").exists():
            raise ConfigError(f"{path} holds a run already; go on with `armillary resume {path}` or choose another --out")
        if path.is_file() or (path.is_dir() and any(not _left_by_killed_create(entry) for entry in path.iterdir())):
            raise ConfigError(f"{path} is not empty and not a run; choose another --out")
        with storage_errors(path):
            path.mkdir(parents=True, exist_ok=True)
        run = cls(path, _acquire(path, must=True))
        run._sweep()
        environment = describe_environment()
        write_json(path / "environment.json", environment)
        write_text(path / "MODEL_CARD.md", model_card(config, environment, {}))
        write_json(path / "config.json", config)
        return run

    @classmethod
    def open(cls, path: Path | str, *, write: bool = False) -> "RunFolder":
        """Open a run. Raises CheckpointError when it is none, and with `write` StorageError when another process is writing it."""
        path = Path(path)
        if not (path / "config.json").is_file():
            raise CheckpointError(f"{path} is not a run folder: it has no config.json; give the folder that `armillary train --out` made")
        lock = _acquire(path, must=write) if distributed.rank() == 0 else None
        run = cls(path, lock)
        if lock is not None:
            run._sweep()
            if not write:
                run.close()
        return run

    @property
    def config(self) -> dict:
        """What config.json says."""
        return read_json(self.path / "config.json")

    @property
    def metrics_path(self) -> Path:
        """The file with one line a step."""
        return self.path / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.path / "checkpoints"

    def checkpoint(self, which: str = "latest") -> Path | None:
        """The folder of the `latest` or the `best` checkpoint, or None before there is one."""
        return find_checkpoint(self.checkpoints, which)

    def weights(self, which: str = "best") -> Path:
        """The safetensors file with the weights to use; `best` means `latest` while nothing was validated."""
        folder = self.checkpoint(which) or self.checkpoint("latest")
        if folder is None:
            raise CheckpointError(f"{self.path} has no checkpoint yet; run `armillary resume {self.path}` first")
        return folder / "model.safetensors"

    def metrics(self) -> list[dict]:
        """The rows of metrics.jsonl so far."""
        return read_metrics(self.metrics_path) if self.metrics_path.exists() else []

    def write(self, name: str, value: object) -> None:
        """Write one more JSON file into the run (split.json, say)."""
        if distributed.rank() == 0:
            write_json(self.path / name, value)

    def write_card(self, results: Mapping[str, object]) -> None:
        """Write MODEL_CARD.md anew with measured results."""
        environment = read_json(self.path / "environment.json")
        write_text(self.path / "MODEL_CARD.md", model_card(self.config, environment, results))

    def require_writer(self) -> None:
        """Raise StorageError unless this process holds the right to write."""
        if self._lock is None and distributed.rank() == 0:
            raise StorageError(f"{self.path} was opened to read; open it with RunFolder.open(path, write=True) to train")

    def close(self) -> None:
        """Give up the right to write."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> "RunFolder":
        return self

    def __exit__(self, *error) -> None:
        self.close()

    def _sweep(self) -> None:
        sweep_temporary(self.path)
        if self.checkpoints.exists():
            sweep_checkpoints(self.checkpoints)


def _acquire(path: Path, *, must: bool) -> int | None:
    """Take the lock of a run; the kernel gives it back when the process dies, however it dies."""
    with storage_errors(path):
        try:
            descriptor = os.open(path / _LOCK, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if must else 0), 0o644)
        except OSError:
            if must:
                raise
            return None
    for patience in (0.05,) * (20 if must else 0) + (0.0,):  # a reader that sweeps holds the lock for a moment
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(patience)
            continue
        if must:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        return descriptor
    holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
    os.close(descriptor)
    if must:
        raise StorageError(f"{path} is being written by process {holder or '?'}; wait for it to end or choose another --out")
    return None


def _left_by_killed_create(entry: Path) -> bool:
    return entry.name in (_LOCK, "environment.json", "MODEL_CARD.md") or entry.name.startswith(TEMPORARY_PREFIX)
