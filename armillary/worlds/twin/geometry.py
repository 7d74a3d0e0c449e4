"""Shapes and what follows from them: bounds, volume, and how a body of them resists being turned. Metres throughout."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from armillary.core import ConfigError


class Solid(NamedTuple):
    """What a shape of density 1 weighs: its volume (m3), its centre (m), and its inertia (m5) about that centre."""

    volume: float
    centre: Float64[np.ndarray, "3"]
    inertia: Float64[np.ndarray, "3 3"]


class Geometry(ABC):
    """A shape around its own origin; cylinders and capsules stand along z."""

    @abstractmethod
    def bounds(self) -> Float64[np.ndarray, "2 3"]:
        """The lowest and the highest corner of the box around it."""

    @abstractmethod
    def solid(self) -> Solid | None:
        """Its volume and inertia; None where it has none (a plane, a mesh that is not closed)."""


@dataclass(frozen=True)
class Box(Geometry):
    """`half_sizes` along x, y and z."""

    half_sizes: tuple[float, float, float]

    def __post_init__(self):
        _positive("a box's half sizes", *self.half_sizes)

    def bounds(self):
        half = np.array(self.half_sizes, dtype=np.float64)
        return np.stack([-half, half])

    def solid(self):
        x, y, z = self.half_sizes
        volume = 8.0 * x * y * z
        return Solid(volume, np.zeros(3), np.diag([y * y + z * z, x * x + z * z, x * x + y * y]) * volume / 3.0)


@dataclass(frozen=True)
class Sphere(Geometry):
    """A ball."""

    radius: float

    def __post_init__(self):
        _positive("a sphere's radius", self.radius)

    def bounds(self):
        return np.array([[-self.radius] * 3, [self.radius] * 3])

    def solid(self):
        volume = 4.0 / 3.0 * math.pi * self.radius**3
        return Solid(volume, np.zeros(3), np.eye(3) * 0.4 * volume * self.radius**2)


@dataclass(frozen=True)
class Cylinder(Geometry):
    """Along z, from -half_length to half_length."""

    radius: float
    half_length: float

    def __post_init__(self):
        _positive("a cylinder's radius and half length", self.radius, self.half_length)

    def bounds(self):
        corner = np.array([self.radius, self.radius, self.half_length], dtype=np.float64)
        return np.stack([-corner, corner])

    def solid(self):
        volume = 2.0 * math.pi * self.radius**2 * self.half_length
        across = volume * (self.radius**2 / 4.0 + self.half_length**2 / 3.0)
        return Solid(volume, np.zeros(3), np.diag([across, across, volume * self.radius**2 / 2.0]))


@dataclass(frozen=True)
class Capsule(Geometry):
    """A cylinder along z with half a ball on each end; `half_length` is the cylinder's alone."""

    radius: float
    half_length: float

    def __post_init__(self):
        _positive("a capsule's radius and half length", self.radius, self.half_length)

    def bounds(self):
        corner = np.array([self.radius, self.radius, self.half_length + self.radius], dtype=np.float64)
        return np.stack([-corner, corner])

    def solid(self):
        r, h = self.radius, self.half_length
        tube, ball = 2.0 * math.pi * r * r * h, 4.0 / 3.0 * math.pi * r**3
        across = tube * (r * r / 4.0 + h * h / 3.0) + ball * (0.4 * r * r + h * h + 0.75 * r * h)
        return Solid(tube + ball, np.zeros(3), np.diag([across, across, tube * r * r / 2.0 + ball * 0.4 * r * r]))


@dataclass(frozen=True)
class Plane(Geometry):
    """The ground: z = 0, its normal along z, drawn as wide as `half_sizes` and without end for contacts. It never moves."""

    half_sizes: tuple[float, float] = (5.0, 5.0)

    def __post_init__(self):
        _positive("a plane's half sizes", *self.half_sizes)

    def bounds(self):
        corner = np.array([*self.half_sizes, 0.0], dtype=np.float64)
        return np.stack([-corner, corner])

    def solid(self):
        return None


@dataclass(frozen=True, eq=False)
class Mesh(Geometry):
    """Triangles: `faces` index `vertices`, anticlockwise seen from outside. Equal when both arrays are."""

    vertices: Float64[np.ndarray, "v 3"]
    faces: Int64[np.ndarray, "f 3"]

    def __post_init__(self):
        if not len(self.vertices) or not len(self.faces):
            raise ConfigError(f"a mesh needs vertices and faces, received {len(self.vertices)} and {len(self.faces)}")
        if not np.isfinite(self.vertices).all():
            raise ConfigError(f"a mesh's vertices must be finite; vertex {int((~np.isfinite(self.vertices)).any(1).argmax())} is not")
        if self.faces.min() < 0 or self.faces.max() >= len(self.vertices):
            raise ConfigError(
                f"a mesh's faces must name its {len(self.vertices)} vertices, received {self.faces.min()} to {self.faces.max()}"
            )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mesh):
            return NotImplemented
        return np.array_equal(self.vertices, other.vertices) and np.array_equal(self.faces, other.faces)

    def __hash__(self) -> int:
        return hash((self.vertices.tobytes(), self.faces.tobytes()))

    def bounds(self):
        return np.stack([self.vertices.min(axis=0), self.vertices.max(axis=0)])

    def closed(self) -> bool:
        """Whether every edge joins two faces, which run along it in opposite directions."""
        ends = np.concatenate([self.faces[:, [0, 1]], self.faces[:, [1, 2]], self.faces[:, [2, 0]]])
        forth, back = (len(self.vertices) * part[:, 0] + part[:, 1] for part in (ends, ends[:, ::-1]))
        return len(np.unique(forth)) == len(forth) and np.array_equal(np.sort(forth), np.sort(back))

    def solid(self):
        """By the divergence theorem: the sum of signed tetrahedra from the origin. None unless closed and turned outside out."""
        if not self.closed():
            return None
        corners = self.vertices[self.faces]  # f corner xyz
        volumes = np.linalg.det(corners) / 6.0
        volume = float(volumes.sum())
        if not volume > 0:
            return None
        sums = corners.sum(axis=1)
        centre = (volumes[:, None] * sums).sum(axis=0) / (4.0 * volume)
        # second moments of a tetrahedron with one corner at the origin
        second = np.einsum("f,fci,fcj->ij", volumes, corners, corners) + np.einsum("f,fi,fj->ij", volumes, sums, sums)
        second = second / 20.0 - volume * np.outer(centre, centre)
        return Solid(volume, centre, np.trace(second) * np.eye(3) - second)


def _positive(name: str, *numbers: float) -> None:
    if not all(math.isfinite(number) and number > 0 for number in numbers):
        raise ConfigError(f"{name} must be finite and > 0, received {', '.join(map(str, numbers))}")
