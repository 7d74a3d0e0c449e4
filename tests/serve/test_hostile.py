"""Hundreds of requests that no page of ours sends: each is refused, and the server and the one who plays notice nothing."""

import asyncio
import base64
import json
from collections.abc import Iterator

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from armillary.serve.app import MAX_FAULTS, Limits
from armillary.serve.client import Shown, knock, playing
from armillary.serve.launch import Running
from tests.serve.stub import served
from tests.serve.test_messages import REFUSED

GENEROUS = Limits(requests_per_s=1e4, requests_burst=10_000)
KEY = base64.b64encode(bytes(16)).decode()
UPGRADE = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": KEY}


def hosts(port: int) -> list[str]:
    return [
        *(
            "",
            "evil.example",
            f"evil.example:{port}",
            "127.0.0.1",
            "localhost",
            "localhost.",
            f"localhost.:{port}",
            f"127.0.0.1:{port + 1}",
        ),
        *(f"127.0.0.1.evil.example:{port}", f"evil.example#127.0.0.1:{port}", f"127.0.0.1:{port}@evil.example", f"127.0.0.1:{port}."),
        *(f"0.0.0.0:{port}", f"127.1:{port}", f"2130706433:{port}", f"[::1]:{port}", f"127.0.0.1:0{port}", f"LOCALHOST :{port}"),
        *(f"127.0.0.1:{port}/../", f"127.0.0.1:{port}\x00", "a" * 5000, f"127.0.0.2:{port}", "null", "*"),
    ]


def origins(port: int) -> list[str]:
    return [
        *("", "null", "http://evil.example", "https://evil.example", f"https://127.0.0.1:{port}", f"http://127.0.0.1:{port}/"),
        *(f"http://127.0.0.1:{port + 1}", "http://127.0.0.1", "http://localhost", f"http://127.0.0.1:{port}.evil.example", "file://"),
        *(f"http://evil.example#http://127.0.0.1:{port}", f"HTTP://127.0.0.1:{port}", f"http://127.0.0.1:{port}, http://evil.example"),
        *("chrome-extension://abc", "*", f"http://user@127.0.0.1:{port}", f"http://[::1]:{port}", f" http://0.0.0.0:{port}", "about:blank"),
    ]


PATHS = (
    *("/../etc/passwd", "/assets/../../app.py", "/assets/..%2f..%2fapp.py", "/assets/%2e%2e/%2e%2e/app.py", "/assets/....//app.py"),
    *("/assets//etc/passwd", "/assets/%00", "/assets/page.js%00.css", "/assets/..\\..\\app.py", "/assets/..%5c..%5capp.py", "/assets/"),
    *(
        "/assets/page.js/../../../app.py",
        "/assets/%252e%252e%252fapp.py",
        "/assets/~root",
        "/assets/file:///etc/passwd",
        "/assets/sources.json",
    ),
    *(
        "/assets/http://evil.example/x.js",
        "/assets/\u202e".encode().decode("latin-1"),
        "/assets/" + "a" * 3000,
        "/assets/con",
        "/sources.json",
    ),
    *("/docs", "/openapi.json", "/redoc", "/index.html", "/.git/config", "/film", "/film/", "/film/../../etc/passwd.mp4", "/film/x.mp4"),
    *(
        "/film/%2e%2e%2f%2e%2e%2fx",
        "/film/" + "x" * 2000,
        "/enter",
        "/play",
        "/ready/..",
        "//evil.example/",
        "/%ff%fe",
        "/assets/%c0%ae%c0%ae/app.py",
    ),
)
METHODS = ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get", "POST\x00", "X" * 300)


def request(method: str, path: str, headers: dict[str, str] | list[tuple[str, str]], body: bytes = b"") -> bytes:
    lines = headers.items() if isinstance(headers, dict) else headers
    head = "".join(f"{name}: {value}\r\n" for name, value in lines)
    return f"{method} {path} HTTP/1.1\r\n{head}Connection: close\r\n\r\n".encode("latin-1") + body


def requests(port: int, cookie: str) -> Iterator[tuple[str, bytes]]:
    """What is wrong, and the bytes. A good cookie is beside what is wrong, so that only that can be why it is refused."""
    here = f"127.0.0.1:{port}"
    good = {"Host": here, "Cookie": cookie}
    for host in hosts(port):
        yield "host", request("GET", "/", {**good, "Host": host})
        yield "host of a socket", request("GET", "/play", {**good, **UPGRADE, "Host": host, "Origin": f"http://{host}"})
    for origin in origins(port):
        yield "origin", request("POST", "/enter", {**good, "Origin": origin, "Content-Length": "2"}, b"{}")
        yield "origin of a socket", request("GET", "/play", {**good, **UPGRADE, "Origin": origin})
        yield "origin of a page", request("GET", "/ready", {**good, "Origin": origin})
    for site in ("cross-site", "same-site", "none, cross-site", "evil"):
        yield "site", request("GET", "/ready", {**good, "Sec-Fetch-Site": site})
        yield "site of a socket", request("GET", "/play", {**good, **UPGRADE, "Origin": f"http://{here}", "Sec-Fetch-Site": site})
        yield "an image from elsewhere", request("GET", "/", {**good, "Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors"})
    for path in PATHS:
        yield "path", request("GET", path, good)
    for method in METHODS:
        yield "method", request(method, "/", good)
        yield "method of the door", request(method, "/enter", {**good, "Origin": f"http://{here}"})
    for wrong in (
        "",
        "armillary=1",
        f"armillary_{port}=",
        f"armillary_{port}=x",
        cookie[:-1],
        cookie + "x",
        f"armillary_{port}={'x' * 4000}",
        '"\\',
    ):
        yield "cookie", request("GET", "/ready", {"Host": here, "Cookie": wrong})
        yield "cookie of a socket", request("GET", "/play", {**UPGRADE, "Host": here, "Cookie": wrong, "Origin": f"http://{here}"})
        yield "cookie of a film", request("GET", "/film/x.mp4", {"Host": here, "Cookie": wrong})
    yield "two hosts", request("GET", "/", [("Host", here), ("Host", "evil.example")])
    yield "two origins", request("GET", "/play", [*({**good, **UPGRADE}).items(), ("Origin", f"http://{here}"), ("Origin", "null")])
    yield "two cookies", request("GET", "/ready", [("Host", here), ("Cookie", "a=b"), ("Cookie", cookie)])
    for body in (
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"key": 1}',
        b'{"key": null}',
        b'{"key": ""}',
        b'{"key": "x"}',
        b'{"key": NaN}',
        b"\xff\xfe",
        b"[" * 900,
    ):
        door = {"Host": here, "Origin": f"http://{here}", "Content-Length": str(len(body))}
        yield "key", request("POST", "/enter", door, body)
    for size in (2000, 100_000):
        door = {"Host": here, "Origin": f"http://{here}", "Content-Length": str(size)}
        yield "body too large", request("POST", "/enter", door, b'{"key": "' + b"x" * (size - 11) + b'"}')
    yield "headers too large", request("GET", "/", {**good, "X": "x" * 40_000})
    yield "many headers", request("GET", "/", {**good, **{f"X-{i}": "x" * 20 for i in range(2000)}})
    for garbage in (
        b"\x00" * 64,
        b"\x16\x03\x01\x02\x00" + b"x" * 60,
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\r\n" * 50,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ):
        yield "no request", garbage
    yield (
        "smuggled",
        request(
            "POST", "/enter", {**good, "Origin": f"http://{here}", "Content-Length": "2", "Transfer-Encoding": "chunked"}, b"0\r\n\r\n"
        ),
    )
    yield "no length", request("POST", "/enter", {**good, "Origin": f"http://{here}", "Content-Length": "-1"})


async def ask(port: int, data: bytes) -> int:
    """The status that raw bytes are answered with; 0 where the server only hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        writer.write_eof()
        line = await asyncio.wait_for(reader.readline(), 20)
        return int(line.split()[1]) if line.startswith(b"HTTP/1.1 ") else 0
    except (ConnectionError, BrokenPipeError):
        return 0
    finally:
        writer.close()


def messages() -> Iterator[str | bytes]:
    """What is no order, in text and in bytes."""
    yield from (text for text in REFUSED if len(text.encode()) <= 4096)
    yield from (b"", b"\x00" * 100, bytes(range(256)), b'{"do": "pause"}')
    for name in (
        "__proto__",
        "constructor",
        "../../etc/passwd",
        "{0.__class__}",
        "%s%n",
        "<script>alert(1)</script>",
        "'; DROP TABLE x",
        "\u0000",
    ):
        yield json.dumps({"do": name})
        yield json.dumps({"do": "act", "value": name, "sequence": 1})
        yield json.dumps({"do": "branch", "bookmark": name})


async def refused_messages(running: Running, cookie: str) -> int:
    """Send what is no order, a few to a connection; each is answered with a reason."""
    waiting, count = list(messages()), 0
    while waiting:
        some, waiting = waiting[:MAX_FAULTS], waiting[MAX_FAULTS:]
        async with playing(running.port, cookie) as player:
            for message in some:
                await player.socket.send(message)
                assert (await player.told("notice"))["level"] == "error", message
                count += 1
    return count


async def closed_with(running: Running, cookie: str, sent: list[str | bytes], *, hello: bool = True) -> int:
    """The code with which the server ends a connection on which this was sent."""
    origin = f"http://127.0.0.1:{running.port}"
    async with connect(f"ws://127.0.0.1:{running.port}/play", origin=origin, additional_headers={"Cookie": cookie}, proxy=None) as socket:
        try:
            if hello:
                await socket.send('{"do": "hello"}')
            for message in sent:
                await socket.send(message)
            while True:
                await asyncio.wait_for(socket.recv(), 20)
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else 0


async def attack(running: Running) -> int:
    cookie, count = knock(running), 0
    async with playing(running.port, cookie) as player:
        await player.say("play")
        for what, data in requests(running.port, cookie):
            status = await ask(running.port, data)
            assert status == 0 or 400 <= status < 500, f"{what}: {data[:200]!r} was answered with {status}"
            count += 1
            if count % 20 == 0:
                assert isinstance(await player.frame(), Shown), "the one who plays was disturbed"
        count += await refused_messages(running, cookie)
        assert await closed_with(running, cookie, ['{"do": "pause"}' + " " * 5000]) == 1009
        assert await closed_with(running, cookie, ["x" * 1_000_000]) == 1009
        assert await closed_with(running, cookie, ['{"do": "pause"}'] * 2000) == 1008
        assert await closed_with(running, cookie, ["{"] * (MAX_FAULTS + 1)) == 1008
        for first in ("", "{}", '{"do": "act"}', '{"do": "hello", "session": 5}', b"hello", "[" * 3000):
            assert await closed_with(running, cookie, [first], hello=False) == 1008
        step = (await player.frame()).about["step"]
        while (await player.frame()).about["step"] < step + 20:
            continue
    return count + 10


def test_hostile_requests_are_refused_and_the_server_lives_on(tmp_path):
    with served(tmp_path, limits=GENEROUS) as running:
        assert asyncio.run(attack(running)) >= 200
        assert running.engine._thread.is_alive()
    assert not (tmp_path / "played").exists()


def test_the_door_is_not_open_to_guessing(tmp_path):
    async def guess() -> list[int]:
        with served(tmp_path, limits=Limits(requests_per_s=0.01, requests_burst=5)) as running:
            here = f"127.0.0.1:{running.port}"
            body = b'{"key": "guess"}'
            door = request("POST", "/enter", {"Host": here, "Origin": f"http://{here}", "Content-Length": str(len(body))}, body)
            return [await ask(running.port, door) for _ in range(8)]

    assert asyncio.run(guess()) == [403] * 5 + [429] * 3


@pytest.mark.parametrize("path", ["/", "/assets/page.js", "/nothing"])
def test_every_answer_bears_the_policy(tmp_path, path):
    async def headers() -> str:
        with served(tmp_path) as running:
            reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
            writer.write(request("GET", path, {"Host": f"127.0.0.1:{running.port}"}))
            found = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            writer.close()
            return found

    found = asyncio.run(headers())
    assert "content-security-policy: default-src 'none'; script-src 'self';" in found
    assert "unsafe" not in found and "x-frame-options: deny" in found and "cache-control: no-store" in found


def test_it_listens_on_this_machine_only(tmp_path):
    with served(tmp_path) as running:
        assert running._socket.getsockname()[0] == "127.0.0.1"
