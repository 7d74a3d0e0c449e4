"""Themes: how a small world looks. The same physics under another theme is the simplest shift of appearance."""

from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from armillary.worlds.small.drawn_themes import COUNT, draw_theme
from armillary.worlds.small.theme import TEXTURES, Theme

THEMES: dict[str, Theme] = {
    "paper": Theme(
        texture="grid",
        floor="#f6f1e4",
        floor_accent="#e6dcc6",
        wall="#3d4a63",
        wall_edge="#2a3348",
        agent="#e4572e",
        objects=("#2f7fb8", "#f2a71b", "#3f9c6b", "#8a5aa8"),
        goal="#3f9c6b",
        ink="#26304a",
        sky_high="#bfdcea",
        sky_low="#f8efdb",
        hills="#d9c9a3",
        ground="#a9744f",
        grass="#5e9c55",
    ),
    "midnight": Theme(
        texture="dots",
        floor="#171c36",
        floor_accent="#2b3360",
        wall="#5d6bb5",
        wall_edge="#8794dc",
        agent="#ff7b6b",
        objects=("#4fd6e8", "#ffd15c", "#8df08a", "#d58bff"),
        goal="#8df08a",
        ink="#f2f4ff",
        sky_high="#10142b",
        sky_low="#443a75",
        hills="#292f5c",
        ground="#4a4f8f",
        grass="#43c6b4",
    ),
    "meadow": Theme(
        texture="checker",
        floor="#a5d17d",
        floor_accent="#97c66f",
        wall="#7b5537",
        wall_edge="#57391f",
        agent="#d93b52",
        objects=("#3563c4", "#f4c331", "#f08a3c", "#8e4bb0"),
        goal="#fdf6d8",
        ink="#2c3b1e",
        sky_high="#6cbdf0",
        sky_low="#d5f1fb",
        hills="#8dc9a0",
        ground="#9b6a3c",
        grass="#55a83f",
    ),
    "workshop": Theme(
        texture="planks",
        floor="#cf9f6b",
        floor_accent="#b98552",
        wall="#4b3b32",
        wall_edge="#2f241e",
        agent="#1f6f8b",
        objects=("#c8402f", "#f0ddb2", "#2f4858", "#6f9a3d"),
        goal="#f0ddb2",
        ink="#2b1d12",
        sky_high="#e9a35b",
        sky_low="#fbe3b5",
        hills="#c97f4a",
        ground="#6d4a34",
        grass="#94703a",
    ),
    "candy": Theme(
        texture="stripes",
        floor="#fbe1ec",
        floor_accent="#f6cfe0",
        wall="#b35c9e",
        wall_edge="#8a3f7b",
        agent="#3d7de0",
        objects=("#ff8a5c", "#46c2b3", "#ffd24a", "#9a6ae0"),
        goal="#46c2b3",
        ink="#57265a",
        sky_high="#a9cdfb",
        sky_low="#ffe4f1",
        hills="#e6b9e8",
        ground="#c98bc4",
        grass="#f28fb5",
    ),
}
THEME_NAMES: tuple[str, ...] = tuple(THEMES)
DRAWN_NAMES: tuple[str, ...] = tuple(f"drawn-{number}" for number in range(COUNT))


@cache
def every_theme() -> tuple[Theme, ...]:
    """Those of THEME_NAMES, then those of DRAWN_NAMES."""
    return (*THEMES.values(), *(draw_theme(number) for number in range(COUNT)))


def _rgb(colour: str) -> list[float]:
    return [int(colour[i : i + 2], 16) / 255.0 for i in (1, 3, 5)]


@cache
def palette(role: str) -> Float[Tensor, "themes 3"]:
    """The colour of one role in every theme, in the order of `every_theme`; `objects.0` is the first object's."""
    name, _, index = role.partition(".")
    colours = [getattr(theme, name) for theme in every_theme()]
    return torch.tensor([_rgb(c[int(index)] if index else c) for c in colours])


def _blend(texture: str, x: Tensor, y: Tensor) -> Tensor:
    """How much of the accent shows at each point (`h w`, coordinates in [0, 1])."""
    if texture == "checker":
        return ((x * 8).floor() + (y * 8).floor()) % 2
    if texture == "grid":
        line = torch.minimum(((x * 8) % 1 - 0.5).abs(), ((y * 8) % 1 - 0.5).abs())
        return (1.0 - line / 0.07).clamp(0.0, 1.0)
    if texture == "planks":
        seam = (1.0 - ((y * 6) % 1 - 0.5).abs() / 0.09).clamp(0.0, 1.0)
        grain = 0.25 + 0.25 * torch.sin(9.0 * (y * 6).floor() + 7.0 * x + 2.0 * torch.sin(40.0 * y + 3.0 * x))
        return torch.maximum(seam, grain)
    if texture == "dots":
        radius = (((x * 8) % 1 - 0.5) ** 2 + ((y * 8) % 1 - 0.5) ** 2).sqrt()
        return ((0.16 - radius) / 0.08 + 0.5).clamp(0.0, 1.0)
    if texture == "stripes":
        return ((((x + y) * 6) % 1 - 0.5).abs() * 8 - 1.5).clamp(0.0, 1.0)
    return torch.zeros_like(x)


@cache
def floors(size: int) -> Float[Tensor, "themes 3 {size} {size}"]:
    """Every theme's floor, seen from above; drawn four times finer and averaged."""
    fine = (torch.arange(size * 4) + 0.5) / (size * 4)
    y, x = torch.meshgrid(fine, fine, indexing="ij")
    blends = torch.stack([_blend(texture, x, y) for texture in TEXTURES])
    blend = torch.nn.functional.avg_pool2d(blends, 4)[[TEXTURES.index(theme.texture) for theme in every_theme()], None]
    base, accent = (palette(role)[:, :, None, None] for role in ("floor", "floor_accent"))
    return base + (accent - base) * blend
