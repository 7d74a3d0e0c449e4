"""The discrete cosine transform of blocks of video, and which of its coefficients are the lowest.

Along time, rows and columns it is the orthonormal DCT-II. Along the three colours it is brightness (R + G + B) / sqrt 3, (R - B) / sqrt 2
and (R - 2 G + B) / sqrt 6: a rotation of RGB much like YCbCr.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

COLOUR_FREQUENCY = 2.0  # differences of colour are kept up to half the frequency of brightness, as in 4:2:0


def dct(blocks: Float[Tensor, "n t c h w"], *, inverse: bool = False, axes: Sequence[int] = (1, 2, 3, 4)) -> Float[Tensor, "n t c h w"]:
    """The orthonormal DCT-II of the `axes`, or what it was taken of."""
    for axis in axes:
        matrix = dct_matrix(blocks.shape[axis]).to(blocks)
        blocks = torch.tensordot(blocks, matrix.T if inverse else matrix, dims=([axis], [1])).movedim(-1, axis)
    return blocks


def dct_matrix(size: int) -> Float[Tensor, "size size"]:
    """Row k is the k-th cosine of the orthonormal DCT-II, in float64.

    >>> dct_matrix(2) * 2**0.5
    tensor([[ 1.0000,  1.0000],
            [ 1.0000, -1.0000]], dtype=torch.float64)
    """
    frequency, place = torch.arange(size, dtype=torch.float64)[:, None], torch.arange(size, dtype=torch.float64) + 0.5
    matrix = torch.cos(torch.pi / size * frequency * place) * (2.0 / size) ** 0.5
    matrix[0] /= 2.0**0.5
    return matrix


def lowest_frequencies(shape: Sequence[int], count: int) -> Int[Tensor, "count 4"]:
    """The positions (`t c h w`) of the `count` slowest coefficients of a block of three colours, slowest first; see COLOUR_FREQUENCY.

    >>> lowest_frequencies((1, 3, 2, 2), 3).tolist()
    [[0, 0, 0, 0], [0, 1, 0, 0], [0, 2, 0, 0]]
    """
    times, rows, columns = (torch.arange(shape[axis], dtype=torch.float64) / shape[axis] for axis in (0, 2, 3))
    squares = times[:, None, None].square() + rows[:, None].square() + columns.square()  # half cycles a frame and a pixel
    weights = torch.tensor([1.0, COLOUR_FREQUENCY, COLOUR_FREQUENCY], dtype=torch.float64)[:, None, None]
    return smallest(squares[:, None] * weights.square(), count)


def smallest(values: Float[Tensor, "*shape"], count: int) -> Int[Tensor, "count axes"]:
    """The positions of the `count` smallest values, smallest first; of equal ones the first."""
    places = values.flatten().argsort(stable=True)[:count]
    return torch.stack(torch.unravel_index(places, values.shape), dim=1)
