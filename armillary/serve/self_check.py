"""Does it play here? A server, a player of its own, one step, and an end."""

import asyncio
import io
import time

from PIL import Image

from armillary.core import ArmillaryError
from armillary.serve.client import knock, playing
from armillary.serve.launch import Running, Service, serving


def check(service: Service) -> dict[str, float]:
    """Milliseconds of a step, and from an action to its picture, through the server's own WebSocket. ArmillaryError where it fails."""
    with serving(service) as running:
        return asyncio.run(_play(running))


async def _play(running: Running) -> dict[str, float]:
    async with playing(running.port, knock(running)) as player:
        first = await player.frame()
        begin = time.perf_counter()
        value = running.engine.playable.controls.neutral
        sequence = await player.act(value if isinstance(value, int) else list(value))
        await player.say("step", count=1)
        shown = first
        while shown.about["sequence"] < sequence or shown.about["step"] == first.about["step"]:
            shown = await player.frame()
            if problem := player.words.get("status", {}).get("problem"):
                raise ArmillaryError(f"the world could not be stepped: {problem}")
        took_ms = 1000 * (time.perf_counter() - begin)
        for name, picture in shown.pictures.items():
            size = Image.open(io.BytesIO(picture)).size[::-1]
            if size != running.engine.playable.size:
                raise ArmillaryError(f"the picture {name!r} came as {size}, not {running.engine.playable.size}")
        return {"step_ms": shown.about["step_ms"], "round_trip_ms": round(took_ms, 2)}
