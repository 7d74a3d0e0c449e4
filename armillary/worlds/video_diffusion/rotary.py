"""Rotary positions in Cosmos' form: time, rows and columns share the pairs of a head, halves apart, and time counts by the frame rate."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

BASE = 10_000.0
TICKS_PER_SECOND = 24.0  # one unit on the axis of time is a frame of a film
LEAST_HEAD = 6


@dataclass(frozen=True)
class Turn:
    """Angles of every token as cosines and sines, for dimension i of a head and its partner i + d / 2."""

    cos: Float[Tensor, "n p"]
    sin: Float[Tensor, "n p"]

    def rotate(self, heads: Float[Tensor, "b n h d"]) -> Float[Tensor, "b n h d"]:
        """Queries or keys turned by their positions."""
        cos, sin = self.cos[:, None].to(heads.dtype), self.sin[:, None].to(heads.dtype)
        first, second = heads.chunk(2, dim=-1)
        return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


def video_turn(
    times: Float[Tensor, " f"],
    action_times: Float[Tensor, " s"],
    *,
    rows: int,
    columns: int,
    head_size: int,
    stretch: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> Turn:
    """Of f frames of rows x columns tokens, then of s action tokens, which stand at row and column zero.

    `times` are in ticks of 1 / 24 s. `stretch` (time, rows, columns) slows an axis by raising the base of its frequencies (NTK).
    ValueError for heads that are not an even number of dimensions, 6 or more.
    """
    if head_size < LEAST_HEAD or head_size % 2:
        raise ValueError(f"rotary positions of three axes need heads of an even number of at least {LEAST_HEAD}, received {head_size}")
    place = head_size // 6 * 2
    sizes, device = (head_size - 2 * place, place, place), times.device
    frames, moments = len(times), len(action_times)
    time = torch.cat([times.float().repeat_interleave(rows * columns), action_times.float()])
    row = torch.arange(rows, device=device).repeat_interleave(columns).repeat(frames)
    column = torch.arange(columns, device=device).repeat(rows * frames)
    axes = (time, *(torch.cat([axis, axis.new_zeros(moments)]).float() for axis in (row, column)))
    angles = [axis[:, None] * _frequencies(size, slower, device) for axis, size, slower in zip(axes, sizes, stretch, strict=True)]
    angle = torch.cat(angles, dim=-1)
    return Turn(angle.cos(), angle.sin())


def frame_ticks(count: int, frames_per_second: float | None = None, *, device: torch.device | str | None = None) -> Float[Tensor, " count"]:
    """Where frames lie on the axis of time; without a rate, each is one tick after the last.

    >>> frame_ticks(3, 12.0)
    tensor([0., 2., 4.])
    """
    index = torch.arange(count, dtype=torch.float32, device=device)
    return index if frames_per_second is None else index / frames_per_second * TICKS_PER_SECOND


def _frequencies(size: int, slower: float, device: torch.device) -> Float[Tensor, " p"]:
    base = BASE if slower == 1.0 else BASE * slower ** (size / (size - 2))
    return base ** (-torch.arange(0, size, 2, dtype=torch.float32, device=device) / size)
