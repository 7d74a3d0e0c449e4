"""A player without a browser, who knocks at the door like a page: for the self-check, tests and load."""

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from armillary.core import ArmillaryError
from armillary.serve.launch import HOST, Running
from armillary.serve.messages import unpack_frame

ANSWER_S = 30.0


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A frame as it came: what is said of it, and its pictures as files."""

    about: dict[str, Any]
    pictures: dict[str, bytes]


@dataclass(kw_only=True)
class Player:
    """One connection. `words` are the messages in JSON that came so far, by kind, the latest of each."""

    socket: Any
    words: dict[str, dict[str, Any]] = field(default_factory=dict)
    sequence: int = 0

    async def say(self, do: str, **told: object) -> None:
        """Send an order."""
        await self.socket.send(json.dumps({"do": do, **told}))

    async def act(self, value: object) -> int:
        """Hold an action from now on; its number, which comes back with the first frame that it led to."""
        self.sequence += 1
        await self.say("act", value=value, sequence=self.sequence)
        return self.sequence

    async def next(self, *, seen: bool = True) -> Shown | dict[str, Any]:
        """The next message. Frames are acknowledged unless `seen` is false: then no more than two will come."""
        message = await asyncio.wait_for(self.socket.recv(), ANSWER_S)
        if isinstance(message, str):
            told = json.loads(message)
            self.words[told["kind"]] = told
            return told
        shown = Shown(**dict(zip(("about", "pictures"), unpack_frame(message), strict=True)))
        if seen:
            await self.say("seen", frame=shown.about["frame"])
        return shown

    async def frame(self) -> Shown:
        """The next frame."""
        while not isinstance(found := await self.next(), Shown):
            continue
        return found

    async def told(self, kind: str) -> dict[str, Any]:
        """The next message of this kind."""
        while isinstance(found := await self.next(), Shown) or found["kind"] != kind:
            continue
        return found


def knock(running: Running) -> str:
    """Exchange the server's key for a cookie, as the page does. ArmillaryError when the door stays shut."""
    address = f"http://{HOST}:{running.port}"
    body = json.dumps({"key": running.server.keys.key}).encode()
    request = urllib.request.Request(f"{address}/enter", data=body, headers={"Origin": address}, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:
            return answer.headers["set-cookie"].split(";")[0]
    except urllib.error.URLError as error:
        raise ArmillaryError(f"the server at {address} did not let its own check in ({error})") from error


@asynccontextmanager
async def playing(port: int, cookie: str, *, session: str = "") -> AsyncIterator[Player]:
    """A player who was welcomed by the server at this port."""
    from websockets.asyncio.client import connect

    origin, address = f"http://{HOST}:{port}", f"ws://{HOST}:{port}/play"
    async with connect(address, origin=origin, additional_headers={"Cookie": cookie}, compression=None, proxy=None) as socket:
        player = Player(socket=socket)
        await player.say("hello", session=session)
        await player.told("welcome")
        yield player
