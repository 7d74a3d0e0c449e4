"""Levels of light: as a screen is told (sRGB, IEC 61966-2-1), which is how materials are kept, and linear, as OpenUSD keeps them."""


def to_linear(level: float) -> float:
    """Of an sRGB level in [0, 1].

    >>> to_linear(1.0)
    1.0
    """
    return level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4


def to_screen(level: float) -> float:
    """Of a linear level; what is below 0 or above 1 is cut off there.

    >>> round(to_screen(to_linear(0.5)), 12)
    0.5
    """
    level = min(max(level, 0.0), 1.0)
    return 12.92 * level if level <= 0.0031308 else 1.055 * level ** (1 / 2.4) - 0.055
