"""TFRecord files of `tf.train.Example` records, as RLDS datasets store their episodes: read without TensorFlow.

A record is its length (8 bytes), a checksum of it (4), the bytes, and their checksum (4). The bytes are protocol-buffer fields:
Example {1: Features {1: map of name to Feature {1: list of bytes, 2: list of floats, 3: list of integers}}}. Every length is
checked against what is there, so that a stranger's file can do no more than raise DataError. Checksums are not looked at.
"""

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from armillary.core.errors import DataError

MAX_RECORD_BYTES = 256 * 2**20
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT = 10

Column = list[bytes] | np.ndarray


def read_examples(path: Path | str) -> Iterator[Mapping[str, Column]]:
    """The columns of each record by name: a list of bytes, or an array of float32 or int64. DataError names file and record."""
    for number, record in enumerate(_records(Path(path))):
        try:
            yield _example(record)
        except (LookupError, TypeError, AttributeError, ValueError, struct.error) as error:
            raise DataError(f"{path}: record {number} is damaged ({error}); copy the file again from its source") from error


def _records(path: Path) -> Iterator[bytes]:
    with open(path, "rb") as handle:
        number = 0
        while header := handle.read(12):
            length = struct.unpack_from("<Q", header)[0] if len(header) == 12 else -1
            if not 0 <= length <= MAX_RECORD_BYTES:
                raise DataError(f"{path}: record {number} has no believable length ({length}); it is not a TFRecord file, or is damaged")
            record = handle.read(length + 4)
            if len(record) != length + 4:
                raise DataError(f"{path} is truncated in record {number}; copy the file again from its source")
            yield record[:length]
            number += 1


def _example(record: bytes) -> dict[str, Column]:
    columns = {}
    for features in _children(record, 1):
        for entry in _children(features, 1):
            parts = dict(_fields(entry))
            columns[parts[1].decode()] = _column(parts.get(2, b""))
    return columns


def _column(feature: bytes) -> Column:
    kind, body = next(_fields(feature), (1, b""))
    if kind == 1:
        return list(_children(body, 1))
    if kind == 2:
        packed = b"".join(value for number, value in _fields(body) if number == 1)
        return np.frombuffer(packed, "<f4").astype(np.float32)
    if kind == 3:
        return np.array([value for number, part in _fields(body) if number == 1 for value in _integers(part)], np.int64)
    raise ValueError(f"a feature of the unknown kind {kind}")


def _children(data: bytes, wanted: int) -> Iterator[bytes]:
    for number, value in _fields(data):
        if number == wanted:
            if isinstance(value, int):
                raise ValueError(f"field {number} should hold bytes")
            yield value


def _fields(data: bytes) -> Iterator[tuple[int, bytes | int]]:
    """(number, value) of each field: bytes, or the integer of a varint."""
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, position = _varint(data, position)
            yield number, value
            continue
        if wire == _BYTES:
            length, position = _varint(data, position)
        elif wire in (_FIXED64, _FIXED32):
            length = 8 if wire == _FIXED64 else 4
        else:
            raise ValueError(f"a field of the unknown wire type {wire}")
        if length > len(data) - position:
            raise ValueError(f"a field of {length} bytes where {len(data) - position} are left")
        yield number, data[position : position + length]
        position += length


def _integers(part: bytes | int) -> list[int]:
    """The integers of one field, packed or single; the two's complement of 64 bits."""
    values, position = [], 0
    if isinstance(part, int):
        values = [part]
    else:
        while position < len(part):
            value, position = _varint(part, position)
            values.append(value)
    return [value - 2**64 if value >= 2**63 else value for value in values]


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = 0
    for place in range(_LONGEST_VARINT):
        byte = data[position + place]
        value |= (byte & 127) << (7 * place)
        if byte < 128:
            if value >= 2**64:
                break
            return value, position + place + 1
    raise ValueError("an integer longer than 64 bits")
