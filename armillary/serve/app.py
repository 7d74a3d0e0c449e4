"""The application: the page's files, the door, films, and one WebSocket for each person."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI, Request, Response, WebSocket
from starlette.concurrency import run_in_threadpool
from starlette.websockets import WebSocketDisconnect

from armillary.core import ArmillaryError, WorldError
from armillary.serve.bucket import Bucket
from armillary.serve.engine import Engine, Full
from armillary.serve.gate import Application, Gate
from armillary.serve.keys import Keys
from armillary.serve.messages import PROTOCOL, pack_frame, read_object, read_order
from armillary.serve.recorder import film_of
from armillary.serve.session import Session

PAGE = Path(__file__).parent / "page"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
HELLO_S = 5.0
SEND_S = 30.0  # a page that takes no byte for so long is gone
FRAMES_AHEAD = 2  # sent and not yet seen
MAX_BODY_BYTES = 1024
MAX_FAULTS = 10
POLICY_VIOLATION, TRY_LATER = 1008, 1013
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much one page may say: messages a second, and at once; tries at the door and films a second, of all pages together."""

    messages_per_s: float = 150.0
    messages_burst: int = 300
    requests_per_s: float = 2.0
    requests_burst: int = 20


class Server:
    """Joins an engine, keys and the page's files. `application` is what a web server runs; `on_key` hears that a key was used up."""

    def __init__(
        self, engine: Engine, *, port: int, limits: Limits | None = None, form: str = "jpeg", on_key: Callable[[str], None] | None = None
    ):
        self.engine, self.keys, self.port, self.limits, self._form = engine, Keys(), port, limits or Limits(), form
        self._on_key = on_key
        self._door = Bucket(per_second=self.limits.requests_per_s, burst=self.limits.requests_burst)
        self._filming = asyncio.Lock()
        self._files = {f"/{path.relative_to(PAGE).as_posix()}": path.read_bytes() for path in PAGE.rglob("*") if path.suffix in TYPES}
        app = FastAPI(title="armillary play", docs_url=None, redoc_url=None, openapi_url=None)
        app.add_api_route("/", self._index, methods=["GET", "HEAD"])
        app.add_api_route("/assets/{name:path}", self._asset, methods=["GET", "HEAD"])
        app.add_api_route("/enter", self._enter, methods=["POST"])
        app.add_api_route("/ready", self._ready, methods=["GET"])
        app.add_api_route("/film/{name}", self._film, methods=["GET"])
        app.add_api_websocket_route("/play", self._play)
        self._gate = Gate(app, self.keys, port)
        self.application: Application = self._gate

    @property
    def address(self) -> str:
        """Where a browser goes, with the key that works now. What follows # never leaves the browser."""
        return f"http://127.0.0.1:{self.port}/#key={self.keys.key}"

    async def _index(self) -> Response:
        return self._file("/index.html")

    async def _asset(self, name: str) -> Response:
        return self._file(f"/assets/{name}")

    def _file(self, name: str) -> Response:
        """One of the files that were read at the start; a name leads nowhere else."""
        if name not in self._files:
            return Response("there is no such file", status_code=404, media_type="text/plain")
        return Response(self._files[name], media_type=TYPES[Path(name).suffix])

    async def _enter(self, request: Request) -> Response:
        """Exchange the key for a cookie."""
        if not self._door.take():
            return Response("too many requests", status_code=429, media_type="text/plain")
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > MAX_BODY_BYTES:
                return Response("too large", status_code=413, media_type="text/plain")
        try:
            key = read_object(body.decode()).get("key")
        except (WorldError, UnicodeDecodeError):
            return Response("a JSON object with the key is needed", status_code=400, media_type="text/plain")
        secret = self.keys.exchange(key) if isinstance(key, str) else None
        if secret is None:
            return Response("this key is wrong or was used before", status_code=403, media_type="text/plain")
        if self._on_key is not None:
            self._on_key(self.address)
        answer = Response(status_code=204)
        answer.set_cookie(self._gate.cookie, secret, httponly=True, samesite="strict", path="/")
        return answer

    async def _ready(self) -> Response:
        """Whether this browser was let in: the gate has looked already."""
        return Response(status_code=204)

    async def _film(self, name: str) -> Response:
        """A session's timeline as mp4."""
        if not self._door.take():
            return Response("too many requests", status_code=429, media_type="text/plain")
        try:
            moments = await asyncio.wrap_future(self.engine.moments(name.removesuffix(".mp4")))
            async with self._filming:
                film = await run_in_threadpool(film_of, moments, self.engine.playable.world.spec.seconds_per_step)
        except ArmillaryError as error:
            return Response(str(error), status_code=404, media_type="text/plain")
        name = f"{self.engine.playable.name}-{moments[-1].seed}.mp4"
        return Response(film, media_type="video/mp4", headers={"content-disposition": f'attachment; filename="{_plain(name)}"'})

    async def _play(self, socket: WebSocket) -> None:
        """One person's session, from the first word to the last."""
        await socket.accept()
        try:
            session = await self._welcome(socket)
        except (TimeoutError, WebSocketDisconnect, WorldError, KeyError):
            return await _close(socket, POLICY_VIOLATION, "the first message must be hello")
        except Full as full:
            return await _close(socket, TRY_LATER, str(full))
        except ArmillaryError as error:
            return await _close(socket, TRY_LATER, str(error)[:100])
        post = _Post(socket, session, self._form)
        sender = asyncio.create_task(post.run())
        try:
            await self._listen(socket, session, post)
        except WebSocketDisconnect:
            pass
        finally:
            sender.cancel()
            self.engine.leave(session)
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await sender

    async def _welcome(self, socket: WebSocket) -> Session:
        """Read the hello, and answer with what the page must know of the world."""
        hello = read_object(await asyncio.wait_for(_text(socket), HELLO_S))
        if hello.get("do") != "hello" or not isinstance(hello.get("session", ""), str):
            raise WorldError("the first message must be hello")
        known = str(hello.get("session", ""))
        session = await asyncio.wrap_future(self.engine.enter(known))
        playable = self.engine.playable
        await socket.send_json(
            {
                "kind": "welcome",
                "protocol": PROTOCOL,
                "session": session.id,
                "resumed": session.id == known,
                "world": playable.name,
                "exact": playable.exact,
                "task": playable.task,
                "truth": playable.truth is not None,
                "height": playable.size[0],
                "width": playable.size[1],
                "seconds_per_step": playable.world.spec.seconds_per_step,
                "controls": playable.controls.plain(),
                "events": list(playable.events),
            }
        )
        return session

    async def _listen(self, socket: WebSocket, session: Session, post: "_Post") -> None:
        bucket = Bucket(per_second=self.limits.messages_per_s, burst=self.limits.messages_burst)
        faults = 0
        while True:
            try:
                text = await _text(socket)
                if not bucket.take():
                    return await _close(socket, POLICY_VIOLATION, "too many messages")
                order = read_order(text, self.engine.playable.controls)
            except WorldError as error:
                faults += 1
                if faults > MAX_FAULTS:
                    return await _close(socket, POLICY_VIOLATION, "too many messages that cannot be understood")
                session.mailbox.note({"kind": "notice", "level": "error", "text": str(error)})
                continue
            if order.do == "seen":
                post.saw(order.number or 0)
            else:
                self.engine.order(session, order)


class _Post:
    """Sends what lies in a session's mailbox: words at once, a frame when the page has seen all but one of those before."""

    def __init__(self, socket: WebSocket, session: Session, form: str):
        self._socket, self._mailbox, self._form = socket, session.mailbox, form
        self._sent = self._seen = 0
        self._ring = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def saw(self, frame: int) -> None:
        """The page has drawn a frame."""
        self._seen = max(self._seen, min(frame, self._sent))
        self._ring.set()

    async def run(self) -> None:
        """Until it is cancelled or the page takes nothing any more."""
        self._mailbox.listen(self._wake)
        self._ring.set()
        while True:
            await self._ring.wait()
            self._ring.clear()
            mail = self._mailbox.fetch(frame=self._sent - self._seen < FRAMES_AHEAD)
            try:
                async with asyncio.timeout(SEND_S):
                    for words in mail.words:
                        await self._socket.send_json(words)
                    if mail.frame is not None:
                        moment, about = mail.frame
                        self._sent += 1
                        await self._socket.send_bytes(pack_frame({**about, "frame": self._sent}, moment.frames, self._form))
            except (TimeoutError, RuntimeError, WebSocketDisconnect):
                return await _close(self._socket, POLICY_VIOLATION, "this page takes no more data")

    def _wake(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
            self._loop.call_soon_threadsafe(self._ring.set)


async def _text(socket: WebSocket) -> str:
    """The next message. WorldError for one that is not text."""
    message = await socket.receive()
    if message["type"] != "websocket.receive":
        raise WebSocketDisconnect(message.get("code", 1000))
    text = message.get("text")
    if text is None:
        raise WorldError("messages are text, not bytes")
    return text


async def _close(socket: WebSocket, code: int, reason: str) -> None:
    with contextlib.suppress(RuntimeError, WebSocketDisconnect):
        await socket.close(code, reason)


def _plain(name: str) -> str:
    """A file's name in ASCII letters."""
    return "".join(one if one.isascii() and (one.isalnum() or one in "-.") else "-" for one in name)
