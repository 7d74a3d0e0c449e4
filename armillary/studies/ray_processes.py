"""Numbered pieces of work done by processes of Ray, on this machine or many, and given back in order."""

import os
import secrets
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from functools import cache
from importlib.util import find_spec
from types import FrameType, ModuleType
from typing import Any, TypeVar

from armillary.core import ArmillaryError, ConfigError
from armillary.studies.processes import Pieces, attempt, check_workers

T = TypeVar("T")
STORE_BYTES = 512 * 2**20  # results under way; more than fits waits on disk
ANSWERS_WITHIN_S = 5
LOOKS_EVERY_S = 0.5  # whether Ctrl-C was pressed
LOOPBACK = "127.0.0.1"
QUIET = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}


@contextmanager
def on_ray(workers: int, address: str | None = None) -> Iterator[Callable[..., Iterator[Any]]]:
    """`in_order`, while Ray runs: one of our own with `workers` processes, which ends with the block, or the one at `address`, which stays.

    What Ray prints goes to stderr meanwhile. ConfigError if Ray is not installed or in use here already, if `address` does not answer, or
    if a Ray of our own cannot be kept to this machine; one process uses either its own or a cluster's, never both.
    """
    check_workers(workers)
    check_installed()
    if "ray" in sys.modules and sys.modules["ray"].is_initialized():
        raise ConfigError("this process is connected to a Ray already; end that first, with ray.shutdown()")
    with redirect_stdout(sys.stderr), _joined(address) if address else _own(workers):
        yield in_order


def check_installed() -> None:
    """ConfigError, with the command that installs it, if Ray is missing."""
    if find_spec("ray") is None:
        raise ConfigError('Ray is not installed; run: pip install -e ".[ray]"')


def in_order(work: Callable[[int], T], count: int, workers: int) -> Iterator[T]:
    """`work(0)` to `work(count - 1)`, in this order, at most `workers` of them at once, each with a processor of its own.

    The contract of `processes.in_order`, inside `on_ray`. `work` must be importable on every machine. The piece of a process or machine
    that is lost is done again.
    """
    check_workers(workers)
    return _results(work, count, workers)


def _results(work: Callable[[int], T], count: int, workers: int) -> Iterator[T]:
    import ray

    # Ray retries nothing: attempts are counted here, whatever ended a process.
    task, pieces, in_hand = ray.remote(num_cpus=1, max_retries=0)(attempt), Pieces(count, workers), {}
    with _ctrl_c() as pressed:
        while not pieces.finished:
            if pressed.is_set():
                raise KeyboardInterrupt
            while len(in_hand) < workers and (piece := pieces.begin()) is not None:
                in_hand[task.remote(work, piece)] = piece
            if pieces.ready:
                yield pieces.take()
                continue
            for done in ray.wait(list(in_hand), timeout=LOOKS_EVERY_S)[0]:
                _receive(ray, done, in_hand.pop(done), pieces)


@contextmanager
def _ctrl_c() -> Iterator[threading.Event]:
    """Ctrl-C as something to look at, the second one as usual: Ray swallows the exception where it is raised in a callback of Ray's own."""
    pressed = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield pressed  # only the main thread can listen
        return

    def heard(number: int, frame: FrameType | None) -> None:
        if pressed.is_set():
            signal.default_int_handler(number, frame)
        pressed.set()

    before = signal.signal(signal.SIGINT, heard)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)


def _receive(ray: ModuleType, done: Any, piece: int, pieces: Pieces) -> None:
    kinds = ray.exceptions
    try:
        pieces.done(piece, ray.get(done))
    except (kinds.WorkerCrashedError, kinds.OutOfMemoryError, kinds.NodeDiedError, kinds.ObjectLostError) as error:
        pieces.lost(piece, type(error).__name__)
    except kinds.RayError as error:
        why = str(error).strip().splitlines()[-1]
        raise ArmillaryError(f"Ray could not do piece {piece}: {why}; every machine needs the armillary that this one has") from error


@contextmanager
def _joined(address: str) -> Iterator[None]:
    try:
        host, _, port = address.rpartition(":")
        socket.create_connection((host, int(port)), timeout=ANSWERS_WITHIN_S).close()  # Ray itself tries for a quarter of an hour
    except (OSError, ValueError, OverflowError) as error:
        raise _not_joined(address, error) from error
    with _environment({"RAY_NUM_REDIS_GET_RETRIES": "1"}):
        import ray
    try:
        ray.init(address, log_to_driver=False, logging_level="ERROR")
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise _not_joined(address, error) from error
    try:
        yield
    finally:
        ray.shutdown()  # leaves it; the cluster goes on


def _not_joined(address: str, error: Exception) -> ConfigError:
    why = str(error).strip().partition("\n")[0]
    return ConfigError(f"no Ray can be joined at {address!r} ({why}); give HOST:PORT of a Ray of which this machine is a part")


@contextmanager
def _own(workers: int) -> Iterator[None]:
    # Ray's sockets need a short path, and its logs go with the folder.
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        with _environment(_kept_to_this_machine()):
            ray = _import_for_this_machine()
            try:
                ray.init("local", num_cpus=workers, object_store_memory=STORE_BYTES, _temp_dir=folder, **QUIET)
            except BaseException:
                ray.shutdown()
                raise
        try:
            if ray.util.get_node_ip_address() != LOOPBACK:
                raise ConfigError(
                    "this Ray listens to other machines; install the one of constraints.txt, or join a cluster with its address"
                )
            yield
        finally:
            ray.shutdown()


@cache
def _kept_to_this_machine() -> dict[str, str]:
    """What a Ray that only this process may use reads from the environment. Ray keeps the first token that a process has."""
    return {
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # the loopback address, on every system
        "RAY_AUTH_MODE": "token",  # other users of this machine must not run code as this one
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",  # Ray's own 15 starves on a busy machine
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # workers draw with the graphics card that this process sees
    }


@cache
def _import_for_this_machine() -> ModuleType:
    """Ray, which reads some of the environment when it is imported, and never again."""
    if "ray" in sys.modules:
        raise ConfigError("Ray was imported before, and kept to no machine; begin a new process, or join a running Ray by its address")
    import ray

    return ray


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
