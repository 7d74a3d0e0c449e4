"""A material's pattern in an OpenUSD file: custom data, since it is drawn by code and OpenUSD's own textures are image files."""

from pxr import Usd

from armillary.core import ConfigError
from armillary.worlds.twin.texture import Texture
from armillary.worlds.twin.usd_names import KEPT, Notes

_KEY = f"{KEPT}:texture"
_NOTE = "drawn by code from these numbers; other programs show the material's diffuseColor alone"


def keep_texture(prim: Usd.Prim, texture: Texture) -> None:
    """Write a pattern into the prim's custom data."""
    red, green, blue = map(float, texture.colour)
    numbers = {"red": red, "green": green, "blue": blue, "size_m": float(texture.size_m), "seed": str(texture.seed)}
    prim.SetCustomDataByKey(_KEY, {"kind": texture.kind, **numbers, "note": _NOTE})


def kept_texture(prim: Usd.Prim, notes: Notes) -> Texture | None:
    """The pattern that `keep_texture` wrote; None where there is none, or none that can be understood."""
    record = prim.GetCustomDataByKey(_KEY)
    if record is None:
        return None
    try:
        colour = tuple(float(record[part]) for part in ("red", "green", "blue"))
        return Texture(kind=record["kind"], colour=colour, size_m=float(record["size_m"]), seed=int(record["seed"]))
    except (ConfigError, KeyError, TypeError, ValueError):
        notes.add(prim.GetPath(), "its pattern cannot be understood, so it is left aside")
        return None
