"""armillary play: what it says, which port it takes, and that Ctrl-C ends it."""

import os
import re
import signal
import socket
import subprocess
import sys

import pytest

from armillary.serve.launch import PORTS_TRIED, listening
from tests.cli.small_data import run, run_json


def test_check_plays_a_step(capsys):
    found = run_json(capsys, "play", "pusher", "--size", "32", "--check")
    assert found["step_ms"] > 0 and found["round_trip_ms"] > 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("nope",), 2, "neither a run's folder nor a world"),
        (("--seed", "-1"), 2, "--seed must lie in 0"),
        (("--port", "70000"), 2, "--port must lie in 1"),
        (("--sessions", "0"), 2, "--sessions must be at least 1"),
        (("--sed", "1"), 2, "did you mean --seed?"),
        (("--out", "."), 2, "exists already"),
    ],
)
def test_wrong_words(capsys, words, code, said):
    assert run("play", *words) == code
    assert said in capsys.readouterr().err


def test_a_folder_that_is_no_run(tmp_path, capsys):
    assert run("play", tmp_path) == 4
    assert str(tmp_path) in capsys.readouterr().err


def test_dry_run_starts_nothing(capsys):
    assert run_json(capsys, "play", "--dry-run") == {"world": "platformer-dream", "port": 8642}


def test_a_taken_port_gives_the_next_one():
    with listening(0) as first:
        port = first.getsockname()[1]
        with listening(port) as second:
            assert port < second.getsockname()[1] < port + PORTS_TRIED and second.getsockname()[0] == "127.0.0.1"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for another process")
def test_it_prints_its_address_and_ctrl_c_ends_it(tmp_path):
    words = [sys.executable, "-m", "armillary", "play", "two-rooms", "--no-browser", "--size", "32"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": tmp_path, "env": environment}
    with subprocess.Popen(words, **pipes, preexec_fn=_heed_ctrl_c) as process:
        try:
            line = process.stdout.readline()
            found = re.search(r"http://127\.0\.0\.1:(\d+)/#key=[\w-]{32}$", line)
            assert found, line
            socket.create_connection(("127.0.0.1", int(found[1])), timeout=10).close()
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 0 and "ended" in said and "Traceback" not in said, said
    assert not list(tmp_path.iterdir())


def _heed_ctrl_c() -> None:
    """A shell starts a background job with Ctrl-C ignored, and its children inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
