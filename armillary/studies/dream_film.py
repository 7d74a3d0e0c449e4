"""A dream to look at: a film of all samples (and of what really happened) side by side, and a still of some of their moments."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from armillary.evaluate.film_drawing import DREAM, GROUND, INK, PALE, SEEN, TRACK, enlarge, font

TILE, GAP, MARGIN, HEAD, FOOT = 256, 8, 16, 32, 72
PANELS_A_ROW = 4
STRIP_TILE, STRIP_LEFT, STRIP_MOMENTS = 112, 128, 7


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What is shown: panels of equally many frames by their names, the frames seen before, and the words at the foot."""

    panels: Mapping[str, UInt8[np.ndarray, "t h w 3"]]
    context: UInt8[np.ndarray, "k h w 3"]
    seconds_per_step: float
    foot: str

    @property
    def steps(self) -> int:
        """How many steps were dreamt."""
        return len(next(iter(self.panels.values())))

    def picture(self, name: str, step: int) -> UInt8[np.ndarray, "h w 3"]:
        """A panel's picture after `step` steps; of step 0 and before what was seen."""
        return self.panels[name][step - 1] if step > 0 else self.context[step - 1]


def film(shown: Shown) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """The frames seen, then those dreamt, one for each step; a bar at the foot says which is which."""
    blank = _canvas(shown)
    for step in range(1 - len(shown.context), shown.steps + 1):
        yield _draw(blank.copy(), shown, step)


def strip(shown: Shown) -> UInt8[np.ndarray, "h w 3"]:
    """A row a panel: the last frame seen, and moments evenly spread over the dream."""
    from PIL import Image, ImageDraw

    last = [0] if len(shown.context) else []
    moments = [*last, *np.unique(np.linspace(1, shown.steps, STRIP_MOMENTS).round().astype(int)).tolist()]
    width, height = len(moments) * (STRIP_TILE + GAP), len(shown.panels) * (STRIP_TILE + GAP)
    image = Image.new("RGB", (STRIP_LEFT + width + MARGIN - GAP, HEAD + height + HEAD - GAP), GROUND)
    draw = ImageDraw.Draw(image)
    for column, step in enumerate(moments):
        text = f"+{step * shown.seconds_per_step:.1f} s" if step else "last seen"
        draw.text((STRIP_LEFT + column * (STRIP_TILE + GAP) + STRIP_TILE / 2, HEAD / 2), text, fill=PALE, font=font(13), anchor="mm")
    for row, name in enumerate(shown.panels):
        top = HEAD + row * (STRIP_TILE + GAP)
        draw.text((MARGIN, top + STRIP_TILE / 2), name, fill=INK, font=font(13), anchor="lm")
        for column, step in enumerate(moments):
            tile = Image.fromarray(enlarge(shown.picture(name, step), STRIP_TILE))
            image.paste(tile, (STRIP_LEFT + column * (STRIP_TILE + GAP), top))
    draw.text((MARGIN, image.height - HEAD / 2), shown.foot, fill=PALE, font=font(12), anchor="lm")
    return np.asarray(image)


def _corner(index: int) -> tuple[int, int]:
    """Left and top of a panel."""
    row, column = divmod(index, PANELS_A_ROW)
    return MARGIN + column * (TILE + GAP), HEAD + row * (TILE + HEAD)


def _canvas(shown: Shown):
    """What never changes: the names of the panels, and the foot."""
    from PIL import Image, ImageDraw

    columns, rows = min(len(shown.panels), PANELS_A_ROW), -(-len(shown.panels) // PANELS_A_ROW)
    width, height = 2 * MARGIN + columns * (TILE + GAP) - GAP, rows * (TILE + HEAD) + FOOT
    image = Image.new("RGB", (width + width % 2, height + height % 2), GROUND)
    draw = ImageDraw.Draw(image)
    for index, name in enumerate(shown.panels):
        left, top = _corner(index)
        draw.text((left + TILE / 2, top - HEAD / 2), name, fill=INK, font=font(15), anchor="mm")
    draw.text((MARGIN, image.height - 14), shown.foot, fill=PALE, font=font(11), anchor="lm")
    return image


def _draw(image, shown: Shown, step: int) -> UInt8[np.ndarray, "h w 3"]:
    """One frame: `step` 0 is the last picture seen, below are earlier ones, above is the dream."""
    from PIL import Image, ImageDraw

    for index, name in enumerate(shown.panels):
        image.paste(Image.fromarray(enlarge(shown.picture(name, step), TILE)), _corner(index))
    draw = ImageDraw.Draw(image)
    left, right, y = MARGIN, image.width - MARGIN, image.height - FOOT + 36
    before = max(len(shown.context) - 1, 0)
    whole = before + shown.steps
    begin, now = (left + (right - left) * (place + before) / whole for place in (0, step))
    draw.rounded_rectangle((left, y, right, y + 6), 3, fill=TRACK)
    draw.rounded_rectangle((left, y, max(min(now, begin), left + 6), y + 6), 3, fill=SEEN)
    if step > 0:
        draw.rectangle((begin, y, now, y + 6), fill=DREAM)
    text = f"+{step * shown.seconds_per_step:.1f} s, dreamt" if step > 0 else "it sees real pictures"
    draw.text((left, y - 16), text, fill=DREAM if step > 0 else SEEN, font=font(15), anchor="lm")
    return np.asarray(image)
