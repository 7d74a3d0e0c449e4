"""The video tokenizer: ST transformers around a quantiser, one code for a patch of one frame (arXiv:2402.15391, section 2.1).

Encoder and decoder are causal in time: a code tells of its own frame and those before, and a stream is decoded frame by frame.
"""

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from armillary.nn.fsq import Fsq
from armillary.nn.quantise import Quantiser
from armillary.nn.st_transformer import STTransformer
from armillary.nn.vector_quantise import VectorQuantiser
from armillary.tokenizers.linear_path import LinearPath
from armillary.worlds.genie.config import ModelConfig
from armillary.worlds.genie.patches import from_patches, to_patches

COLOURS = 3


class STTokenizer(nn.Module):
    """Frames in [0, 1] to codes and back.

    Beside the transformers runs a linear path (`tokenizers/linear_path.py`): the network learns what a patch's lowest frequencies lack.
    """

    def __init__(self, config: ModelConfig, grid: tuple[int, int]):
        super().__init__()
        self.side, self.grid = config.patch, grid
        sizes = {"grid": grid, "past_frames": config.context_steps, "width": config.tokenizer_width, "heads": config.tokenizer_heads}
        numbers = COLOURS * config.patch**2
        self.quantiser = build_quantiser(config)
        self.enter = nn.Linear(numbers, config.tokenizer_width)
        self.encoder = STTransformer(**sizes, depth=config.tokenizer_depth)
        self.narrow = nn.Linear(config.tokenizer_width, self.quantiser.size)
        self.widen = nn.Linear(self.quantiser.size, config.tokenizer_width)
        self.decoder = STTransformer(**sizes, depth=config.tokenizer_depth)
        self.leave = nn.Linear(config.tokenizer_width, numbers)
        self.linear_path = LinearPath((1, config.patch, config.patch), self.quantiser.size)
        for last in (self.narrow, self.leave):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def read(self, frames: Float[Tensor, "b t 3 h w"], there: Bool[Tensor, "b t"] | None = None) -> Float[Tensor, "b d t r c"]:
        """The latents of a window's frames, before quantisation. Frames that are not `there` are not looked at by the others."""
        video = 2 * frames - 1
        encoded = self.narrow(self.encoder(self.enter(to_patches(video, self.side)), there=there)[0])
        straight = self.linear_path.encode(video.transpose(1, 2), begins=True)
        return encoded.unflatten(2, self.grid).permute(0, 4, 1, 2, 3) + straight

    def codes(self, frames: Float[Tensor, "b t 3 h w"], there: Bool[Tensor, "b t"] | None = None) -> Int[Tensor, "b t r c"]:
        """The codes of a window's frames."""
        return self.quantiser.quantise(self.read(frames, there)).codes

    def draw(
        self,
        z: Float[Tensor, "b d t r c"],
        memory: Float[Tensor, "b l 2 m n v"] | None = None,
        there: Bool[Tensor, "b k"] | None = None,
    ) -> tuple[Float[Tensor, "b t 3 h w"], Float[Tensor, "b l 2 t n v"]]:
        """(frames of latents, not cut off; what later frames remember of them). The latents follow the frames of `memory`.

        `there`: which of the remembered frames and those given are looked at.
        """
        tokens = self.widen(z.permute(0, 2, 3, 4, 1).flatten(2, 3))
        drawn, kept = self.decoder(tokens, memory, there=there)
        video = from_patches(self.leave(drawn), self.grid, self.side) + self.linear_path.decode(z, begins=True).transpose(1, 2)
        return (video + 1) / 2, kept


def build_quantiser(config: ModelConfig) -> Quantiser:
    """FSQ with `levels`, or VQ with `num_codes` codes of `latent_size` numbers."""
    if config.bottleneck == "fsq":
        return Fsq(config.levels)
    return VectorQuantiser(num_codes=config.num_codes, size=config.latent_size)
