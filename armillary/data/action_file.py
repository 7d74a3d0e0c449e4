"""Actions that a person hands in as a file: .npy, .csv or .json, every number checked before anything is done with it."""

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64

from armillary.core.errors import DataError

MAX_FILE_BYTES = 64 << 20


def read_actions(path: Path | str) -> Float32[np.ndarray, "t a"]:
    """The actions of a file, one a row: an array `t a` (.npy), lines of numbers under an optional header (.csv), or a list of rows (.json).

    Pickled objects are never opened. DataError names the file, and where in it (rows and columns count from 0) there is no finite number.
    """
    path = Path(path)
    if path.suffix not in _READERS:
        raise DataError(f"{path} must be one of {', '.join(_READERS)}, with one action a row; received {path.suffix or 'no suffix'}")
    if not path.is_file():
        raise DataError(f"{path}: there is no such file of actions")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise DataError(f"{path} has {path.stat().st_size:,} bytes, at most {MAX_FILE_BYTES:,} are read; cut it into shorter files")
    values = _READERS[path.suffix](path)
    if values.size == 0:
        raise DataError(f"{path} holds no action (shape {values.shape}); give at least one row")
    with np.errstate(over="ignore"):
        actions = np.ascontiguousarray(values, dtype=np.float32)
    wrong = np.argwhere(~np.isfinite(actions))
    if len(wrong):
        row, column = wrong[0].tolist()
        raise DataError(
            f"{path}: row {row}, column {column} holds {float(values[row, column])!r} ({len(wrong)} such numbers in all; counted from 0); "
            "every action must be finite in 32 bits"
        )
    return actions


def _read_npy(path: Path) -> np.ndarray:
    try:
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError, SyntaxError) as error:
        if any(sign in str(error) for sign in ("Python objects", "pickle")):
            what = "pickled objects, which are never opened"
        else:
            what = f"no whole array ({error})"
        raise DataError(f"{path} holds {what}; save plain numbers: np.save(path, actions.astype(np.float32))") from error
    if not isinstance(values, np.ndarray):
        values.close()
        raise DataError(f"{path} is an archive of several arrays (.npz); save one: np.save(path, actions)")
    if values.dtype.kind not in "iuf":
        raise DataError(f"{path} holds {values.dtype}, no numbers; save np.float32")
    if values.ndim != 2:
        hint = "; for actions of one number each: actions.reshape(-1, 1)" if values.ndim == 1 else ""
        raise DataError(f"{path} must have the shape (steps, action size), received {values.shape}{hint}")
    return np.asarray(values)


def _read_csv(path: Path) -> Float64[np.ndarray, "t a"]:
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            lines = [(number, cells) for number, cells in enumerate(csv.reader(file), 1) if any(cell.strip() for cell in cells)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not text of comma-separated numbers ({error})") from error
    if lines and not any(_is_number(cell) for cell in lines[0][1]):
        lines = lines[1:]  # the names of the columns
    return _table(path, [cells for _, cells in lines], where=lambda row: f"line {lines[row][0]}")


def _read_json(path: Path) -> Float64[np.ndarray, "t a"]:
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not valid JSON ({error})") from error
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise DataError(f"{path} must be a list of actions, each a list of numbers, such as [[0.1, 0.2], [0.1, 0.3]]")
    return _table(path, rows, where=lambda row: f"row {row} (counted from 0)")


_READERS: Mapping[str, Callable[[Path], np.ndarray]] = {".npy": _read_npy, ".csv": _read_csv, ".json": _read_json}


def _table(path: Path, rows: Sequence[Sequence[object]], where: Callable[[int], str]) -> Float64[np.ndarray, "t a"]:
    """Rows of equal length as one array. DataError names the first row of another length, and the first cell that is no number."""
    width = len(rows[0]) if rows else 0
    values = np.empty((len(rows), width))
    for number, row in enumerate(rows):
        if len(row) != width:
            raise DataError(f"{path}: {where(number)} has {len(row)} numbers, the first has {width}; every action has the same size")
        for column, cell in enumerate(row):
            if not _is_number(cell):
                raise DataError(f"{path}: {where(number)}, column {column} holds {cell!r}, which is not a number")
            values[number, column] = float(cell)
    return values


def _is_number(cell: object) -> bool:
    """A number, or a text that says one; true and false are none."""
    if isinstance(cell, bool) or not isinstance(cell, str | int | float):
        return False
    try:
        float(cell)
    except (ValueError, OverflowError):
        return False
    return True
