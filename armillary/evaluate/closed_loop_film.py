"""The film of a closed loop: a grid of episodes, each with its goal beside it and a frame that turns green when it is solved."""

import numpy as np
from jaxtyping import UInt8

from armillary.core import ConfigError
from armillary.evaluate.closed_loop_result import ClosedLoopResult
from armillary.evaluate.film_drawing import DREAM, GROUND, INK, PALE, TRACK, enlarge, font

TILE, GAP, MARGIN, HEAD, FOOT, EDGE = 192, 8, 16, 40, 44, 4
PAIRS_A_ROW = 3
HOLD_S = 1.2
SOLVED, UNSOLVED = (88, 196, 120), (214, 88, 80)


def make_film(result: ClosedLoopResult, title: str) -> UInt8[np.ndarray, "t h w 3"]:
    """The first subject's episodes at `1 / seconds_per_step` frames a second; the last picture is held for a moment.

    A frame turns red at the end where the task was not solved; without a judgement it stays plain.
    """
    if result.film is None or result.goals is None:
        raise ConfigError("no episodes were kept as pictures; run the closed loop with film=6 or so")
    outcome = next(iter(result.outcomes.values()))
    solved_at = None if outcome.solved_at is None else outcome.solved_at[: len(result.goals)]
    blank = _canvas(result, title)
    steps = len(result.film) - 1
    frames = [_draw(blank.copy(), result, solved_at, step, steps) for step in range(steps + 1)]
    frames += [frames[-1]] * max(round(HOLD_S / result.seconds_per_step), 1)
    return np.stack(frames)


def _corner(index: int) -> tuple[int, int]:
    """Left and top of a pair of tiles."""
    row, column = divmod(index, PAIRS_A_ROW)
    return MARGIN + column * (2 * TILE + 3 * GAP), HEAD + row * (TILE + 2 * GAP)


def _canvas(result: ClosedLoopResult, title: str):
    """What never changes: the words and the goals."""
    from PIL import Image, ImageDraw

    count = len(result.goals)
    columns, rows = min(count, PAIRS_A_ROW), -(-count // PAIRS_A_ROW)
    width = 2 * MARGIN + columns * (2 * TILE + 3 * GAP) - 2 * GAP
    height = HEAD + rows * (TILE + 2 * GAP) - GAP + FOOT
    image = Image.new("RGB", (width + width % 2, height + height % 2), GROUND)
    draw = ImageDraw.Draw(image)
    draw.text((MARGIN, HEAD / 2), title, fill=INK, font=font(15), anchor="lm")
    draw.text((width - MARGIN, HEAD / 2), "now | goal", fill=PALE, font=font(15), anchor="rm")
    for index, goal in enumerate(result.goals):
        left, top = _corner(index)
        image.paste(Image.fromarray(enlarge(goal, TILE)), (left + TILE + GAP, top))
    return image


def _draw(image, result: ClosedLoopResult, solved_at: np.ndarray | None, step: int, steps: int) -> UInt8[np.ndarray, "h w 3"]:
    from PIL import Image, ImageDraw

    draw = ImageDraw.Draw(image)
    for index, picture in enumerate(result.film[step]):
        left, top = _corner(index)
        image.paste(Image.fromarray(enlarge(picture, TILE)), (left, top))
        if solved_at is not None:
            done = 0 < solved_at[index] <= step
            colour = SOLVED if done else UNSOLVED if step == steps else None
            if colour:
                draw.rectangle((left, top, left + TILE - 1, top + TILE - 1), outline=colour, width=EDGE)
    left, right, y = MARGIN, image.width - MARGIN, image.height - FOOT / 2 + 8
    draw.rounded_rectangle((left, y, right, y + 6), 3, fill=TRACK)
    draw.rounded_rectangle((left, y, max(left + (right - left) * step / max(steps, 1), left + 6), y + 6), 3, fill=DREAM)
    count = "" if solved_at is None else f"   {int(((solved_at > 0) & (solved_at <= step)).sum())} of {len(solved_at)} solved"
    draw.text((left, y - 14), f"{step * result.seconds_per_step:.1f} s{count}", fill=PALE, font=font(14), anchor="lm")
    return np.asarray(image)
