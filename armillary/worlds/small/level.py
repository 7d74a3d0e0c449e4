"""Levels of the platformer: ground with pits, platforms, coins, each a pure function of its number."""

from functools import lru_cache

import numpy as np

ROWS = 8
EMPTY, GRASS, EARTH, BRICK, COIN, FLAG = range(6)
START_COLUMNS = 3  # flat ground at both ends


@lru_cache(maxsize=512)
def build_level(number: int, columns: int) -> np.ndarray:
    """Tiles `ROWS x columns` (uint8, row 0 lowest) that can be walked from end to end.

    A pit is at most two tiles wide, a step one tile high, and under a platform the ground is level.
    """
    chance = np.random.default_rng([number, columns])
    tiles = np.zeros((ROWS, columns), dtype=np.uint8)
    height, column, since_pit, busy_until = 2, 0, 0, 0
    while column < columns:
        inner = START_COLUMNS <= column < columns - START_COLUMNS
        free = inner and column >= busy_until
        if free and since_pit > 2 and chance.random() < 0.22:
            column = min(column + int(chance.integers(1, 3)), columns - START_COLUMNS)
            since_pit = 0
            continue
        if free and since_pit > 0:
            height = int(np.clip(height + chance.choice([-1, 0, 0, 1]), 1, 3))
        tiles[:height, column] = EARTH
        tiles[height - 1, column] = GRASS
        if free and chance.random() < 0.3:
            busy_until = column + _decorate(tiles, column, height, chance) + 1
        column, since_pit = column + 1, since_pit + 1
    tiles[int((tiles[:, columns - 2] > 0).sum()), columns - 2] = FLAG
    tiles.setflags(write=False)
    return tiles


def _decorate(tiles: np.ndarray, column: int, height: int, chance: np.random.Generator) -> int:
    """A platform with coins on it, or coins in the air; the number of columns it takes."""
    length = min(int(chance.integers(1, 4)), tiles.shape[1] - START_COLUMNS - column)
    row = min(height + 2, ROWS - 2)
    if chance.random() < 0.6:
        tiles[row, column : column + length] = BRICK
        tiles[row + 1, column : column + length] = COIN
    else:
        tiles[row - 1, column : column + length] = COIN
    return length
