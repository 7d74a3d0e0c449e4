"""The gate before every request: a page of this server's own passes, whatever another page, name or address sends does not.

A page of the internet, open in the same browser, can send requests to this machine; it cannot forge Host, Origin and Sec-Fetch-Site. A name
that was made to point here (DNS rebinding) shows in Host. Other people of the machine lack the cookie.
"""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any

from armillary.serve.keys import Keys

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

METHODS = ("GET", "HEAD", "POST")
MAX_HEADER_BYTES = 16384
PUBLIC = ("/", "/assets/", "/enter")  # what says nothing and does nothing without a key


def protective_headers(hosts: tuple[str, ...]) -> dict[str, str]:
    """What every answer bears: only this server's own code runs, nothing is loaded from elsewhere, nothing is kept or framed."""
    sockets = " ".join(f"ws://{host}" for host in hosts)
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self'; "
        f"connect-src 'self' {sockets}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    )
    return {
        "content-security-policy": policy,
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "camera=(), microphone=(), geolocation=(), usb=(), serial=(), hid=()",
        "cache-control": "no-store",
    }


class Gate:
    """Refuses before the application hears of it: large headers 431, another Host 421, methods 405, other origins 403, no cookie 401."""

    def __init__(self, application: Application, keys: Keys, port: int):
        self._application, self._keys = application, keys
        self._hosts = (f"127.0.0.1:{port}", f"localhost:{port}")
        self._origins = tuple(f"http://{host}" for host in self._hosts)
        self._headers = [(name.encode(), value.encode()) for name, value in protective_headers(self._hosts).items()]
        self.cookie = f"armillary_{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it here."""
        if scope["type"] not in ("http", "websocket"):
            return await self._application(scope, receive, send)
        refused = self._refusal(scope)
        if refused is None:
            return await self._application(scope, receive, self._protected(send))
        code, words = refused
        if scope["type"] == "websocket":
            await receive()
            return await send({"type": "websocket.close", "code": 1008, "reason": words})
        headers = [(b"content-type", b"text/plain; charset=utf-8"), *self._headers]
        await send({"type": "http.response.start", "status": code, "headers": headers})
        await send({"type": "http.response.body", "body": words.encode()})

    def _protected(self, send: Send) -> Send:
        async def sent(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *self._headers]
            await send(message)

        return sent

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """The status and the reason, or None to let it pass."""
        if sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEADER_BYTES:
            return 431, "the headers are too large"
        headers = _single(scope["headers"])
        if headers is None or headers.get("host") not in self._hosts:
            return 421, f"this server answers to {' and '.join(self._hosts)} only"
        is_socket, path = scope["type"] == "websocket", scope["path"]
        if not is_socket and scope["method"] not in METHODS:
            return 405, "only GET, HEAD and POST"
        must_say = is_socket or scope["method"] == "POST"
        if headers.get("origin", self._origins[0] if not must_say else "") not in self._origins:
            return 403, "another origin"
        is_visit = path == "/" and headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none") and not is_visit:
            return 403, "another site"
        is_public = not is_socket and (path in PUBLIC or path.startswith(PUBLIC[1]))
        if not is_public and not self._keys.knows(self._secret(headers)):
            return 401, "open the address that the terminal shows"
        return None

    def _secret(self, headers: Mapping[str, str]) -> str:
        try:
            found = SimpleCookie(headers.get("cookie", "")).get(self.cookie)
        except CookieError:
            return ""
        return "" if found is None else found.value


def _single(headers: list[tuple[bytes, bytes]]) -> dict[str, str] | None:
    """Headers by name; None where one that decides is there twice."""
    found: dict[str, str] = {}
    for name, value in headers:
        word = name.decode("latin-1").lower()
        if word in found and word in ("host", "origin", "cookie", "sec-fetch-site"):
            return None
        found[word] = value.decode("latin-1")
    return found
