"""Sprites of the platformer's tiles, drawn from formulas at any resolution, in every theme."""

from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from armillary.worlds.small.level import BRICK, COIN, EARTH, FLAG, GRASS
from armillary.worlds.small.themes import palette

FINER = 4  # each pixel is the mean of 4 x 4 points
NUM_KINDS = 6


def _coloured(cover: Tensor, colour: Tensor) -> Tensor:
    """A shape (`h w`, 0 to 1) in a theme's colour, alpha last and premultiplied."""
    return torch.cat([colour[:, None, None] * cover, cover[None]])


def _over(top: Tensor, bottom: Tensor) -> Tensor:
    return top + (1.0 - top[3:]) * bottom


def _draw(kind: int, colours: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
    """One tile (`4 h w`), x to the right and y upwards within [0, 1]."""
    full = torch.ones_like(x)
    if kind in (EARTH, GRASS):
        stones = ((((x * 2 + (y * 3).floor() * 0.37) % 1 - 0.5) ** 2 + ((y * 3) % 1 - 0.5) ** 2) < 0.06).float()
        earth = _over(_coloured(stones * 0.25, colours["ink"]), _coloured(full, colours["ground"]))
        if kind == EARTH:
            return earth
        blades = (y > 0.68 + 0.07 * torch.sin(x * 6 * torch.pi)).float()
        return _over(_coloured(blades, colours["grass"]), earth)
    if kind == BRICK:
        row = (y * 2).floor()
        mortar = ((((x + 0.25 * row) * 2) % 1 < 0.1) | ((y * 2) % 1 < 0.14)).float()
        return _over(_coloured(mortar * 0.45, colours["ink"]), _coloured(full, colours["wall"]))
    if kind == COIN:
        radius = ((x - 0.5) ** 2 + (y - 0.5) ** 2).sqrt()
        face = _over(_coloured((radius < 0.24).float(), colours["coin"]), _coloured((radius < 0.34).float(), colours["coin"] * 0.72))
        gleam = (((x - 0.42) ** 2 + (y - 0.6) ** 2).sqrt() < 0.07).float()
        return _over(_coloured(gleam, torch.ones(3)), face)
    if kind == FLAG:
        pole = ((x - 0.25).abs() < 0.06).float()
        cloth = ((x > 0.25) & (y > 0.5 + 0.5 * (x - 0.25)) & (y < 1.0 - 0.5 * (x - 0.25))).float()
        return _over(_coloured(cloth, colours["agent"]), _coloured(pole, colours["ink"]))
    return torch.zeros(4, *x.shape)


@cache
def tile_sprites(pixels: int) -> Float[Tensor, "themes kinds 4 {pixels} {pixels}"]:
    """Every kind of tile in every theme: red, green, blue, alpha, premultiplied."""
    fine = (torch.arange(pixels * FINER) + 0.5) / (pixels * FINER)
    y, x = torch.meshgrid(fine.flip(0), fine, indexing="ij")
    roles = {"ground": "ground", "grass": "grass", "wall": "wall", "ink": "ink", "coin": "objects.1", "agent": "agent"}
    tables = {name: palette(role) for name, role in roles.items()}
    themes = []
    for theme in range(len(tables["ink"])):
        colours = {name: table[theme] for name, table in tables.items()}
        themes.append(torch.stack([_draw(kind, colours, x, y) for kind in range(NUM_KINDS)]))
    sprites = torch.stack(themes).flatten(0, 1)
    return torch.nn.functional.avg_pool2d(sprites, FINER).unflatten(0, (len(themes), NUM_KINDS))
