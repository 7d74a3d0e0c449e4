"""Haar's bands at one level: of brightness and two differences of colour, each divided by how far it is expected to spread.

In the bands of RGB nearly everything is the mean: fine bands, which are what a picture's detail is made of, are twenty to five hundred
times smaller, and a network first has to learn to hear them.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from armillary.nn.dct import dct_matrix
from armillary.nn.picture_spread import COLOUR_SPREAD, expected_spread
from armillary.nn.wavelet import HaarPatching, haar_matrix


class LevelledBands(HaarPatching):
    """`HaarPatching` of the turned colours, every band near unit deviation on real pictures. Same shapes, same inverse.

    >>> LevelledBands(4)(torch.full((1, 3, 1, 4, 4), 0.5)).abs().flatten().topk(2).values.round(decimals=3)
    tensor([0.8760, 0.0000])
    """

    def __init__(self, size: int, *, in_time: bool = True):
        super().__init__(size, in_time=in_time)
        with torch.device("cpu"):  # known from the settings, also where the network is only sized up on no device at all
            matrix = haar_matrix(size.bit_length() - 1, 3 if in_time else 2)
            spread = expected_spread(matrix / len(matrix) ** 0.5, self.sides)
            spread = spread[:, None] * torch.tensor([1.0, COLOUR_SPREAD, COLOUR_SPREAD])
        self.register_buffer("spread", spread.flatten()[:, None, None, None].float(), persistent=False)
        self.register_buffer("colours", dct_matrix(3).float(), persistent=False)

    def forward(self, video: Float[Tensor, "b 3 t h w"], *, begins: bool = True) -> Float[Tensor, "b k t2 h2 w2"]:
        return super().forward(torch.einsum("dc,bcthw->bdthw", self.colours, video), begins=begins) / self.spread

    def inverse(self, patches: Float[Tensor, "b k t2 h2 w2"], *, begins: bool = True) -> Float[Tensor, "b 3 t h w"]:
        return torch.einsum("dc,bdthw->bcthw", self.colours, super().inverse(patches * self.spread, begins=begins))
