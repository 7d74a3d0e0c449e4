"""A trained network as what the tokenizers' table judges."""

import torch
from jaxtyping import Float
from torch import Tensor

from armillary.evaluate.tokenizer_table import Tokenizer
from armillary.tokenizers.network import VideoAutoencoder


class NetworkTokenizer(Tokenizer):
    """A `VideoAutoencoder` in evaluation mode, one clip at a time: its latents, or a discrete one's codes."""

    def __init__(self, network: VideoAutoencoder):
        self.network = network

    @property
    def codebook_size(self) -> int | None:
        return None if self.network.quantiser is None else self.network.quantiser.num_codes

    @torch.no_grad()
    def encode(self, clip: Float[Tensor, "t 3 h w"]) -> Tensor:
        return (self.network.encode if self.network.quantiser is None else self.network.codes)(clip[None])

    @torch.no_grad()
    def decode(self, code: Tensor) -> Float[Tensor, "t 3 h w"]:
        return (self.network.decode if self.network.quantiser is None else self.network.decode_codes)(code)[0]
