"""What a real lens does to a pinhole's picture, and to its labels, so that they still fit: bends straight lines, darkens corners, blurs.

The bending is that of Brown and Conrady as OpenCV writes it. Positions in a picture are columns and rows, (0, 0) being the middle of the
first pixel; directions are x / depth and y / depth in the camera's frame with y up.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64, Shaped, UInt8

from armillary.core import ConfigError

_HALVINGS = 50  # of the range that a bent radius is looked for in
_BLUR_REACH = 3.0  # standard deviations


@dataclass(frozen=True, kw_only=True)
class Lens:
    """A point at r from the middle (its distance off the axis over its depth) is seen at r (1 + k1 r2 + k2 r4), r2 being r squared.

    `vignetting`: the share of light that the corners lose, growing with the square of the distance from the middle. `blur`: the standard
    deviation of a normal blur as a share of the picture's height.
    """

    k1: float = 0.0
    k2: float = 0.0
    vignetting: float = 0.0
    blur: float = 0.0

    def __post_init__(self):
        numbers = (self.k1, self.k2, self.vignetting, self.blur)
        if not all(map(math.isfinite, numbers)) or not 0.0 <= self.vignetting <= 1.0 or not 0.0 <= self.blur <= 0.1:
            raise ConfigError(f"a lens needs finite numbers, vignetting in 0 to 1 and blur in 0 to 0.1, received {self}")

    def bent(self, r: Float64[np.ndarray, "*n"]) -> Float64[np.ndarray, "*n"]:
        """1 + k1 r2 + k2 r4."""
        square = r * r
        return 1.0 + square * (self.k1 + square * self.k2)

    def fold(self) -> float:
        """From which r on things are seen further in again, so that they have no place in the picture; infinity where there is none."""
        roots = np.roots([5.0 * self.k2, 3.0 * self.k1, 1.0]) if (self.k1, self.k2) != (0.0, 0.0) else np.zeros(0)
        real = [float(root.real) for root in roots if abs(root.imag) < 1e-12 and root.real > 0]
        return math.sqrt(min(real)) if real else math.inf


class Optics:
    """A lens before a pinhole camera that draws pictures of `height` x `width` pixels, `fov_y_deg` high.

    Bent pictures are as large and show as much as they can without a pixel from outside what was drawn: `zoom` is how many times longer
    their focal length, `focal_px`, is than the pinhole's (a barrel's is longer, a pincushion's shorter); `fov_y_deg` is what a pinhole of
    that length would see. ConfigError where the lens folds the picture.
    """

    def __init__(self, lens: Lens, *, fov_y_deg: float, height: int, width: int):
        self.lens, self.height, self.width = lens, height, width
        self._drawn_px = height / 2.0 / math.tan(math.radians(fov_y_deg) / 2.0)
        self._middle = np.array([(width - 1) / 2.0, (height - 1) / 2.0])
        self._corner = math.hypot(height, width) / 2.0 / self._drawn_px
        if lens.fold() <= self._corner:
            raise ConfigError(f"{lens} folds a picture that reaches to r = {self._corner:.3f}; it may only beyond r = {lens.fold():.3f}")
        rim = np.linspace(min(height, width) / 2.0 / self._drawn_px, self._corner, 257)
        self.zoom = float((1.0 / lens.bent(rim)).max())
        self.focal_px = self.zoom * self._drawn_px
        self.fov_y_deg = fov_y_deg if self.zoom == 1.0 else math.degrees(2.0 * math.atan(height / 2.0 / self.focal_px))
        self._bending = _Bending(self._sources(), height, width) if lens.k1 or lens.k2 else None
        self._light = self._brightness() if lens.vignetting else None
        self._kernel = _kernel(lens.blur * height)

    @property
    def bends(self) -> bool:
        """Whether anything is seen elsewhere than a pinhole would show it."""
        return self._bending is not None

    def matrix(self) -> Float64[np.ndarray, "3 3"]:
        """OpenCV's camera matrix of the bent picture (x right, y down, looking along z)."""
        return np.array([[self.focal_px, 0.0, self._middle[0]], [0.0, self.focal_px, self._middle[1]], [0.0, 0.0, 1.0]])

    def coefficients(self) -> Float64[np.ndarray, "4"]:
        """OpenCV's k1, k2, p1, p2."""
        return np.array([self.lens.k1, self.lens.k2, 0.0, 0.0])

    def project(self, points_m: Float64[np.ndarray, "*n 3"]) -> Float64[np.ndarray, "*n 2"]:
        """Column and row in the bent picture of points in the camera's frame (x right, y up, z back); NaN behind it and past a fold."""
        depth = np.where(points_m[..., 2:] < 0, -points_m[..., 2:], np.nan)
        return self._placed(points_m[..., :2] / depth)

    def picture(self, rgb: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
        """The pinhole's picture as the lens shows it; the same array where the lens does nothing."""
        if self._bending is None and self._light is None and self._kernel is None:
            return rgb
        seen = rgb.astype(np.float32)
        if self._bending is not None:
            seen = self._bending.mixed(seen)
        if self._kernel is not None:
            seen = _blurred(_blurred(seen, self._kernel, 0), self._kernel, 1)
        if self._light is not None:
            seen *= self._light
        return np.rint(seen).astype(np.uint8)

    def labels(self, drawn: Shaped[np.ndarray, "h w *c"]) -> Shaped[np.ndarray, "h w *c"]:
        """Ids, depth or normals as the lens shows them: each pixel has what the nearest one of the pinhole's has."""
        return drawn if self._bending is None else drawn.reshape(-1, *drawn.shape[2:])[self._bending.nearest].reshape(drawn.shape)

    def flow(self, drawn: Float[np.ndarray, "h w 2"]) -> Float32[np.ndarray, "h w 2"]:
        """Optical flow (pixels right and down) between two pictures of this camera, as the lens shows it; NaN stays NaN, and so becomes
        what goes past a fold."""
        if self._bending is None:
            return drawn.astype(np.float32, copy=False)
        nearest = self._bending.nearest
        start = np.stack([nearest % self.width, nearest // self.width], axis=-1).astype(np.float64)
        end = start + drawn.reshape(-1, 2)[nearest]
        before, after = (self._placed((place - self._middle) * (1.0, -1.0) / self._drawn_px) for place in (start, end))
        return (after - before).reshape(self.height, self.width, 2).astype(np.float32)

    def _placed(self, directions: Float64[np.ndarray, "*n 2"]) -> Float64[np.ndarray, "*n 2"]:
        r = np.hypot(directions[..., :1], directions[..., 1:])
        with np.errstate(invalid="ignore"):
            factor = np.where(r < self.lens.fold(), self.lens.bent(r), np.nan)
        return self._middle + directions * (1.0, -1.0) * factor * self.focal_px

    def _grid(self) -> Float64[np.ndarray, "p 2"]:
        """Every pixel's middle, from the picture's middle."""
        column, row = np.meshgrid(np.arange(self.width), np.arange(self.height))
        return np.stack([column.ravel(), row.ravel()], axis=-1) - self._middle

    def _sources(self) -> Float64[np.ndarray, "p 2"]:
        """Column and row in the drawn picture of what each pixel shows: r is halved in on, since it grows with what it is bent to."""
        seen = self._grid() / self.focal_px
        wanted = np.hypot(seen[:, 0], seen[:, 1])
        low, high = np.zeros_like(wanted), np.full_like(wanted, self._corner)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2.0
            below = middle * self.lens.bent(middle) < wanted
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        factor = np.where(wanted > 0, low / np.maximum(wanted, 1e-300), 1.0)
        return (seen * factor[:, None] * self._drawn_px + self._middle).clip(0.0, (self.width - 1, self.height - 1))

    def _brightness(self) -> Float32[np.ndarray, "h w 1"]:
        share = (self._grid() ** 2).sum(axis=1) / (math.hypot(self.height, self.width) / 2.0) ** 2
        return (1.0 - self.lens.vignetting * share).astype(np.float32).reshape(self.height, self.width, 1)


class _Bending:
    """Which pixels of the drawn picture each pixel of the bent one is made of; `sources` are columns and rows there."""

    def __init__(self, sources: Float64[np.ndarray, "p 2"], height: int, width: int):
        last = np.array([width - 1, height - 1])
        first = np.floor(sources).astype(np.int64)
        share = (sources - first).astype(np.float32)
        after = np.minimum(first + 1, last)
        parts = (
            (y[:, 1] * width + x[:, 0], (1 - abs(a - share[:, 0])) * (1 - abs(b - share[:, 1])))
            for b, y in enumerate((first, after))
            for a, x in enumerate((first, after))
        )
        self._parts = [(index, weight[:, None]) for index, weight in parts]
        column, row = np.rint(sources).astype(np.int64).T
        self.nearest: Int64[np.ndarray, " p"] = row * width + column

    def mixed(self, drawn: Float32[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "h w 3"]:
        """Each pixel mixed of the four around what it shows."""
        flat = drawn.reshape(-1, 3)
        return sum(flat.take(index, axis=0) * weight for index, weight in self._parts).reshape(drawn.shape)


def _kernel(deviation_px: float) -> Float32[np.ndarray, " k"] | None:
    """A normal blur's weights, of odd number; None where it would change nothing."""
    reach = math.ceil(_BLUR_REACH * deviation_px)
    if not reach:
        return None
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation_px) ** 2)
    return (weights / weights.sum()).astype(np.float32)


def _blurred(values: Float32[np.ndarray, "h w 3"], kernel: Float32[np.ndarray, " k"], axis: int) -> Float32[np.ndarray, "h w 3"]:
    """Along an axis; what is outside is taken to be as the rim is."""
    reach, count = len(kernel) // 2, values.shape[axis]
    wide = np.pad(values, [(reach, reach) if along == axis else (0, 0) for along in range(3)], mode="edge")
    shifted = (wide[k : k + count] if axis == 0 else wide[:, k : k + count] for k in range(len(kernel)))
    return sum(weight * part for weight, part in zip(kernel, shifted, strict=True))
