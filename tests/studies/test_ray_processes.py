"""Work done by Ray: the contract of the processes of our own, kept to this machine, and gone when it is over."""

import importlib
import importlib.util
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import psutil
import pytest

from armillary.core import ArmillaryError, ConfigError, DataError
from armillary.studies import processes, ray_processes
from armillary.studies.ray_processes import on_ray
from tests.studies.test_processes import begun, die_always, die_once_then_refuse, note

ROOT = Path(__file__).resolve().parents[2]
# Not importorskip: whoever imports Ray first decides what it may listen to.
HAS_RAY = importlib.util.find_spec("ray") is not None
needs_ray = pytest.mark.skipif(not HAS_RAY, reason="needs the extra `ray`")
WAITS = """
import sys, time
from armillary.studies.ray_processes import on_ray
with on_ray(1) as in_order:
    for piece in in_order(abs, 1000, 1):
        print("working", file=sys.stderr, flush=True)
        time.sleep(0.1)
"""
JOINS = """
import sys
from armillary.studies.ray_processes import on_ray
with on_ray(2, sys.argv[1]) as in_order:
    print("hidden from stdout")
    found = list(in_order(abs, 5, 2))
print(found)
"""


@pytest.fixture(scope="module")
def crew():
    """A Ray of our own with two processes."""
    with on_ray(2) as in_order:
        yield in_order


def slow_first(folder: Path, piece: int) -> int:
    """The others could all be done while this one is."""
    time.sleep(1.0 if piece == 0 else 0.0)
    return note(folder, piece)


def family() -> list[psutil.Process]:
    return [psutil.Process(), *psutil.Process().children(recursive=True)]


@pytest.mark.parametrize(
    ("address", "said"),
    [("127.0.0.1:1", "refused"), ("head", "invalid literal"), ("nowhere.invalid:6379", "not known|resolution|No address")],
)
@needs_ray
def test_a_ray_that_is_not_there_is_told_at_once(address, said):
    with pytest.raises(ConfigError, match=f"no Ray can be joined at '{address}' .*({said}).*; give HOST:PORT"), on_ray(1, address):
        pass


@needs_ray
def test_a_killed_process_is_replaced_its_piece_done_again_and_an_error_reaches_the_caller(crew, tmp_path):
    found = crew(partial(die_once_then_refuse, tmp_path), 5, 2)
    assert [next(found) for _ in range(4)] == [0, 1, 4, 9]
    with pytest.raises(DataError, match="piece 4 is wrong"):
        next(found)
    assert begun(tmp_path) == ["0-0", "1-0", "1-1", "2-0", "3-0", "4-0"], "only what was in hand may be begun twice"


@needs_ray
def test_no_more_pieces_wait_for_their_turn_than_memory_is_meant_for(crew, tmp_path):
    found = crew(partial(slow_first, tmp_path), 30, 2)
    assert next(found) == 0
    assert len(begun(tmp_path)) <= 2 * processes.AHEAD
    assert list(found) == [piece * piece for piece in range(1, 30)] and len(begun(tmp_path)) == 30


@needs_ray
def test_a_piece_that_kills_every_process_is_given_up(crew, tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "ATTEMPTS", 1)
    with pytest.raises(ArmillaryError, match="1 processes died of piece 0, the last with WorkerCrashedError"):
        list(crew(partial(die_always, tmp_path), 1, 2))


@needs_ray
def test_work_that_is_not_on_every_machine_is_told(crew, tmp_path, monkeypatch):
    (tmp_path / "only_here.py").write_text("def work(piece):\n    return piece\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ArmillaryError, match=r"Ray could not do piece 0: .*only_here.*every machine needs the armillary"):
        list(crew(importlib.import_module("only_here").work, 1, 1))


@needs_ray
@pytest.mark.usefixtures("crew")
def test_it_listens_to_this_machine_only_and_asks_for_a_token():
    listening = [one for process in family() for one in process.net_connections("tcp") if one.status == psutil.CONN_LISTEN]
    assert len(listening) >= 4, "Ray's own servers must be seen"
    assert {one.laddr.ip.removeprefix("::ffff:") for one in listening} == {"127.0.0.1"}
    (raylet,) = [one for one in family() if one.name() == "raylet"]
    assert raylet.environ()["RAY_AUTH_MODE"] == "token" and len(raylet.environ()["RAY_AUTH_TOKEN"]) == 64
    assert "RAY_AUTH_TOKEN" not in os.environ, "what we start later is none of Ray's business"


@needs_ray
@pytest.mark.usefixtures("crew")
def test_a_process_has_one_ray():
    with pytest.raises(ConfigError, match="connected to a Ray already"), on_ray(1):
        pass


@needs_ray
def test_a_ray_that_was_joined_goes_on(crew):
    import ray

    variables = os.environ | ray_processes._kept_to_this_machine()
    command = [sys.executable, "-c", JOINS, ray.get_runtime_context().gcs_address]
    joined = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=120)
    assert joined.returncode == 0, joined.stderr
    assert joined.stdout.strip() == "[0, 1, 2, 3, 4]" and "hidden from stdout" in joined.stderr
    assert list(crew(abs, 3, 2)) == [0, 1, 2]


@needs_ray
def test_ctrl_c_leaves_nothing_behind():
    process = subprocess.Popen([sys.executable, "-c", WAITS], cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert "working" in process.stderr.readline()
    started = psutil.Process(process.pid).children(recursive=True)
    (folder,) = {word.split("=")[1] for one in started for word in one.cmdline() if word.startswith("--temp-dir=")}
    assert Path(folder).is_dir()
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate(timeout=60) and process.returncode == -signal.SIGINT
    _, left = psutil.wait_procs(started, timeout=60)
    assert not left and not Path(folder).exists()


def test_without_ray_the_command_that_installs_it_is_told(monkeypatch):
    monkeypatch.setattr(ray_processes, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r'Ray is not installed; run: pip install -e "\.\[ray\]"'), on_ray(1):
        pass


def test_a_ray_imported_by_somebody_else_is_not_trusted(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", importlib.util)
    with pytest.raises(ConfigError, match="imported before"):
        ray_processes._import_for_this_machine.__wrapped__()


def test_no_workers_are_refused_at_once():
    with pytest.raises(ConfigError, match="workers must be >= 1, received 0"), on_ray(0):
        pass
