"""The parquet rows of one episode: reading them, and checking every column."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from armillary.core.errors import DataError
from armillary.data.listing_v3 import read_parquet
from armillary.data.metadata import Listed
from armillary.data.report import Fault
from armillary.data.schema import ACTION, BOOKKEEPING, NUMERIC, REWARD, STATE, Feature

# LeRobot refuses rows whose time is further than this from frame_index / fps.
TIME_TOLERANCE_S = 1e-4
FROM_SOURCE = "restore the file from its source, or let `armillary data doctor --repair` leave this episode out"
MADE_ANEW = "`armillary data doctor --repair` writes it anew"


class RowReader:
    """Reads episodes' rows; a file that several episodes share is kept in memory while they are read in order."""

    def __init__(self, root: Path, shared_files: bool):
        self.root = root
        self.shared_files = shared_files
        self._last: tuple[str, pa.Table | None] = ("", None)

    def read(self, listed: Listed) -> pa.Table:
        """The rows of an episode. Raises DataError naming the file when it is missing or unreadable."""
        file, table = self._last
        if table is None or file != listed.data_file:
            table = read_parquet(self.root, listed.data_file)
            self._last = (listed.data_file, table)
        if self.shared_files and "episode_index" in table.column_names:
            table = table.filter(pc.equal(table["episode_index"], listed.index))
        return table


def numbers(table: pa.Table, feature: Feature) -> np.ndarray:
    """A numeric column as `t size`, in the type in which it is stored.

    Raises DataError that says what is wrong: no such column, a missing value, rows of another length, another type.
    """
    values, size = _flat(table, feature.key)
    if size != feature.size:
        raise DataError(f"rows of {size} numbers")
    return values.reshape(len(table), size)


def as_stored(table: pa.Table, feature: Feature) -> Feature:
    """The feature with the size that its rows really have."""
    if feature.dtype not in NUMERIC:
        return feature
    try:
        size = _flat(table, feature.key)[1]
    except DataError:
        return feature
    return feature if size == feature.size else Feature(key=feature.key, dtype=feature.dtype, shape=(size,))


def _flat(table: pa.Table, key: str) -> tuple[np.ndarray, int]:
    """All numbers of a column, one row after another, and how many there are in a row."""
    if key not in table.column_names:
        raise DataError("no such column")
    column = table[key].combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    size = 1
    while True:
        if column.null_count:
            raise DataError(f"{column.null_count} missing values")
        if pa.types.is_fixed_size_list(column.type):
            size *= column.type.list_size
        elif pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
            lengths = pc.unique(pc.list_value_length(column)).to_pylist()
            if len(lengths) > 1:
                raise DataError(f"rows of {sorted(lengths)[:5]} numbers")
            size *= lengths[0] if lengths else 1
        else:
            break
        column = column.flatten()
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_boolean(column.type)):
        raise DataError(f"values of type {column.type}")
    return np.asarray(column.to_numpy(zero_copy_only=False)), size


def check_rows(listed: Listed, table: pa.Table, features: Mapping[str, Feature], fps: float, tasks: Mapping[int, str]) -> list[Fault]:
    """Everything wrong with an episode's rows."""
    faults: list[Fault] = []

    def fault(kind: str, expected: object, found: object, fix: str = FROM_SOURCE) -> None:
        faults.append(Fault(kind=kind, file=listed.data_file, expected=str(expected), found=str(found), fix=fix))

    if len(table) != listed.length:
        fault("number of rows", listed.length, len(table))
    if len(table) == 0:
        return faults
    columns = {}
    for key, feature in features.items():
        if feature.dtype in NUMERIC:
            try:
                columns[key] = numbers(table, feature)
            except DataError as error:
                fault(f"column {key!r}", f"rows of {feature.size} numbers", error, MADE_ANEW if key in BOOKKEEPING else FROM_SOURCE)
        elif feature.dtype == "string" and key not in table.column_names:
            fault(f"column {key!r}", "text", "no such column")
    for key in (ACTION, STATE, REWARD):
        if key in columns and columns[key].dtype.kind == "f":
            bad = np.argwhere(~np.isfinite(columns[key]))
            if len(bad):
                row, place = bad[0]
                fault(f"{key} not finite", "finite numbers", f"{columns[key][row, place]} in row {row}, number {place} ({len(bad)} in all)")
    _check_bookkeeping(table, features, fps, listed, tasks, fault)
    return faults


def _check_bookkeeping(
    table: pa.Table, features: Mapping[str, Feature], fps: float, listed: Listed, tasks: Mapping[int, str], fault
) -> None:
    for key, dtype in BOOKKEEPING.items():
        if key not in features:
            what = "no such feature" if key not in table.column_names else "not in features"
            fault(f"column {key!r}", f"{dtype}, as every LeRobot dataset has it", what, MADE_ANEW)

    def read(key: str) -> np.ndarray | None:
        try:
            return numbers(table, Feature(key=key, dtype=BOOKKEEPING[key], shape=(1,)))[:, 0]
        except DataError:
            return None

    times = read("timestamp")
    if times is not None:
        _check_times(times.astype(np.float64), float(np.spacing(np.float32(np.abs(times).max()))), fps, fault)
    for key, expected in (("frame_index", np.arange(len(table))), ("episode_index", np.full(len(table), listed.index))):
        found = read(key)
        if found is not None and (found != expected).any():
            row = int(np.flatnonzero(found != expected)[0])
            fault(key, f"{expected[row]} in row {row}", found[row])
    task = read("task_index")
    if task is not None and tasks:
        unknown = sorted(set(task.tolist()) - set(tasks))
        if unknown:
            fault("task_index", f"one of {sorted(tasks)[:10]}", unknown[:5])


def _check_times(times: np.ndarray, resolution: float, fps: float, fault) -> None:
    if not np.isfinite(times).all():
        fault("timestamps", "finite seconds", "NaN or infinity")
        return
    steps = np.arange(len(times)) / fps
    tolerance = TIME_TOLERANCE_S + 2 * resolution
    drift = np.abs(times - times[0] - steps)
    if drift.max() > tolerance:
        row = int(np.flatnonzero(drift > tolerance)[0])
        expected = f"row {row} at {times[0] + steps[row]:.4f} s ({fps:g} a second)"
        fault("timestamps drift", expected, f"{times[row]:.4f} s; {drift.max():.4f} s off at the worst")
    elif abs(times[0]) > tolerance:
        fault("timestamps start", "0 s", f"{times[0]:.4f} s", "`armillary data doctor --repair` pairs row t with frame t and starts at 0")
