"""From a playable world to a running server: the port, the web server, and its end."""

import contextlib
import errno
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

from armillary.core import ConfigError
from armillary.serve.heap import return_large_blocks
from armillary.serve.playable import Playable

HOST = "127.0.0.1"
PORT = 8642
PORTS_TRIED = 20
MAX_CONNECTIONS = 256


def check_installed() -> None:
    """ConfigError, with the command that installs them, if the web server's packages are missing."""
    missing = [name for name in ("fastapi", "uvicorn", "websockets") if find_spec(name) is None]
    if missing:
        raise ConfigError(f'the browser player needs {", ".join(missing)}; run: pip install -e ".[serve]"')


@dataclass(frozen=True, kw_only=True)
class Service:
    """What to serve and how. `folder` is where recordings go (nothing is written before the first); `port` 0 is any free one."""

    playable: Playable
    seed: int = 0
    port: int = PORT
    max_sessions: int = 16
    form: str = "jpeg"
    folder: Path = field(default_factory=lambda: Path("runs") / "play" / datetime.now().strftime("%Y-%m-%d-%H%M%S"))


class Running:
    """A server that answers already. `address` opens it, once; leaving its `with` block closes it, however it is left."""

    def __init__(self, service: Service, *, on_key: Callable[[str], None] | None = None, limits=None):
        check_installed()
        import uvicorn

        from armillary.serve.app import Server
        from armillary.serve.engine import Engine
        from armillary.serve.gate import MAX_HEADER_BYTES
        from armillary.serve.messages import MAX_MESSAGE_BYTES
        from armillary.serve.recorder import Recorder

        self._socket = listening(service.port)
        self.port = self._socket.getsockname()[1]
        self._recorder = Recorder(service.playable, service.folder)
        self.engine = Engine(
            service.playable,
            seed=service.seed,
            max_sessions=service.max_sessions,
            save=lambda session, take: self._recorder.save(take, session.mailbox.note),
        )
        self.server = Server(self.engine, port=self.port, form=service.form, on_key=on_key, limits=limits)
        settings = uvicorn.Config(
            self.server.application,
            lifespan="off",
            http="h11",
            loop="asyncio",
            log_level="critical",
            access_log=False,
            server_header=False,
            limit_concurrency=MAX_CONNECTIONS,
            h11_max_incomplete_event_size=MAX_HEADER_BYTES,
            ws_max_size=MAX_MESSAGE_BYTES,
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=1,
        )
        self._web = uvicorn.Server(settings)
        return_large_blocks()
        self.engine.start()

    @property
    def address(self) -> str:
        """What to open in a browser; the key in it works once, then there is another."""
        return self.server.address

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *error: object) -> None:
        self.engine.stop()
        self._recorder.close()
        self._socket.close()

    @contextlib.contextmanager
    def stopped_by_ctrl_c(self) -> Iterator[None]:
        """While open, in the main thread: Ctrl-C is `stop`, before `run` as well as in it, and raises nothing."""
        before = signal.signal(signal.SIGINT, lambda number, frame: self.stop())
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def run(self) -> None:
        """Serve until `stop`."""
        self._web.run(sockets=[self._socket])

    def stop(self) -> None:
        """End `run`."""
        self._web.should_exit = True


@contextlib.contextmanager
def serving(service: Service, **options) -> Iterator[Running]:
    """A server in a thread of its own, for as long as the block lasts."""
    with Running(service, **options) as running:
        thread = threading.Thread(target=running.run, name="armillary-serve", daemon=True)
        thread.start()
        try:
            yield running
        finally:
            running.stop()
            thread.join()


def listening(port: int) -> socket.socket:
    """A socket of this machine's own address that listens on the port, or on one of the next that are free. ConfigError where none is."""
    for candidate in [port] if port == 0 else range(port, min(port + PORTS_TRIED, 65536)):
        found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind((HOST, candidate))
            found.listen(128)
            return found
        except OSError as error:
            found.close()
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
    raise ConfigError(f"no port from {port} to {port + PORTS_TRIED - 1} is free; name another one: --port N")
