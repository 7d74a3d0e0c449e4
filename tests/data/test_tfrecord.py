"""TFRecords are read as TensorFlow wrote them, and no damaged one gets past DataError."""

import contextlib
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from armillary.core import DataError
from armillary.data.tfrecord import read_examples


def varint(value: int) -> bytes:
    value, found = value % 2**64, b""
    while value >= 128:
        found, value = found + bytes([value & 127 | 128]), value >> 7
    return found + bytes([value])


def field(number: int, body: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(body)) + body


def example(**columns) -> bytes:
    """The record of tf.train.Example, by the protocol-buffer rules: bytes, packed floats, packed integers."""
    entries = b""
    for name, values in columns.items():
        if isinstance(values[0], bytes):
            feature = field(1, b"".join(field(1, value) for value in values))
        elif isinstance(values[0], float):
            feature = field(2, field(1, np.array(values, "<f4").tobytes()))
        else:
            feature = field(3, field(1, b"".join(varint(value) for value in values)))
        entries += field(1, field(1, name.encode()) + field(2, feature))
    return field(1, entries)


def framed(*records: bytes) -> bytes:
    return b"".join(struct.pack("<QI", len(record), 0) + record + bytes(4) for record in records)


RECORD = example(pictures=[b"one", b""], action=[0.5, -1.0], flag=[1, -2, 300])


def test_reads_bytes_floats_and_integers(tmp_path: Path):
    path = tmp_path / "a.tfrecord"
    path.write_bytes(framed(RECORD, example(action=[2.0])))
    first, second = read_examples(path)
    assert first["pictures"] == [b"one", b""]
    np.testing.assert_array_equal(first["action"], np.float32([0.5, -1.0]))
    np.testing.assert_array_equal(first["flag"], [1, -2, 300])
    assert list(second) == ["action"]


def test_single_numbers_may_be_unpacked(tmp_path: Path):
    floats = field(2, varint(1 << 3 | 5) + struct.pack("<f", 1.5))
    integers = field(3, varint(1 << 3) + varint(7))
    entries = b"".join(field(1, field(1, name) + field(2, one)) for name, one in ((b"x", floats), (b"n", integers)))
    (tmp_path / "a").write_bytes(framed(field(1, entries)))
    (found,) = read_examples(tmp_path / "a")
    assert (found["x"].tolist(), found["n"].tolist()) == ([1.5], [7])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (framed(RECORD)[:-5], "truncated in record 0"),
        (framed(RECORD) + b"abc", "record 1 has no believable length"),
        (struct.pack("<QI", 2**40, 0), "believable length"),
        (framed(field(1, b"\x0a\xff")), "record 0 is damaged"),
        (framed(b"\xff" * 12), "longer than 64 bits"),
        (framed(b"\x0b"), "wire type 3"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, data: bytes, reason: str):
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(DataError, match=reason):
        list(read_examples(tmp_path / "a"))


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, len(RECORD) - 1), value=st.integers(0, 255))
def test_a_changed_byte_is_read_or_refused(tmp_path: Path, place: int, value: int):
    (tmp_path / "a").write_bytes(framed(RECORD[:place] + bytes([value]) + RECORD[place + 1 :]))
    with contextlib.suppress(DataError):
        list(read_examples(tmp_path / "a"))


def test_a_field_that_claims_more_than_there_is_is_refused(tmp_path: Path):
    path = tmp_path / "a.tfrecord"
    path.write_bytes(framed(varint(1 << 3 | 2) + varint(50) + b"short"))
    with pytest.raises(DataError, match="record 0 is damaged"):
        list(read_examples(path))
