"""Events that a small world can be told to begin, in words: rain, night, and a wall that rises ahead of the player and stops it.

An event fades in over FADE_STEPS steps and out again; what happens follows from the state, so a recording can be repeated.
"""

from functools import cache

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from armillary.worlds.small.level import BRICK, EARTH, GRASS, ROWS

RAIN, NIGHT, WALL = EVENTS = ("rain", "night", "a wall appears")
FADE_STEPS = 4
VEIL, VEIL_SHARE = (0.48, 0.53, 0.62), 0.3  # rain greys the picture
DROP, DROP_OPACITY = (0.82, 0.88, 0.97), 0.75
DROPS, DROP_LENGTH_M, DROP_WIDTH_M, DROP_M_PER_STEP = 40, 0.5, 0.125, 1.0
MOONLIGHT = (0.22, 0.26, 0.42)  # what is left of each colour at night
WALL_BLOCKS, WALL_AHEAD, FIRST_WALL_COLUMN = 4, 3, 3


def fade(strength: Float[Tensor, "b k"], event: Int[Tensor, " b"]) -> Float[Tensor, "b k"]:
    """How strong each event is a step later; `event` is the number of the one that goes on, from 1, or 0."""
    wanted = functional.one_hot(event, len(EVENTS) + 1)[:, 1:].to(strength.dtype)
    return strength + (wanted - strength).clamp(-1 / FADE_STEPS, 1 / FADE_STEPS)


def wall_column(x_m: Float[Tensor, " b"], facing: Float[Tensor, " b"], columns: int, page: int | None = None) -> Int[Tensor, " b"]:
    """Where a wall rises: WALL_AHEAD tiles ahead, or behind where the level's ends, or those of a `page` (its columns), are too near."""
    here, ahead = x_m.floor().long(), WALL_AHEAD * facing.long()
    first, last = torch.full_like(here, FIRST_WALL_COLUMN), torch.full_like(here, columns - 3)
    if page is not None:  # where it rises it is seen
        begin = here // page * page
        first, last = torch.maximum(first, begin), torch.minimum(last, begin + page - 1)
    fits = (here + ahead >= first) & (here + ahead <= last)
    return torch.where(fits, here + ahead, here - ahead).clamp(first, last)


def with_wall(tiles: Int[Tensor, "b r c"], column: Int[Tensor, " b"], strength: Float[Tensor, " b"]) -> Int[Tensor, "b r c"]:
    """The tiles with as many of the wall's blocks on the ground of `column` as have risen."""
    if not bool((strength > 0).any()):
        return tiles
    here = torch.arange(tiles.shape[2], device=tiles.device) == column[:, None]
    ground = ((tiles == GRASS) | (tiles == EARTH)) & here[:, None]
    base, risen = ground.flatten(1).sum(dim=1), (WALL_BLOCKS * strength).round()
    row = torch.arange(ROWS, device=tiles.device)
    blocks = (row >= base[:, None]) & (row < (base + risen)[:, None])
    return tiles.masked_fill(blocks[:, :, None] & here[:, None], BRICK)


def darken(picture: Float[Tensor, "b 3 h w"], strength: Float[Tensor, " b"]) -> None:
    """Night falls on pictures (painted in place)."""
    left = torch.tensor(MOONLIGHT, device=picture.device)
    picture.mul_((1 + strength[:, None] * (left - 1))[:, :, None, None])


def rain(picture: Float[Tensor, "b 3 h w"], strength: Float[Tensor, " b"], clock: Int[Tensor, " b"], metres_per_pixel: float) -> None:
    """Rain falls on pictures (painted in place); `clock` counts steps."""
    height, width = picture.shape[-2:]
    veil, drop = (torch.tensor(colour, device=picture.device)[:, None, None] for colour in (VEIL, DROP))
    picture.lerp_(veil.expand_as(picture), (VEIL_SHARE * strength)[:, None, None, None])
    x, y = _drops().to(picture.device)
    deep = height * metres_per_pixel + DROP_LENGTH_M  # a drop comes back above when it has left below
    top = (y * deep + DROP_M_PER_STEP * clock[:, None]) % deep - DROP_LENGTH_M
    across = _share(torch.arange(width, device=picture.device), metres_per_pixel, x * width * metres_per_pixel, DROP_WIDTH_M)
    down = _share(torch.arange(height, device=picture.device), metres_per_pixel, top, DROP_LENGTH_M)
    cover = torch.einsum("bdh,dw->bhw", down, across).clamp_(max=1.0) * (DROP_OPACITY * strength)[:, None, None]
    picture.lerp_(drop.expand_as(picture), cover[:, None])


def _share(pixel: Tensor, metres_per_pixel: float, first_m: Tensor, length_m: float) -> Tensor:
    """The share of each pixel that lies within `length_m` from `first_m` on."""
    begin = pixel * metres_per_pixel
    end = torch.minimum(begin + metres_per_pixel, first_m[..., None] + length_m)
    return ((end - torch.maximum(begin, first_m[..., None])) / metres_per_pixel).clamp_(0.0, 1.0)


@cache
def _drops() -> Float[Tensor, "2 d"]:
    """Where each drop falls, as shares of the picture's width and height: spread evenly, by the golden ratio and its square."""
    number = torch.arange(DROPS, dtype=torch.float32)
    return torch.stack([number * 0.618034 % 1, number * 0.381966 * 7.3 % 1])
