"""metrics.jsonl: one JSON line for every step, written at once, and cut back to the checkpoint when a run goes on."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from armillary.core import CheckpointError
from armillary.core.storage import storage_errors, write_atomically


class MetricsLog:
    """The open metrics.jsonl of a run. Rows after `step` are cut away first, in one atomic move."""

    def __init__(self, path: Path, *, step: int):
        self.path = path
        _cut(path, step)
        with storage_errors(path):
            self._file = open(path, "ab", buffering=0)  # noqa: SIM115 (open as long as the run)
        self._size = path.stat().st_size

    def append(self, row: Mapping[str, object]) -> None:
        """Write one row so that a killed process loses nothing. A row that does not fit on the disk leaves no half line."""
        line = (json.dumps(row, allow_nan=False) + "\n").encode()
        with storage_errors(self.path):
            try:
                written = self._file.write(line)
                while written < len(line):
                    written += self._file.write(line[written:])
            except OSError:
                os.ftruncate(self._file.fileno(), self._size)
                raise
        self._size += len(line)

    def sync(self) -> None:
        """Make every row so far survive power loss."""
        with storage_errors(self.path):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_metrics(path: Path) -> list[dict]:
    """The rows of a metrics.jsonl. A last line that a killed process left unfinished is not a row.

    Raises CheckpointError naming the line when one within is damaged.
    """
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True), start=1):
        if not line.endswith("\n"):
            break
        try:
            row = json.loads(line)
            rows.append({"step": int(row["step"]), **row})
        except (ValueError, TypeError, KeyError) as error:
            raise CheckpointError(f"{path}, line {number} is not a row of a run: {line[:80]!r}; remove that line to go on") from error
    return rows


def _cut(path: Path, step: int) -> None:
    if not path.exists():
        return
    rows = read_metrics(path)
    kept = [row for row in rows if row["step"] <= step]
    text = "".join(json.dumps(row, allow_nan=False) + "\n" for row in kept).encode()
    if text != path.read_bytes():
        write_atomically(path, lambda temporary: temporary.write_bytes(text))
