"""Multi-block masking: which tokens the encoder sees and which the predictor must guess (arXiv:2404.08471, section 3.2; V-JEPA 2 keeps it).

A mask hides the union of a few blocks of one size at random places, through the whole time, so that it is drawn over the
rows and columns of one instant ("cells") and repeated for all.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Generator, Tensor

from armillary.core import ConfigError, WorldError
from armillary.worlds.jepa.vit import TokenGrid

_MOST_ATTEMPTS = 50


@dataclass(frozen=True, kw_only=True)
class BlockMask:
    """`blocks` blocks, each of `area` (a share of the picture) and with rows / columns within `aspect_ratio`."""

    blocks: int
    area: float
    aspect_ratio: tuple[float, float] = (0.75, 1.5)

    def __post_init__(self):
        if self.blocks < 1 or not 0 < self.area < 1:
            raise ConfigError(f"a mask needs one block or more, each of an area between 0 and 1; received {self.blocks} and {self.area}")
        if not 0 < self.aspect_ratio[0] <= self.aspect_ratio[1]:
            raise ConfigError(f"aspect_ratio must be (least, most) with 0 < least <= most, received {self.aspect_ratio}")


@dataclass(frozen=True)
class FutureMask:
    """What comes next: videos are seen whole up to an instant, one for all, and half of the places after it are asked for.

    V-JEPA 2 has no such mask. It asks for what moves, and how fast, more than blocks do that hide a place for all time.
    """


Mask = BlockMask | FutureMask
PUBLISHED = (BlockMask(blocks=8, area=0.15), BlockMask(blocks=2, area=0.7))


@dataclass(frozen=True)
class Masking:
    """Token numbers, ascending in each row: what is seen, and what is to be predicted."""

    visible: Int[Tensor, "b v"]
    hidden: Int[Tensor, "b m"]


def draw_masking(mask: Mask, grid: TokenGrid, rows: int, rng: Generator, *, least_visible: float = 0.0) -> Masking:
    """A masking for each of `rows` videos. One block size (or instant, where a mask asks for what comes next) for all, places of their own.

    Rows where fewer than `least_visible` of the cells (and at least one cell) would be seen are drawn again. For one tensor, all
    rows then see as many cells as the row that sees fewest and predict as many as the row that hides fewest; which of their
    cells are left out is drawn too. WorldError where what comes next is asked for in videos of one instant.
    """
    if isinstance(mask, FutureMask):
        return _draw_future(grid, rows, rng)
    height, width = _block_size(mask, grid, rng)
    least = max(1, math.ceil(least_visible * grid.rows * grid.columns))
    covered = _draw_cells(mask.blocks, height, width, grid, rows, rng)
    for _ in range(_MOST_ATTEMPTS):
        poor = (~covered).sum(1) < least
        if not poor.any():
            break
        covered = torch.where(poor[:, None], _draw_cells(mask.blocks, height, width, grid, rows, rng), covered)
    seen = (~covered).sum(1)
    num_visible, num_hidden = max(int(seen.min()), 1), max(int(covered.sum(1).min()), 1)
    priority = torch.rand(covered.shape, generator=rng, device=rng.device)
    return Masking(_tokens(priority - covered.float(), num_visible, grid), _tokens(priority + covered.float(), num_hidden, grid))


def draw_maskings(masks: Sequence[Mask], grid: TokenGrid, rows: int, rng: Generator, *, least_visible: float = 0.0) -> list[Masking]:
    """One masking of each kind; every video is learned from under all of them."""
    return [draw_masking(mask, grid, rows, rng, least_visible=least_visible) for mask in masks]


def _draw_future(grid: TokenGrid, rows: int, rng: Generator) -> Masking:
    if grid.times < 2:
        raise WorldError("what comes next cannot be guessed in videos of one instant; give two tubelets or more")
    cells = grid.rows * grid.columns
    first = int(torch.randint(1, grid.times, (), generator=rng, device=rng.device))
    seen = torch.arange(first * cells, device=rng.device).expand(rows, -1)
    priority = torch.rand(rows, cells, generator=rng, device=rng.device)
    after = replace(grid, times=grid.times - first)
    return Masking(seen, first * cells + _tokens(priority, max(cells // 2, 1), after))


def _block_size(mask: BlockMask, grid: TokenGrid, rng: Generator) -> tuple[int, int]:
    """Rows and columns of a block, at least one of each and at most the picture."""
    least, most = mask.aspect_ratio
    ratio = least + (most - least) * torch.rand((), generator=rng, device=rng.device).item()
    cells = int(grid.rows * grid.columns * mask.area)
    height, width = round(math.sqrt(cells * ratio)), round(math.sqrt(cells / ratio))
    return min(max(height, 1), grid.rows), min(max(width, 1), grid.columns)


def _draw_cells(blocks: int, height: int, width: int, grid: TokenGrid, rows: int, rng: Generator) -> Bool[Tensor, "b cells"]:
    """Which cells lie in one of the blocks."""
    place = torch.rand(rows, blocks, 2, generator=rng, device=rng.device)
    top, left = (_start(place[..., axis], size, side) for axis, size, side in ((0, height, grid.rows), (1, width, grid.columns)))
    row, column = (torch.arange(side, device=rng.device) for side in (grid.rows, grid.columns))
    inside_rows = (row >= top[..., None]) & (row < top[..., None] + height)
    inside_columns = (column >= left[..., None]) & (column < left[..., None] + width)
    return (inside_rows[..., :, None] & inside_columns[..., None, :]).any(1).flatten(1)


def _start(uniform: Float[Tensor, "b k"], size: int, side: int) -> Int[Tensor, "b k"]:
    return (uniform * (side - size + 1)).long().clamp(max=side - size)


def _tokens(preference: Float[Tensor, "b cells"], count: int, grid: TokenGrid) -> Int[Tensor, "b m"]:
    """The tokens of the `count` most preferred cells at all times."""
    cells = preference.topk(count, dim=1).indices.sort(dim=1).values
    times = torch.arange(grid.times, device=cells.device)[:, None] * (grid.rows * grid.columns)
    return (times + cells[:, None]).flatten(1)
