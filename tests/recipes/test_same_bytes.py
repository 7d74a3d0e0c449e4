"""The study of same bytes: it sees one changed byte, it kills what it says, and a dataset that differs is counted."""

from functools import partial

import pytest

pytest.importorskip("mujoco", reason="twins need the extra of that name")

from armillary.worlds.twin.manifest import Manifest
from recipes import same_bytes
from recipes.same_bytes import CONTROL, SUBJECTS, begun_twice, digest, measure, rows

KILLED = "2 workers, one killed"


def test_the_digest_sees_a_byte_a_name_and_where_a_file_ends(tmp_path):
    def made(name: str, files: dict[str, bytes]) -> str:
        for path, content in files.items():
            (tmp_path / name / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / path).write_bytes(content)
        return digest(tmp_path / name)

    whole = made("a", {"x/one": b"12", "two": b"3"})
    assert made("b", {"two": b"3", "x/one": b"12"}) == whole
    others = [{"x/one": b"12", "two": b"4"}, {"x/one": b"1", "two": b"23"}, {"x/on": b"12", "two": b"3"}, {"x/one": b"12"}]
    assert len({whole, *(made(f"other{number}", files) for number, files in enumerate(others))}) == 5


def test_episodes_begun_twice_are_counted_and_a_kill_that_missed_is_told(tmp_path):
    for name in ("0-a", "1-a", "1-b", "2-a", "2-b", "3-a", "4-a"):
        (tmp_path / name).touch()
    assert begun_twice(tmp_path, 5) == 1, "the middle one was killed; the other is begun twice"
    with pytest.raises(RuntimeError, match="not begun exactly twice"):
        begun_twice(tmp_path, 6)


def test_the_smallest_case_is_identical_and_the_control_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(same_bytes, "SUBJECTS", (KILLED,))
    smallest = Manifest(scene="gyroscope", episodes=3, steps=2, size=16, quality="draft")
    found = measure(smallest, partial(pytest.fail, "no Ray here"), tmp_path)
    assert found["same"] == {KILLED: True, CONTROL: False} and found["twice"] == {KILLED: 0}


def test_a_dataset_that_differs_is_counted():
    one = {"episodes": 6, "same": dict.fromkeys(SUBJECTS, True) | {CONTROL: False}, "twice": {KILLED: 0}}
    other = one | {"same": one["same"] | {"4 workers": False}, "twice": {KILLED: 2}}
    found = {(row["subject"], row["metric"]): row for row in rows([one, other], 1)}
    assert found["4 workers", "identical_bytes"]["value"] == 0.5 and found["2 workers", "identical_bytes"]["value"] == 1.0
    assert found[CONTROL, "identical_bytes"]["value"] == 0.0 and found[CONTROL, "identical_bytes"]["high"] < 1.0
    assert found[KILLED, "begun_twice"]["value"] == 0.2 and found[KILLED, "begun_twice"]["n"] == 10
