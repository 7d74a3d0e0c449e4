"""Encoding and decoding chunk by chunk: the same numbers as from the whole, with a state that is handed in and out.

Every frame before still counts: convolutions look at the last frames, attention over time at all of them, so the state grows by the keys
and values of every frame of latents. Everything else in it has a fixed size.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from armillary.core import WorldError
from armillary.nn.causal_convolution import Memory, StreamState
from armillary.tokenizers.network import VideoAutoencoder


@torch.no_grad()
def encode_chunk(
    network: VideoAutoencoder, frames: Float[Tensor, "b t c h w"], state: StreamState | None = None
) -> tuple[Float[Tensor, "b d t2 h2 w2"], StreamState]:
    """The latents of the next frames (in [0, 1]), and the state for the chunk after.

    A first chunk (no state) has 1 + a multiple of the time rate of frames, a later one a multiple. WorldError for another length or size.
    """
    memory = _memory(frames, state)
    return network.encode_chunk(frames, memory), memory.state(_picture(frames))


@torch.no_grad()
def code_chunk(
    network: VideoAutoencoder, frames: Float[Tensor, "b t c h w"], state: StreamState | None = None
) -> tuple[Int[Tensor, "b t2 h2 w2"], StreamState]:
    """The codes of the next frames, and the state for the chunk after. Errors are those of `encode_chunk`; ConfigError without codes."""
    memory = _memory(frames, state)
    return network.discrete().quantise(network.read(frames, memory)).codes, memory.state(_picture(frames))


@torch.no_grad()
def decode_chunk(
    network: VideoAutoencoder, latents: Float[Tensor, "b d t2 h2 w2"], state: StreamState | None = None
) -> tuple[Float[Tensor, "b t c h w"], StreamState]:
    """The frames of the next latents, any number of them, and the state for the chunk after. WorldError for another size."""
    memory = _memory(latents, state)
    return network.draw(latents, memory), memory.state(_picture(latents))


def _memory(chunk: Tensor, state: StreamState | None) -> Memory:
    if state is not None:
        before = (state.batch_size if state.layers else len(chunk), *state.picture)
        if before != (len(chunk), *_picture(chunk)):
            raise WorldError(
                f"a chunk of batch, height and width {(len(chunk), *_picture(chunk))} cannot follow one of {before}; "
                f"begin another stream without a state, or give the state that belongs to it"
            )
    return Memory(state, keeps=True)


def _picture(chunk: Tensor) -> tuple[int, int]:
    height, width = chunk.shape[-2:]
    return height, width
