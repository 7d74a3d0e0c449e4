"""What things are made of and how that looks: substances with numbers from the table of materials, and colours that go together."""

from typing import NamedTuple

import numpy as np

from armillary.core import ConfigError
from armillary.worlds.twin.asset import Material
from armillary.worlds.twin.material_table import guess_material
from armillary.worlds.twin.quantity import Quantity

Colour = tuple[float, float, float]


class Look(NamedTuple):
    """How a substance shines."""

    roughness: float = 0.6
    metallic: float = 0.0


LOOKS: dict[str, Look] = {
    "wood": Look(0.6),
    "plastic": Look(0.35),
    "rubber": Look(0.8),
    "steel": Look(0.25, 0.9),
    "aluminium": Look(0.3, 0.8),
    "glass": Look(0.1),
    "ceramic": Look(0.2),
    "brick": Look(0.95),
    "stone": Look(0.9),
    "concrete": Look(0.95),
    "paper": Look(0.85),
    "cardboard": Look(0.9),
    "cloth": Look(0.95),
    "foam": Look(0.95),
    "fruit": Look(0.4),
    "liquid": Look(0.2),
    "plaster": Look(0.95),
    "asphalt": Look(0.95),
}
# Substances that the table of materials lacks: density kg/m3, sliding friction, restitution, each as (low, usual, high). "liquid" is
# a closed vessel full of something to drink, "fruit" a whole one.
MORE: dict[str, tuple[tuple[float, float, float], ...]] = {
    "fruit": ((780.0, 900.0, 1000.0), (0.35, 0.5, 0.65), (0.15, 0.3, 0.45)),
    "liquid": ((900.0, 1020.0, 1150.0), (0.25, 0.4, 0.55), (0.1, 0.25, 0.4)),
    "plaster": ((700.0, 900.0, 1200.0), (0.4, 0.6, 0.8), (0.1, 0.2, 0.3)),
    "asphalt": ((2100.0, 2300.0, 2450.0), (0.6, 0.8, 1.0), (0.1, 0.2, 0.3)),
}

# Colours that go well together and stay apart from pale walls and wooden tables.
PALETTE: dict[str, Colour] = {
    "red": (0.80, 0.20, 0.18),
    "orange": (0.92, 0.52, 0.16),
    "yellow": (0.95, 0.78, 0.24),
    "green": (0.30, 0.62, 0.34),
    "teal": (0.14, 0.55, 0.56),
    "blue": (0.20, 0.42, 0.76),
    "navy": (0.16, 0.22, 0.42),
    "purple": (0.50, 0.33, 0.66),
    "pink": (0.90, 0.52, 0.60),
    "cream": (0.95, 0.91, 0.82),
    "white": (0.94, 0.94, 0.93),
    "charcoal": (0.20, 0.21, 0.23),
}
WOODS: tuple[Colour, ...] = ((0.76, 0.58, 0.38), (0.62, 0.43, 0.26), (0.85, 0.71, 0.52), (0.45, 0.29, 0.18))


def material(name: str, substance: str, colour: Colour, *, opacity: float = 1.0) -> Material:
    """A material of a substance (one of LOOKS), its numbers marked as estimated. ConfigError for an unknown substance."""
    if substance not in LOOKS:
        raise ConfigError(f"substance must be one of {', '.join(sorted(LOOKS))}, received {substance!r}")
    if substance in MORE:
        note = f"rough, for {substance}"
        density, friction, restitution = (Quantity(usual, "estimated", low, high, note) for low, usual, high in MORE[substance])
    else:
        row = guess_material(substance)
        density, friction, restitution = row.density, row.friction, row.restitution
    look = LOOKS[substance]
    return Material(
        name=name,
        colour=(*colour, opacity),
        density=density,
        friction=friction,
        restitution=restitution,
        roughness=look.roughness,
        metallic=look.metallic,
    )


def bright(rng: np.random.Generator, *, leave_out: tuple[str, ...] = ()) -> Colour:
    """A colour of the palette, a little lighter or darker than there."""
    names = [name for name in PALETTE if name not in leave_out]
    shade = rng.uniform(0.92, 1.06)
    return tuple(min(1.0, float(part * shade)) for part in PALETTE[names[rng.integers(len(names))]])


def several(rng: np.random.Generator, count: int) -> list[Colour]:
    """`count` colours of the palette, all different as long as there are enough."""
    order = rng.permutation(len(PALETTE))
    return [list(PALETTE.values())[order[k % len(order)]] for k in range(count)]


def wooden(rng: np.random.Generator) -> Colour:
    """The colour of some wood."""
    shade = rng.uniform(0.93, 1.05)
    return tuple(min(1.0, float(part * shade)) for part in WOODS[rng.integers(len(WOODS))])
