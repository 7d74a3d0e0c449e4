"""Scenes at a glance: one picture of every camera of every scene."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from armillary.core import Prompt, seeded, to_disk
from armillary.worlds.twin.scenes.catalogue import build
from armillary.worlds.twin.world import TwinWorld

AFTER_STEPS = 10  # of 0.05 s: what falls is falling, what drives is at its target
INK, PAPER = (20, 20, 20), (255, 255, 255)
PER_ROW = 4


def contact_sheet(
    scenes: Sequence[str], *, seed: int, picture: tuple[int, int] = (240, 320), quality: str = "fine"
) -> UInt8[np.ndarray, "h w 3"]:
    """What every camera of each scene sees half a second after its start, at most PER_ROW pictures (height, width) a row, named.

    ConfigError for an unknown scene or quality.
    """
    rows = []
    for name in scenes:
        found = _pictures(name, seed, picture, quality)
        rows += [found[first : first + PER_ROW] for first in range(0, len(found), PER_ROW)]
    height, width = picture
    sheet = Image.new("RGB", (PER_ROW * width, len(rows) * height), PAPER)
    draw = ImageDraw.Draw(sheet)
    for row, shown in enumerate(rows):
        for column, (words, pixels) in enumerate(shown):
            sheet.paste(Image.fromarray(pixels), (column * width, row * height))
            draw.text((column * width + 4, row * height + 3), words, fill=INK)
    return np.asarray(sheet)


def _pictures(name: str, seed: int, picture: tuple[int, int], quality: str) -> list[tuple[str, UInt8[np.ndarray, "h w 3"]]]:
    scene = build(name, seed)
    world, rng = TwinWorld(scene, size=picture, quality=quality), seeded(seed)
    try:
        state = world.start(Prompt(), rng)
        for _ in range(AFTER_STEPS):
            state = world.step(state, world.targets[None], rng)
        seen = {camera.name: world.look(state, camera.name, ("rgb",))["rgb"] for camera in scene.cameras}
    finally:
        world.close()
    return [(f"{name}, {camera}", to_disk(pixels)[0]) for camera, pixels in seen.items()]
