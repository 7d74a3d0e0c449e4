"""A straight way beside the network: each cell of pixels as its lowest frequencies, by matrices that begin as a truncated DCT and learn.

So an untrained tokenizer already gives back what a linear code of as many numbers does, and the network learns only what that lacks: on a
laptop the difference between minutes and days. The first frame of a video has a cell of one frame to itself, and matrices of its own.
"""

from math import prod

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from armillary.core import ConfigError
from armillary.nn.dct import dct, lowest_frequencies
from armillary.nn.picture_spread import COLOUR_SPREAD, expected_spread

COLOURS = 3
PATTERNS = 256  # of a cell, from the lowest: what the matrices are made of


class LinearPath(nn.Module):
    """Cells of `sides` (frames, rows, columns) to `size` numbers and back. ConfigError where a frame's cell has fewer numbers than that."""

    def __init__(self, sides: tuple[int, int, int], size: int):
        super().__init__()
        self.sides = sides
        most = prod(sides[1:]) * COLOURS
        if most < size:
            raise ConfigError(
                f"a linear path cannot make {size} numbers of a cell of {sides[1]} x {sides[2]} pixels, which has {most}; "
                f"ask for fewer, or set linear_path to false"
            )
        self.first = CellMatrices((1, *sides[1:]), size)
        self.rest = CellMatrices(sides, size) if sides[0] > 1 else None

    def encode(self, video: Float[Tensor, "b 3 t h w"], *, begins: bool) -> Float[Tensor, "b d t2 h2 w2"]:
        """The numbers of every cell; `begins` says that the first frame is the video's first."""
        with torch.autocast(video.device.type, enabled=False):  # half precision would cost more than the network gains
            return torch.cat([part.encode(frames) for part, frames in self._parts(video, begins) if frames.shape[2]], dim=2)

    def decode(self, latents: Float[Tensor, "b d t2 h2 w2"], *, begins: bool) -> Float[Tensor, "b 3 t h w"]:
        """The pixels of every cell."""
        with torch.autocast(latents.device.type, enabled=False):
            return torch.cat([part.decode(some) for part, some in self._parts(latents, begins) if some.shape[2]], dim=2)

    def _parts(self, times: Tensor, begins: bool) -> tuple[tuple["CellMatrices", Tensor], ...]:
        """What the first frame's matrices treat, and what the others do."""
        if self.rest is None:
            return ((self.first, times),)
        return (self.first, times[:, :, : int(begins)]), (self.rest, times[:, :, int(begins) :])


class CellMatrices(nn.Module):
    """One cell of pixels to numbers and back."""

    def __init__(self, sides: tuple[int, int, int], size: int):
        super().__init__()
        self.shape, self.size = (sides[0], COLOURS, *sides[1:]), size
        with torch.device("cpu"):  # the numbers are known, also where the network is only sized up on no device at all
            basis, spread = lowest_basis(self.shape, min(max(PATTERNS, size), prod(self.shape)))
        # Known from the settings, so not kept with the weights. Every row is a pattern at unit deviation on real pictures.
        self.register_buffer("patterns", (basis / spread[:, None]).float(), persistent=False)
        self.register_buffer("drawn", (basis.T * spread).float(), persistent=False)
        # What is learned: how far the numbers depart from the first patterns, as sums of all.
        self.inward = nn.Parameter(torch.zeros(size, len(basis)))
        self.outward = nn.Parameter(torch.zeros(len(basis), size))

    def encode(self, video: Float[Tensor, "b 3 t h w"]) -> Float[Tensor, "b d t2 h2 w2"]:
        times, _, rows, columns = self.shape
        cells = video.unflatten(4, (-1, columns)).unflatten(3, (-1, rows)).unflatten(2, (-1, times))
        flat = cells.permute(0, 2, 4, 6, 3, 1, 5, 7).flatten(4)  # b t h w, then a cell's frames, colours, rows, columns
        return functional.linear(flat, self.patterns[: self.size] + self.inward @ self.patterns).movedim(4, 1)

    def decode(self, latents: Float[Tensor, "b d t2 h2 w2"]) -> Float[Tensor, "b 3 t h w"]:
        cells = functional.linear(latents.movedim(1, 4), self.drawn[:, : self.size] + self.drawn @ self.outward).unflatten(4, self.shape)
        return cells.permute(0, 5, 1, 4, 2, 6, 3, 7).flatten(6, 7).flatten(4, 5).flatten(2, 3)


def lowest_basis(shape: tuple[int, int, int, int], size: int) -> tuple[Float[Tensor, "d n"], Float[Tensor, " d"]]:
    """The `size` lowest patterns of a block (`t c h w`), orthonormal rows, lowest first; and how far each's coefficient should spread."""
    kept = lowest_frequencies(shape, size)
    patterns = torch.zeros(size, *shape, dtype=torch.float64)
    patterns[torch.arange(size), *kept.T] = 1.0
    colours = kept[:, 1]
    in_one_colour = dct(patterns, inverse=True, axes=(1, 3, 4))[torch.arange(size), :, colours].flatten(1)
    spread = expected_spread(in_one_colour, (shape[0], *shape[2:])) * torch.where(colours > 0, COLOUR_SPREAD, 1.0)
    return dct(patterns, inverse=True).flatten(1), spread
