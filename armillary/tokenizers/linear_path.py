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
from armillary.nn.dct import dct, frequencies, lowest_frequencies

COLOURS = 3
# How far the coefficients of real pictures in [-1, 1] spread, as shares of the root of a cell's numbers: measured on training clips
# (docs/LOG.md) and rounded. Dividing by it brings every latent near unit deviation.
MEAN_SPREAD, DECAY, COLOUR_SPREAD = 0.5, 64.0, 0.25
# A basis vector's entries are a few hundredths: at a learning rate for networks they would be forgotten in a hundred steps.
DEPARTURE = 0.02


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
        return torch.cat([part.encode(frames) for part, frames in self._parts(video, begins) if frames.shape[2]], dim=2)

    def decode(self, latents: Float[Tensor, "b d t2 h2 w2"], *, begins: bool) -> Float[Tensor, "b 3 t h w"]:
        """The pixels of every cell."""
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
        self.shape = (sides[0], COLOURS, *sides[1:])
        with torch.device("cpu"):  # the numbers are known, also where the network is only sized up on no device at all
            basis, spread = lowest_basis(self.shape, size)
        # Known from the settings, so not kept with the weights; what is learned is how far the matrices depart from them.
        self.register_buffer("basis", basis.float(), persistent=False)
        self.register_buffer("spread", spread.float(), persistent=False)
        self.inward = nn.Parameter(torch.zeros(basis.shape))
        self.outward = nn.Parameter(torch.zeros(basis.T.shape))

    def encode(self, video: Float[Tensor, "b 3 t h w"]) -> Float[Tensor, "b d t2 h2 w2"]:
        times, _, rows, columns = self.shape
        cells = video.unflatten(4, (-1, columns)).unflatten(3, (-1, rows)).unflatten(2, (-1, times))
        flat = cells.permute(0, 2, 4, 6, 3, 1, 5, 7).flatten(4)  # b t h w, then a cell's frames, colours, rows, columns
        return functional.linear(flat, (self.basis + DEPARTURE * self.inward) / self.spread[:, None]).movedim(4, 1)

    def decode(self, latents: Float[Tensor, "b d t2 h2 w2"]) -> Float[Tensor, "b 3 t h w"]:
        cells = functional.linear(latents.movedim(1, 4), (self.basis.T + DEPARTURE * self.outward) * self.spread).unflatten(4, self.shape)
        return cells.permute(0, 5, 1, 4, 2, 6, 3, 7).flatten(6, 7).flatten(4, 5).flatten(2, 3)


def lowest_basis(shape: tuple[int, int, int, int], size: int) -> tuple[Float[Tensor, "d n"], Float[Tensor, " d"]]:
    """The `size` lowest patterns of a block (`t c h w`), orthonormal rows, and how far the coefficient of each is expected to spread."""
    kept = lowest_frequencies(shape, size)
    patterns = torch.zeros(size, kept.numel(), dtype=torch.float64)
    patterns[torch.arange(size), kept.flatten().nonzero().flatten()] = 1.0
    basis = dct(patterns.reshape(size, *shape), inverse=True).flatten(1)
    colour = torch.where(torch.arange(shape[1])[:, None, None] > 0, COLOUR_SPREAD, 1.0)
    spread = MEAN_SPREAD * colour / (1 + DECAY * frequencies(shape)) * kept.numel() ** 0.5
    return basis, spread[kept]
