"""Scenes at a glance: one picture of every camera of every scene, and of what each randomiser makes of it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from armillary.core import Prompt, seeded, to_disk
from armillary.worlds.twin.distractors import ground_of
from armillary.worlds.twin.randomise import NOTHING, Randomiser, eyes, randomise
from armillary.worlds.twin.scene import Scene
from armillary.worlds.twin.scenes.catalogue import build
from armillary.worlds.twin.world import TwinWorld

AFTER_STEPS = 10  # of 0.05 s: what falls is falling, what drives is at its target
INK, PAPER = (20, 20, 20), (255, 255, 255)
WORDS_PX = 15
PER_ROW = 4
# As strongly as one may sensibly ask for, so that it shows in one small picture; what moves or weighs otherwise does not show in any.
SHOWN: dict[str, float | tuple[int, ...]] = {
    "light": 0.5,
    "light_deg": 40.0,
    "colour": 0.2,
    "texture": 0.6,
    "distractors": (5, 5),
    "camera_m": 0.25,
    "camera_deg": 8.0,
    "fov_deg": 15.0,
    "lens": 1.0,
    "exposure": 0.5,
    "white_balance": 0.3,
    "image_noise": 0.08,
    "shot_noise": 0.1,
}
Tile = tuple[str, UInt8[np.ndarray, "high wide 3"]]


def contact_sheet(
    scenes: Sequence[str], *, seed: int, picture: tuple[int, int] = (240, 320), quality: str = "fine", randomised: Sequence[str] = ()
) -> UInt8[np.ndarray, "h w 3"]:
    """What every camera of each scene sees half a second after its start, at most PER_ROW pictures (height, width) a row, named.

    Each scene in `randomised` is followed by what its first camera sees where one setting alone is as SHOWN, but for distractors where
    nothing could hold them. ConfigError for an unknown scene or quality.
    """
    rows = []
    for name in scenes:
        scene = build(name, seed)
        found = [(f"{name}, {camera}", pixels) for camera, pixels in _pictures(scene, NOTHING, seed, picture, quality)]
        rows += [found[first : first + PER_ROW] for first in range(0, len(found), PER_ROW)]
        if name in randomised:
            found = list(_randomised(name, scene, seed, picture, quality))
            rows += [found[first : first + PER_ROW] for first in range(0, len(found), PER_ROW)]
    return _sheet(rows, picture)


def _sheet(rows: list[list[Tile]], picture: tuple[int, int]) -> UInt8[np.ndarray, "h w 3"]:
    height, width = picture
    sheet, font = Image.new("RGB", (PER_ROW * width, len(rows) * height), PAPER), ImageFont.load_default(WORDS_PX)
    for row, shown in enumerate(rows):
        for column, (words, pixels) in enumerate(shown):
            tile = Image.fromarray(pixels)
            draw = ImageDraw.Draw(tile)
            draw.rectangle((0, 0, draw.textlength(words, font=font) + 8, WORDS_PX + 5), fill=PAPER)
            draw.text((4, 1), words, fill=INK, font=font)
            sheet.paste(tile, (column * width, row * height))
    return np.asarray(sheet)


def _randomised(name: str, scene: Scene, seed: int, picture: tuple[int, int], quality: str) -> Iterator[Tile]:
    for setting, value in SHOWN.items():
        if setting == "distractors" and ground_of(scene) is None:
            continue
        settings = replace(NOTHING, **{setting: value})
        words = "-".join(map(str, sorted(set(value)))) if isinstance(value, tuple) else f"{value:g}"
        only = replace(scene, cameras=scene.cameras[:1])
        for _, pixels in _pictures(only, settings, seed, picture, quality):
            yield f"{name}, {setting.replace('_', '-')} {words}", pixels


def _pictures(scene: Scene, settings: Randomiser, seed: int, picture: tuple[int, int], quality: str) -> list[Tile]:
    """What every camera sees, by its name."""
    scene_rng, eyes_rng, noise_rng = np.random.default_rng(seed).spawn(3)
    scene = randomise(scene, settings, scene_rng)
    world, rng, found = TwinWorld(scene, size=picture, quality=quality), seeded(seed), []
    try:
        state = world.start(Prompt(), rng)
        for _ in range(AFTER_STEPS):
            state = world.step(state, world.targets[None], rng)
        drawn = eyes(scene, settings, picture, eyes_rng)
        for camera in scene.cameras:
            pixels = to_disk(world.look(state, camera.name, ("rgb",))["rgb"])
            found.append((camera.name, drawn[camera.name].sees({"rgb": pixels}, noise_rng)["rgb"][0]))
    finally:
        world.close()
    return found
