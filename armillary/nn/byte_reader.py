"""What reads a text: a small transformer over its bytes, trained along with whatever needs it."""

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from armillary.nn.transformer import INITIAL_STD, Block, initialise

BYTE_VALUES = 256
BYTE_DEPTH = 2
HEAD_SIZE = 32


class ByteReader(nn.Module):
    """A token a byte, `length` of them; the zeros after the end are read too, so that every row has as many tokens."""

    def __init__(self, width: int, length: int):
        super().__init__()
        self.width, self.length = width, length
        self.letters = nn.Embedding(BYTE_VALUES, width)
        self.places = nn.Parameter(INITIAL_STD * torch.randn(length, width))
        self.blocks = nn.ModuleList(Block(width, max(1, width // HEAD_SIZE)) for _ in range(BYTE_DEPTH))
        self.norm = nn.LayerNorm(width)
        initialise(self, self.blocks)

    def forward(self, text: UInt8[Tensor, "b n"]) -> Float[Tensor, "b n w"]:
        tokens = self.letters(text.long()) + self.places
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens)
