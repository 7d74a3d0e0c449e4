"""What a theme is."""

from dataclasses import dataclass

TEXTURES = ("plain", "checker", "grid", "planks", "dots", "stripes")


@dataclass(frozen=True, kw_only=True)
class Theme:
    """Colours (hex) by role, and the texture that mixes `floor` with `floor_accent`."""

    texture: str
    floor: str
    floor_accent: str
    wall: str
    wall_edge: str
    agent: str
    objects: tuple[str, str, str, str]
    goal: str
    ink: str
    sky_high: str
    sky_low: str
    hills: str
    ground: str
    grass: str
