"""metrics.jsonl: whole lines only, cut back to the checkpoint."""

import errno

import pytest

from armillary.core import CheckpointError, StorageError
from armillary.train.metrics_log import MetricsLog, read_metrics


def write(path, *steps):
    log = MetricsLog(path, step=0)
    for step in steps:
        log.append({"step": step, "loss": step / 3})
    log.close()


def test_every_row_is_there_at_once(tmp_path):
    log = MetricsLog(tmp_path / "m.jsonl", step=0)
    log.append({"step": 1, "loss": 0.1})
    assert read_metrics(tmp_path / "m.jsonl") == [{"step": 1, "loss": 0.1}]


def test_rows_after_the_checkpoint_and_a_torn_line_are_cut(tmp_path):
    path = tmp_path / "m.jsonl"
    write(path, 1, 2, 3, 4)
    first_rows = path.read_bytes().splitlines(keepends=True)[:2]
    with open(path, "ab") as file:
        file.write(b'{"step": 5, "lo')
    assert [row["step"] for row in read_metrics(path)] == [1, 2, 3, 4]
    log = MetricsLog(path, step=2)
    assert path.read_bytes() == b"".join(first_rows)
    log.append({"step": 3, "loss": 1.0})
    assert read_metrics(path)[-1] == {"step": 3, "loss": 1.0}


def test_only_a_torn_line_is_cut_too(tmp_path):
    path = tmp_path / "m.jsonl"
    write(path, 1)
    with open(path, "ab") as file:
        file.write(b'{"step": 2')
    MetricsLog(path, step=1).close()
    assert path.read_bytes().endswith(b"}\n")


@pytest.mark.parametrize("line", ["{", "[]", '{"loss": 1.0}', "\x00\x00"])
def test_a_damaged_line_within_is_named(tmp_path, line):
    path = tmp_path / "m.jsonl"
    path.write_text(f'{{"step": 1, "loss": 1.0}}\n{line}\n{{"step": 3, "loss": 1.0}}\n')
    with pytest.raises(CheckpointError, match=r"m\.jsonl, line 2"):
        read_metrics(path)


def test_numbers_that_json_has_not_are_refused(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        MetricsLog(tmp_path / "m.jsonl", step=0).append({"step": 1, "loss": float("nan")})


def test_a_row_that_does_not_fit_leaves_no_half_line(tmp_path):
    path = tmp_path / "m.jsonl"
    write(path, 1)
    log = MetricsLog(path, step=1)
    real = log._file

    class ShortThenFull:
        calls = 0

        def write(self, data):
            self.calls += 1
            if self.calls > 1:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real.write(data[:5])

        def fileno(self):
            return real.fileno()

    log._file = ShortThenFull()
    with pytest.raises(StorageError, match="disk is full"):
        log.append({"step": 2, "loss": 0.0})
    assert path.read_text() == '{"step": 1, "loss": 0.3333333333333333}\n'
