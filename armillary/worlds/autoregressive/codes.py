"""Codes as vectors: a code is near those that stand for nearly the same picture."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from armillary.nn.quantise import Quantiser
from armillary.nn.rms_norm import RmsNorm

SHARPNESS = 1.5  # latents of codes lie in [-1, 1]: neighbours should look alike, and not the same


class CodeTable(nn.Module):
    """A vector for every code: a function of the latent that it stands for, plus what is learned of that code alone (at first nothing).

    With thousands of codes and a few hundred thousand places to learn from, most codes are seen a few times: what is learned of one must
    be true of its neighbours.
    """

    def __init__(self, quantiser: Quantiser, width: int):
        super().__init__()
        self.alone = nn.Parameter(torch.zeros(quantiser.num_codes, width))
        self.widen = nn.Linear(quantiser.size, width)
        self.out = nn.Linear(width, width, bias=False)
        self.norm = RmsNorm(width)
        nn.init.normal_(self.widen.weight, std=SHARPNESS)

    def forward(self, quantiser: Quantiser) -> Float[Tensor, "k w"]:
        with torch.no_grad():
            z = quantiser.codes_to_z(torch.arange(quantiser.num_codes, device=self.alone.device)[None])[0].mT
        vectors = self.out(functional.silu(self.widen(z)))
        return self.norm(vectors - vectors.mean(dim=0)) + self.alone
