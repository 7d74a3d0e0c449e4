"""The catalogue of object families: what there is, and how one is made."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from armillary.core import ConfigError
from armillary.worlds.twin.asset import Asset
from armillary.worlds.twin.objects import furniture, jointed, solids, tools, vessels

SIZES = ("hand", "room")


@dataclass(frozen=True)
class Family:
    """`draw` makes an asset from random numbers. Things of size "hand" lie on a table; those of size "room" stand on the floor."""

    draw: Callable[[np.random.Generator], Asset]
    size: str = "hand"


FAMILIES: dict[str, Family] = {
    "apple": Family(solids.apple),
    "ball": Family(solids.ball),
    "banana": Family(solids.banana),
    "book": Family(solids.book),
    "bottle": Family(vessels.bottle),
    "bowl": Family(vessels.bowl),
    "box": Family(solids.carton),
    "brick": Family(solids.brick),
    "cabinet": Family(jointed.cabinet, "room"),
    "can": Family(vessels.can),
    "chair": Family(furniture.chair, "room"),
    "cup": Family(vessels.cup),
    "die": Family(solids.die),
    "door": Family(jointed.door, "room"),
    "fork": Family(tools.fork),
    "hammer": Family(tools.hammer),
    "jar": Family(vessels.jar),
    "lamp": Family(furniture.lamp),
    "lidded_box": Family(jointed.lidded_box),
    "mug": Family(vessels.mug),
    "plate": Family(vessels.plate),
    "ring": Family(vessels.ring),
    "screwdriver": Family(tools.screwdriver),
    "shelf": Family(furniture.shelf, "room"),
    "sofa": Family(furniture.sofa, "room"),
    "spoon": Family(tools.spoon),
    "stand": Family(solids.stand),
    "table": Family(furniture.table, "room"),
    "tray": Family(vessels.tray),
}


def make(family: str, seed: int) -> Asset:
    """The asset that a family gives for a seed (>= 0): metres, its origin the middle of its foot. ConfigError for an unknown family.

    >>> make("die", 0) == make("die", 0), make("die", 0) == make("die", 1)
    (True, False)
    """
    if family not in FAMILIES:
        raise ConfigError(f"there is no object family {family!r}; families: {', '.join(FAMILIES)}")
    return FAMILIES[family].draw(np.random.default_rng(seed))


def names(size: str) -> tuple[str, ...]:
    """The families of a size, in the catalogue's order. ConfigError for an unknown size."""
    if size not in SIZES:
        raise ConfigError(f"size must be one of {', '.join(SIZES)}, received {size!r}")
    return tuple(name for name, family in FAMILIES.items() if family.size == size)
