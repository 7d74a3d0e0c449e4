"""The side-by-side film: real | foretold | error | foretold from another episode's actions, one row per held-out episode."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from armillary.evaluate.film_drawing import DREAM, GROUND, INK, PALE, SEEN, TRACK, enlarge, font
from armillary.evaluate.result import Sample

TILE = 224
GAP = 8
HEAD = 40
FOOT = 56
MARGIN = 16
ERROR_FULL = 0.4
HOLD_S = 1.2
COLUMNS = (("real", "what happened"), ("model", "what the model foretells"), ("error", "its error"))
OTHER_COLUMN = ("shuffled_actions", "told other actions")


@dataclass(frozen=True)
class Film:
    """Frames of the film, its rate, and which frame is the poster."""

    frames: UInt8[np.ndarray, "t h w 3"]
    fps: float
    poster: int


def make_film(samples: Sequence[Sample], seconds_per_step: float, *, poster_s: float = 1.0, rows: int = 3) -> Film:
    """Play the context, then the dream at its own pace, then hold the last picture for a moment."""
    shown = list(samples)[:rows]
    columns = [*COLUMNS, OTHER_COLUMN] if all(OTHER_COLUMN[0] in sample.predicted for sample in shown) else list(COLUMNS)
    num_context, num_future = len(shown[0].context), len(shown[0].real)
    blank = _canvas(shown, columns)
    frames = []
    for step in range(-num_context + 1, num_future + 1):
        frames.append(_draw(blank.copy(), shown, columns, step, num_future, seconds_per_step))
    frames += [frames[-1]] * round(HOLD_S / seconds_per_step)
    poster = num_context - 1 + min(max(round(poster_s / seconds_per_step), 1), num_future)
    return Film(np.stack(frames), 1.0 / seconds_per_step, poster)


def make_strip(sample: Sample, seconds_per_step: float, at_s: Sequence[float]) -> UInt8[np.ndarray, "h w 3"]:
    """One held-out window as a still: a row per subject, a column per second ahead."""
    from PIL import Image, ImageDraw

    names = [("real", "real"), *((name, _STRIP_NAMES[name]) for name in _STRIP_NAMES if name in sample.predicted)]
    steps = [0] + [min(max(round(horizon_s / seconds_per_step), 1), len(sample.real)) for horizon_s in at_s]
    tile, left = 160, 132
    image = Image.new("RGB", (left + len(steps) * (tile + GAP) + MARGIN - GAP, HEAD + len(names) * (tile + GAP) + MARGIN - GAP), GROUND)
    draw = ImageDraw.Draw(image)
    for column, step in enumerate(steps):
        text = "last seen" if step == 0 else f"+{step * seconds_per_step:.1f} s"
        draw.text((left + column * (tile + GAP) + tile / 2, HEAD / 2 + 2), text, fill=PALE, font=font(15), anchor="mm")
    for row, (name, label) in enumerate(names):
        top = HEAD + row * (tile + GAP)
        draw.multiline_text((MARGIN, top + tile / 2), label, fill=INK, font=font(15), anchor="lm", spacing=5)
        for column, step in enumerate(steps):
            image.paste(Image.fromarray(enlarge(_picture(sample, name, step), tile)), (left + column * (tile + GAP), top))
    return np.asarray(image)


_STRIP_NAMES = {"model": "the model", "shuffled_actions": "told other\nactions", "direct_unet": "direct U-Net", "copy_last": "copy-last"}


def make_still(sample: Sample, step: int) -> UInt8[np.ndarray, "h w 3"]:
    """Last frame seen, what happened and what was foretold after `step` steps, side by side."""
    pictures = [enlarge(picture, 160) for picture in (sample.context[-1], sample.real[step - 1], sample.predicted["model"][step - 1])]
    space = np.full((160, GAP, 3), GROUND, np.uint8)
    return np.concatenate([pictures[0], space, pictures[1], space, pictures[2]], axis=1)


def _canvas(samples: Sequence[Sample], columns: Sequence[tuple[str, str]]):
    """Labels that never change."""
    from PIL import Image, ImageDraw

    width = 2 * MARGIN + len(columns) * TILE + (len(columns) - 1) * GAP
    height = HEAD + len(samples) * (TILE + GAP) - GAP + FOOT
    image = Image.new("RGB", (width, height), GROUND)
    draw = ImageDraw.Draw(image)
    for column, (_, label) in enumerate(columns):
        draw.text((MARGIN + column * (TILE + GAP) + TILE / 2, HEAD / 2 + 2), label, fill=INK, font=font(16), anchor="mm")
    return image


def _draw(image, samples: Sequence[Sample], columns: Sequence[tuple[str, str]], step: int, num_future: int, seconds_per_step: float):
    """One frame: `step` 0 is the last picture seen, below are earlier ones, above is the dream."""
    from PIL import Image, ImageDraw

    for row, sample in enumerate(samples):
        for column, (name, _) in enumerate(columns):
            picture = _error(sample, step) if name == "error" else _picture(sample, name, step)
            image.paste(Image.fromarray(enlarge(picture, TILE)), (MARGIN + column * (TILE + GAP), HEAD + row * (TILE + GAP)))
    draw = ImageDraw.Draw(image)
    left, right, y = MARGIN, image.width - MARGIN, image.height - FOOT + 40
    num_context = len(samples[0].context)
    whole = num_context + num_future - 1
    now = left + (right - left) * (step + num_context - 1) / whole
    begin = left + (right - left) * (num_context - 1) / whole
    draw.rounded_rectangle((left, y, right, y + 6), 3, fill=TRACK)
    draw.rounded_rectangle((left, y, max(min(now, begin), left + 6), y + 6), 3, fill=SEEN)
    if step > 0:
        draw.rectangle((begin, y, now, y + 6), fill=DREAM)
    text = "it sees the real pictures" if step <= 0 else f"+{step * seconds_per_step:.1f} s   it sees nothing more: only the actions"
    draw.text((left, y - 17), text, fill=SEEN if step <= 0 else DREAM, font=font(15), anchor="lm")
    draw.text((right, y - 17), "error scale: black 0, white 40 % or more", fill=PALE, font=font(13), anchor="rm")
    return np.asarray(image)


def _picture(sample: Sample, name: str, step: int) -> UInt8[np.ndarray, "h w 3"]:
    if step <= 0:
        return sample.context[step - 1]
    return sample.real[step - 1] if name == "real" else sample.predicted[name][step - 1]


def _error(sample: Sample, step: int) -> UInt8[np.ndarray, "h w 3"]:
    """How far every pixel is off, in colours from black over red and yellow to white."""
    difference = np.abs(_picture(sample, "model", step).astype(np.float32) - _picture(sample, "real", step)).mean(axis=-1) / 255
    return _heat(np.clip(difference / ERROR_FULL, 0.0, 1.0))


def _heat(amount: Float[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    from matplotlib import colormaps

    return (colormaps["inferno"](amount)[..., :3] * 255).round().astype(np.uint8)
