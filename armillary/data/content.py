"""The content hash of an episode: sha256 of what was recorded, the same however a format version lays it out in files."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa

from armillary.core.errors import DataError
from armillary.data.rows import numbers
from armillary.data.schema import BOOKKEEPING, NUMERIC, Feature


class ContentHash:
    """Rate and tasks first, then the rows, then each camera's packets in the order of their names."""

    def __init__(self, fps: float, tasks: Iterable[str]):
        self._digest = hashlib.sha256(json.dumps([float(fps), sorted(tasks)]).encode())

    def add_rows(self, table: pa.Table, features: Mapping[str, Feature]) -> None:
        """Every recorded column in its declared type; bookkeeping is left out, and so is a column that cannot be read."""
        for key in sorted(set(features) & set(table.column_names) - set(BOOKKEEPING)):
            feature = features[key]
            if feature.dtype in NUMERIC:
                try:
                    column = np.ascontiguousarray(numbers(table, feature).astype(feature.dtype))
                except DataError:
                    continue
                self._digest.update(json.dumps([key, feature.dtype, column.shape]).encode())
                self._digest.update(column.tobytes())
            elif feature.dtype != "video":
                self._digest.update(json.dumps([key, feature.dtype, table[key].to_pylist()], default=_plain).encode())

    def add_video(self, camera: str, packets_hash: str) -> None:
        """The packets of one camera (`VideoTrack.hash_packets`)."""
        self._digest.update(json.dumps([camera, packets_hash]).encode())

    def hexdigest(self) -> str:
        """The hash so far."""
        return self._digest.hexdigest()


def file_sha256(path: Path | str) -> str:
    """sha256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _plain(value: object) -> str:
    return hashlib.sha256(value).hexdigest() if isinstance(value, bytes) else str(value)
