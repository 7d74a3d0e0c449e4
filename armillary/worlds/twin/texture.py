"""Patterns on surfaces, drawn by code from a seed: checkers, stripes, grain and speckles. Each repeats without a seam."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, UInt8

from armillary.core import ConfigError
from armillary.worlds.twin.geometry import Mesh

KINDS = ("checker", "stripes", "grain", "speckle")
SIDE = 64  # texels of a pattern's side
_STRETCHED = 8.0  # how many times longer grain is than wide


@dataclass(frozen=True, kw_only=True)
class Texture:
    """A pattern (one of KINDS) of its material's colour and of a second `colour` (red, green, blue in [0, 1]), which repeats every `size_m`
    metres. `seed` (>= 0) decides what the kind leaves open. ConfigError for what cannot be."""

    kind: str
    colour: tuple[float, float, float]
    size_m: float = 0.1
    seed: int = 0

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ConfigError(f"a texture's kind must be one of {', '.join(KINDS)}, received {self.kind!r}")
        if len(self.colour) != 3 or not all(0.0 <= part <= 1.0 for part in self.colour):
            raise ConfigError(f"a texture's colour must be red, green and blue in 0 to 1, received {self.colour}")
        if not (np.isfinite(self.size_m) and self.size_m > 0):
            raise ConfigError(f"a texture's size_m must be finite and > 0, received {self.size_m}")
        if self.seed < 0:
            raise ConfigError(f"a texture's seed must be >= 0, received {self.seed}")


def texels(texture: Texture, colour: tuple[float, float, float]) -> UInt8[np.ndarray, "64 64 3"]:
    """One repeat of the pattern on a material of this colour (red, green, blue in [0, 1]); grain and stripes run along its rows.

    >>> np.unique(texels(Texture(kind="checker", colour=(1.0, 1.0, 1.0)), (0.0, 0.0, 0.0))).tolist()
    [0, 255]
    """
    share = _share(texture.kind, np.random.default_rng(texture.seed))[..., None]
    mixed = np.array(colour) * (1.0 - share) + np.array(texture.colour) * share
    return np.rint(255.0 * mixed.clip(0.0, 1.0)).astype(np.uint8)


def wrapped(mesh: Mesh, size_m: float) -> Float64[np.ndarray, "f 3 2"]:
    """Where in a pattern (in repeats) each corner of each face lies.

    The pattern is laid on from the six sides of a box, each face taking that which it faces most, so that it is as large everywhere; its
    rows run along the longer of that side's edges.
    """
    corners = mesh.vertices[mesh.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    by_length = np.argsort(-np.ptp(mesh.vertices, axis=0), kind="stable")
    of_side = np.array([[axis for axis in by_length if axis != side] for side in range(3)])
    axes = of_side[np.abs(normals).argmax(axis=1)]
    return np.take_along_axis(corners, axes[:, None], axis=2) / size_m


def _share(kind: str, rng: np.random.Generator) -> Float64[np.ndarray, "64 64"]:
    """How much of the second colour there is in each texel."""
    row, column = np.mgrid[:SIDE, :SIDE] * 2 // SIDE
    if kind == "checker":
        return ((row + column) % 2).astype(np.float64)
    if kind == "stripes":
        width = int(rng.integers(SIDE // 8, SIDE // 2 + 1))
        return np.broadcast_to((np.arange(SIDE) < width)[:, None], (SIDE, SIDE)).astype(np.float64)
    if kind == "grain":
        broad, fine = (_clouds(rng, size / _STRETCHED, size) for size in (6.0, 20.0))
        return _spread(0.7 * broad + 0.3 * fine)
    return ((_clouds(rng, 7.0, 7.0) - rng.uniform(0.5, 0.65)) * 12.0).clip(0.0, 1.0)


def _clouds(rng: np.random.Generator, along: float, across: float) -> Float64[np.ndarray, "64 64"]:
    """Smooth noise from 0 to 1 that repeats, with about so many lumps along and across its rows."""
    ways = np.fft.fftfreq(SIDE, 1.0 / SIDE)
    kept = np.exp(-0.5 * ((ways[None] / along) ** 2 + (ways[:, None] / across) ** 2))
    found = np.fft.ifft2(np.fft.fft2(rng.standard_normal((SIDE, SIDE))) * kept).real
    return _spread(found)


def _spread(values: Float64[np.ndarray, "64 64"]) -> Float64[np.ndarray, "64 64"]:
    """From 0 to 1."""
    return (values - values.min()) / np.ptp(values)
