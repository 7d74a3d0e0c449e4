"""Rotary position embedding over time, rows and columns (RoPE, arXiv:2104.09864, with a third of each head for every axis).

Dimensions 2k and 2k + 1 of a head form a plane, turned by position * frequency before queries meet keys, so that a logit
depends on the difference of two positions only. That holds for the convention "exact". V-JEPA 2's released weights were
trained with another one, "released": there dimension j of an axis that has `size` of them turns with frequency
j mod (size / 2), so the two dimensions of a plane turn by different angles. It is no rotation, logits depend on
absolute positions a little, and the released weights need it as it is.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

CONVENTIONS = ("exact", "released")
BASE = 10_000.0
AXES = 3


@dataclass(frozen=True)
class RotaryTable:
    """What `rotate` multiplies with: cosines, and sines signed for the partner that they multiply. `b` is 1 where rows share positions."""

    cos: Float[Tensor, "b n d"]
    sin: Float[Tensor, "b n d"]

    def take(self, index: Int[Tensor, "b m"]) -> "RotaryTable":
        """The entries of some tokens, by row, from a table whose rows share positions."""
        return RotaryTable(self.cos[0][index], self.sin[0][index])

    def rotate(self, heads: Float[Tensor, "b n *between d"]) -> Float[Tensor, "b n *between d"]:
        """Queries or keys turned by their positions; whatever axes lie between tokens and head dimensions share them."""
        cos, sin = (part.reshape(*part.shape[:2], *(1,) * (heads.ndim - 3), -1).to(heads.dtype) for part in (self.cos, self.sin))
        partner = heads.unflatten(-1, (-1, 2)).flip(-1).flatten(-2)
        return torch.addcmul(heads * cos, partner, sin)


def axis_size(head_size: int) -> int:
    """How many dimensions of a head each axis turns: the largest even number within a third; the rest is left alone.

    >>> axis_size(64)
    20
    """
    return 2 * (head_size // AXES // 2)


def rotary_table(positions: Int[Tensor, "b n 3"] | Float[Tensor, "b n 3"], head_size: int, *, convention: str = "exact") -> RotaryTable:
    """The table for tokens at (time, row, column) and heads of `head_size` dimensions, in float32.

    Raises ValueError for an unknown convention or a head too small to hold three planes.
    """
    if convention not in CONVENTIONS:
        raise ValueError(f"the rotary convention must be one of {', '.join(CONVENTIONS)}, received {convention!r}")
    size = axis_size(head_size)
    if size == 0 or head_size % 2:
        raise ValueError(f"3-D rotary positions need heads of an even number of dimensions, 6 or more; received {head_size}")
    frequency = BASE ** (-torch.arange(size // 2, device=positions.device, dtype=torch.float32) / (size / 2))
    angle = positions[..., None].float() * frequency  # b n 3 size/2
    angle = angle.repeat_interleave(2, dim=-1) if convention == "exact" else torch.cat([angle, angle], dim=-1)
    angle = torch.nn.functional.pad(angle.flatten(-2), (0, head_size - AXES * size))
    sign = torch.ones(head_size, device=positions.device)
    sign[0::2] = -1.0
    return RotaryTable(angle.cos(), angle.sin() * sign)
