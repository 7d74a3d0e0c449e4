"""Where a thing is and how it is turned: a position in metres and a unit quaternion (w, x, y, z)."""

import math
from dataclasses import dataclass
from operator import add, neg

import numpy as np
from jaxtyping import Float64

from armillary.core import ConfigError

_UNIT = 1e-6  # how far from length 1 a quaternion may be


@dataclass(frozen=True)
class Pose:
    """`a_from_b`: takes points of frame b to frame a. `turn` is a unit quaternion, w first.

    >>> Pose((1.0, 0.0, 0.0)).then(Pose((0.0, 2.0, 0.0))).position
    (1.0, 2.0, 0.0)
    """

    position: tuple[float, float, float] = (0.0, 0.0, 0.0)
    turn: tuple[float, float, float, float] = (1.0, 0.0, 0.0, 0.0)

    def __post_init__(self):
        object.__setattr__(self, "position", tuple(map(float, self.position)))
        object.__setattr__(self, "turn", tuple(map(float, self.turn)))
        if len(self.position) != 3 or len(self.turn) != 4 or not all(map(math.isfinite, (*self.position, *self.turn))):
            raise ConfigError(f"a pose is three finite numbers and a finite quaternion, received {self.position} and {self.turn}")
        if abs(math.hypot(*self.turn) - 1.0) > _UNIT:
            raise ConfigError(f"a pose's quaternion must have length 1, received {self.turn}")

    @staticmethod
    def of_matrix(matrix: Float64[np.ndarray, "4 4"]) -> "Pose":
        """The pose of a rigid 4 x 4 matrix (columns act on points). ConfigError if it scales, shears or mirrors."""
        turning = np.asarray(matrix, dtype=np.float64)[:3, :3]
        if not np.allclose(turning @ turning.T, np.eye(3), atol=1e-5) or np.linalg.det(turning) < 0:
            raise ConfigError(f"a pose must not scale, shear or mirror, received the matrix {turning.round(4).tolist()}")
        return Pose(tuple(np.asarray(matrix)[:3, 3]), _quaternion(turning))

    @staticmethod
    def about(axis: tuple[float, float, float], angle: float, position: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> "Pose":
        """Turned by `angle` radians about `axis` (any length but 0)."""
        length = math.hypot(*axis)
        if not length > 0:
            raise ConfigError(f"an axis must have a length, received {axis}")
        sine = math.sin(angle / 2) / length
        return Pose(position, (math.cos(angle / 2), axis[0] * sine, axis[1] * sine, axis[2] * sine))

    def rotation(self) -> Float64[np.ndarray, "3 3"]:
        """The turn as a matrix."""
        return np.array(self._rows())

    def matrix(self) -> Float64[np.ndarray, "4 4"]:
        """The pose as a matrix that acts on columns (x, y, z, 1)."""
        found = np.eye(4)
        found[:3, :3], found[:3, 3] = self.rotation(), self.position
        return found

    def apply(self, points: Float64[np.ndarray, "*n 3"]) -> Float64[np.ndarray, "*n 3"]:
        """Points of frame b in frame a."""
        return points @ self.rotation().T + np.array(self.position)

    def then(self, other: "Pose") -> "Pose":
        """`a_from_b.then(b_from_c)` is `a_from_c`."""
        w, x, y, z = self.turn
        a, b, c, d = other.turn
        turn = (w * a - x * b - y * c - z * d, w * b + x * a + y * d - z * c, w * c - x * d + y * a + z * b, w * d + x * c - y * b + z * a)
        length = math.hypot(*turn)
        turned = self._turned(other.position)
        return Pose(tuple(map(add, turned, self.position)), tuple(part / length for part in turn))

    def inverse(self) -> "Pose":
        """`b_from_a`."""
        w, x, y, z = self.turn
        back = Pose(turn=(w, -x, -y, -z))
        return Pose(tuple(map(neg, back._turned(self.position))), back.turn)

    def _rows(self) -> tuple[tuple[float, float, float], ...]:
        """Of the turn's matrix: plain numbers, for a scene is built of hundreds of poses, and an array costs more than what is in it."""
        w, x, y, z = self.turn
        return (
            (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
            (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
            (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
        )

    def _turned(self, point: tuple[float, float, float]) -> tuple[float, ...]:
        x, y, z = point
        return tuple(a * x + b * y + c * z for a, b, c in self._rows())


def _quaternion(turning: Float64[np.ndarray, "3 3"]) -> tuple[float, float, float, float]:
    """Of a rotation matrix, w >= 0: from the largest of the four, so that nothing is divided by a small number."""
    m = turning
    squares = np.array(
        [1 + m[0, 0] + m[1, 1] + m[2, 2], 1 + m[0, 0] - m[1, 1] - m[2, 2], 1 - m[0, 0] + m[1, 1] - m[2, 2], 1 - m[0, 0] - m[1, 1] + m[2, 2]]
    )
    rows = [
        (squares[0], m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]),
        (m[2, 1] - m[1, 2], squares[1], m[0, 1] + m[1, 0], m[0, 2] + m[2, 0]),
        (m[0, 2] - m[2, 0], m[0, 1] + m[1, 0], squares[2], m[1, 2] + m[2, 1]),
        (m[1, 0] - m[0, 1], m[0, 2] + m[2, 0], m[1, 2] + m[2, 1], squares[3]),
    ]
    found = np.array(rows[int(squares.argmax())])
    found = found / np.linalg.norm(found) * (1.0 if found[0] >= 0 else -1.0)
    return tuple(found)
