"""Themes drawn by chance: the same worlds in colours that nobody chose, so that what is learned does not hang on any.

Domain randomisation (arXiv:1703.06907): a look never seen is one more of many.
"""

import random

from armillary.worlds.small.theme import TEXTURES, Theme

COUNT = 96
APART = 0.35  # in red, green and blue: how far at least the colour of a thing is from what lies behind it
SHADE = 0.3  # how far of the way to another colour its second shade is

Colour = tuple[float, float, float]


def draw_theme(number: int) -> Theme:
    """The theme of that number, always the same one."""
    rng = random.Random(number)
    floor, sky_high, hills = (_any(rng) for _ in range(3))
    sky_low, floor_accent = _towards(sky_high, _any(rng), SHADE), _towards(floor, _any(rng), SHADE)
    behind = (floor, floor_accent, sky_high, sky_low, hills)
    wall, ground = _apart(rng, behind), _apart(rng, behind)
    agent = _apart(rng, (*behind, wall, ground))
    objects = tuple(_apart(rng, (*behind, agent)) for _ in range(4))
    return Theme(
        texture=rng.choice(TEXTURES),
        floor=_hex(floor),
        floor_accent=_hex(floor_accent),
        wall=_hex(wall),
        wall_edge=_hex(_towards(wall, _any(rng), SHADE)),
        agent=_hex(agent),
        objects=tuple(_hex(colour) for colour in objects),
        goal=_hex(objects[2]),
        ink=_hex(_apart(rng, behind)),
        sky_high=_hex(sky_high),
        sky_low=_hex(sky_low),
        hills=_hex(hills),
        ground=_hex(ground),
        grass=_hex(_apart(rng, (*behind, agent))),
    )


def _any(rng: random.Random) -> Colour:
    return rng.random(), rng.random(), rng.random()


def _towards(colour: Colour, other: Colour, share: float) -> Colour:
    return tuple(one + share * (two - one) for one, two in zip(colour, other, strict=True))


def _apart(rng: random.Random, others: tuple[Colour, ...]) -> Colour:
    """Any colour that is APART from the others; they are few, so there is always room."""
    while True:
        colour = _any(rng)
        if all(sum((one - two) ** 2 for one, two in zip(colour, other, strict=True)) >= APART**2 for other in others):
            return colour


def _hex(colour: Colour) -> str:
    return "#" + "".join(f"{round(255 * part):02x}" for part in colour)
