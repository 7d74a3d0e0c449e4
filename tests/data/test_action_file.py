"""Files of actions: the same numbers from every format, and each fault named with its place, before anything is done."""

import json

import numpy as np
import pytest

from armillary.core import DataError
from armillary.data.action_file import MAX_FILE_BYTES, read_actions

ROWS = [[0.5, -1.0, 2.0], [0.25, 0.0, 1e-3]]
TRUE = np.asarray(ROWS, np.float32)


def write(path, value):
    if path.suffix == ".npy":
        np.save(path, value)
    else:
        path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("a.npy", TRUE),
        ("a.npy", TRUE.astype(np.float64)),
        ("a.npy", np.asfortranarray(TRUE)),
        ("a.json", ROWS),
        ("a.csv", "0.5,-1,2\n0.25,0,1e-3\n"),
        ("a.csv", "shoulder, elbow ,gripper\r\n0.5,-1.0,2\r\n\r\n0.25, 0 ,0.001\r\n"),
        ("a.csv", "\ufeff0.5,-1,2\n0.25,0,0.001"),
    ],
)
def test_every_format_gives_the_same_numbers(tmp_path, name, value):
    found = read_actions(write(tmp_path / name, value))
    assert found.dtype == np.float32 and np.array_equal(found, TRUE)


def test_whole_numbers_are_numbers(tmp_path):
    assert np.array_equal(read_actions(write(tmp_path / "a.npy", np.array([[1, 2]]))), [[1, 2]])
    assert np.array_equal(read_actions(write(tmp_path / "a.json", [[1, 2]])), [[1, 2]])


BAD = np.array([[0.0, 1.0], [2.0, np.nan], [np.inf, 3.0]])


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("a.txt", "1,2", r"one of .npy, .csv, .json.*received .txt"),
        ("a", "1,2", "no suffix"),
        ("a.npy", BAD, r"row 1, column 1 holds nan \(2 such numbers"),
        ("a.npy", np.array([[1e300]]), r"row 0, column 0 holds 1e\+300 .*finite in 32 bits"),
        ("a.csv", "1,2\n3,nan\n", "row 1, column 1 holds nan"),
        ("a.csv", "1,2\n3,-inf\n", "row 1, column 1 holds -inf"),
        ("a.json", "[[1, 2], [NaN, 4]]", "row 1, column 0 holds nan"),
        ("a.json", f"[[1{'0' * 400}]]", "not a number"),
        ("a.npy", np.zeros((0, 3)), r"no action \(shape \(0, 3\)\)"),
        ("a.npy", np.zeros((3, 0)), "no action"),
        ("a.csv", "", "no action"),
        ("a.csv", "shoulder,elbow\n", "no action"),
        ("a.json", [], "no action"),
        ("a.json", [[]], "no action"),
        ("a.npy", np.zeros(3), r"shape \(steps, action size\), received \(3,\); .*reshape\(-1, 1\)"),
        ("a.npy", np.zeros((2, 3, 4)), r"received \(2, 3, 4\)"),
        ("a.npy", np.array([["1", "2"]]), "no numbers"),
        ("a.npy", np.array([[True]]), "bool"),
        ("a.npy", np.array([[1j]]), "complex128"),
        ("a.csv", "1,2\n3\n", "line 2 has 1 numbers, the first has 2"),
        ("a.csv", "x,2\n3,4\n", "line 1, column 0 holds 'x'"),
        ("a.csv", "a,b\n1,2\n3,four\n", "line 3, column 1 holds 'four'"),
        ("a.csv", "1;2\n3;4\n5;6", "line 2, column 0 holds '3;4'"),
        ("a.json", [[1, 2], [3]], r"row 1 \(counted from 0\) has 1 numbers"),
        ("a.json", [[1, "two"]], "'two', which is not a number"),
        ("a.json", [[1, None]], "None, which is not a number"),
        ("a.json", [[1, True]], "True, which is not a number"),
        ("a.json", [1, 2], "a list of actions, each a list"),
        ("a.json", {"actions": [[1, 2]]}, "a list of actions, each a list"),
        ("a.json", "[[1, 2]", "not valid JSON"),
        ("a.json", "[" * 200_000, "not valid JSON"),
    ],
)
def test_faults_are_named_with_their_place(tmp_path, name, value, said):
    with pytest.raises(DataError, match=said):
        read_actions(write(tmp_path / name, value))


class Boom:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was opened",))


@pytest.mark.parametrize("kind", ["object array", "bare pickle"])
def test_pickles_are_never_opened(tmp_path, kind):
    path = tmp_path / "a.npy"
    if kind == "object array":
        np.save(path, np.array([[Boom()]], dtype=object))
    else:
        path.write_bytes(b"cpytest\nfail\n(Va pickle was opened\ntR.")
    with pytest.raises(DataError, match="pickled objects, which are never opened"):
        read_actions(path)


def test_damaged_and_foreign_files(tmp_path):
    whole = write(tmp_path / "a.npy", TRUE).read_bytes()
    for content, said in ((whole[:-4], "no whole array"), (b"", "no whole array"), (whole[:9], "no whole array")):
        (tmp_path / "cut.npy").write_bytes(content)
        with pytest.raises(DataError, match=said):
            read_actions(tmp_path / "cut.npy")
    np.savez(tmp_path / "several.npz", a=TRUE)
    (tmp_path / "several.npz").rename(tmp_path / "several.npy")
    with pytest.raises(DataError, match="archive of several arrays"):
        read_actions(tmp_path / "several.npy")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(DataError, match="not text"):
        read_actions(tmp_path / "binary.csv")
    with pytest.raises(DataError, match="no such file"):
        read_actions(tmp_path / "nowhere.npy")
    with open(tmp_path / "huge.csv", "wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(DataError, match="at most"):
        read_actions(tmp_path / "huge.csv")
