"""What reads a text: a small transformer over its bytes, trained along. Released encoders are in released_text.py."""

from abc import ABC, abstractmethod

import torch
from jaxtyping import UInt8
from torch import Tensor, nn

from armillary.nn.transformer import INITIAL_STD, Block, initialise
from armillary.worlds.video_diffusion.config import ModelConfig
from armillary.worlds.video_diffusion.model import Text

BYTE_VALUES = 256
BYTE_DEPTH = 2
HEAD_SIZE = 32


class TextReader(nn.Module, ABC):
    """Texts in UTF-8, zeros after their end, to `width` numbers a token. No text (zeros alone) is read like any other."""

    width: int

    @abstractmethod
    def forward(self, text: UInt8[Tensor, "b n"]) -> Text:
        """The encoded texts; each row depends on its own text alone."""


class ByteReader(TextReader):
    """A token a byte, `length` of them; the zeros after the end are read too, so that every row has as many tokens."""

    def __init__(self, width: int, length: int):
        super().__init__()
        self.width, self.length = width, length
        self.letters = nn.Embedding(BYTE_VALUES, width)
        self.places = nn.Parameter(INITIAL_STD * torch.randn(length, width))
        self.blocks = nn.ModuleList(Block(width, max(1, width // HEAD_SIZE)) for _ in range(BYTE_DEPTH))
        self.norm = nn.LayerNorm(width)
        initialise(self, self.blocks)

    def forward(self, text: UInt8[Tensor, "b n"]) -> Text:
        tokens = self.letters(text.long()) + self.places
        for block in self.blocks:
            tokens = block(tokens)
        return Text(self.norm(tokens))


def build_reader(config: ModelConfig, has_text: bool) -> TextReader | None:
    """What reads the text of a world, if anything does. CheckpointError for a folder of released weights that cannot be read."""
    if config.text == "none" or not has_text:
        return None
    if config.text == "bytes":
        return ByteReader(config.text_width, config.text_bytes)
    from armillary.worlds.video_diffusion.released_text import READERS

    return READERS[config.text](config.text_folder)
