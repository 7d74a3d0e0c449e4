"""What reads a text: the transformer over its bytes, or the released encoders of released_text.py."""

from abc import ABC, abstractmethod

from jaxtyping import UInt8
from torch import Tensor, nn

from armillary.nn.byte_reader import ByteReader
from armillary.worlds.video_diffusion.config import ModelConfig
from armillary.worlds.video_diffusion.model import Text


class TextReader(nn.Module, ABC):
    """Texts in UTF-8, zeros after their end, to `width` numbers a token. No text (zeros alone) is read like any other."""

    width: int

    @abstractmethod
    def forward(self, text: UInt8[Tensor, "b n"]) -> Text:
        """The encoded texts; each row depends on its own text alone."""


class ByteText(ByteReader, TextReader):
    """A small transformer over the text's bytes, trained along."""

    def forward(self, text: UInt8[Tensor, "b n"]) -> Text:
        return Text(super().forward(text))


def build_reader(config: ModelConfig, has_text: bool) -> TextReader | None:
    """What reads the text of a world, if anything does. CheckpointError for a folder of released weights that cannot be read."""
    if config.text == "none" or not has_text:
        return None
    if config.text == "bytes":
        return ByteText(config.text_width, config.text_bytes)
    from armillary.worlds.video_diffusion.released_text import READERS

    return READERS[config.text](config.text_folder)
