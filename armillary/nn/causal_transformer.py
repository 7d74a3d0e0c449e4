"""A Llama-style transformer (arXiv:2302.13971): RMS norm before each part, SwiGLU, rotary positions, norms on queries and keys.

Keys are remembered before they are turned to their positions, so that what is remembered may slide: the same memory serves at any place of
a window whose positions never leave the range that training saw. B batch, N tokens, H heads, D dimensions of a head, L layers.
"""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from armillary.nn.normed_attention import NormedAttention
from armillary.nn.rms_norm import RmsNorm
from armillary.nn.rope3d import RotaryTable
from armillary.nn.swiglu import SwiGlu

INITIAL_STD = 0.02


class Recall:
    """The keys and values of one pass: those of a memory, then those of the tokens given since. Written in place, so never kept in a state.

    `memory` (`b l 2 m w`: for each layer, keys that are not yet turned and values, of all heads) may have no tokens; `rotary` turns its
    keys. There is room for `room` tokens more.
    """

    def __init__(self, memory: Float[Tensor, "b l 2 m w"], rotary: RotaryTable | None, heads: int, room: int):
        past = memory.unflatten(-1, (heads, -1))  # b l 2 m h d
        turned = past[:, :, 0].flatten(0, 1)
        turned = (turned if rotary is None else rotary.rotate(turned)).unflatten(0, past.shape[:2])
        self.past = past.shape[3]
        shape = (*past.shape[:2], self.past + room, *past.shape[4:])
        self.keys, self.values, self.unturned = (memory.new_empty(shape) for _ in range(3))
        self.keys[:, :, : self.past], self.values[:, :, : self.past] = turned, past[:, :, 1]
        self.length = self.past

    def add(self, layer: int, keys: tuple[Tensor, Tensor], values: Tensor) -> tuple[Tensor, Tensor]:
        """Write one layer's (turned, unturned) keys and values (`b n h d`); returns all of that layer so far.

        `advance` follows the last layer.
        """
        place = slice(self.length, self.length + values.shape[1])
        self.keys[:, layer, place], self.unturned[:, layer, place], self.values[:, layer, place] = *keys, values
        return self.keys[:, layer, : place.stop], self.values[:, layer, : place.stop]

    def advance(self, count: int) -> None:
        """`count` tokens have passed every layer."""
        self.length += count

    def forget(self) -> None:
        """Back to the memory alone."""
        self.length = self.past

    def new(self) -> Float[Tensor, "b l 2 n w"]:
        """What a later memory needs of the tokens that were given here."""
        place = slice(self.past, self.length)
        return torch.stack([self.unturned[:, :, place], self.values[:, :, place]], dim=2).flatten(-2)


class CausalAttention(NormedAttention):
    """Of tokens to themselves and what came before, turned to their positions."""

    def forward(
        self,
        tokens: Float[Tensor, "b n w"],
        rotary: RotaryTable,
        allowed: Bool[Tensor, "#b 1 n m"] | None,
        recall: Recall | None = None,
        layer: int = 0,
    ) -> Float[Tensor, "b n w"]:
        query_BNHD, key_BNHD, value_BNHD = self.ask(tokens)
        query_BNHD, turned_BNHD = rotary.rotate(query_BNHD), rotary.rotate(key_BNHD)
        if recall is not None:
            turned_BNHD, value_BNHD = recall.add(layer, (turned_BNHD, key_BNHD), value_BNHD)
        alone = tokens.shape[1] == turned_BNHD.shape[1]  # nothing before these tokens
        return self.look(query_BNHD, turned_BNHD, value_BNHD, allowed, causal=allowed is None and alone and tokens.shape[1] > 1)


class CausalBlock(nn.Module):
    """x + attention(norm(x)), then x + feed-forward(norm(x))."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.attention_norm = RmsNorm(width)
        self.attention = CausalAttention(width, heads)
        self.feed_forward_norm = RmsNorm(width)
        self.feed_forward = SwiGlu(width, hidden_size(width))

    def forward(
        self,
        tokens: Float[Tensor, "b n w"],
        rotary: RotaryTable,
        allowed: Bool[Tensor, "#b 1 n m"] | None,
        recall: Recall | None = None,
        layer: int = 0,
    ) -> Float[Tensor, "b n w"]:
        tokens = tokens + self.attention(self.attention_norm(tokens), rotary, allowed, recall, layer)
        return tokens + self.feed_forward(self.feed_forward_norm(tokens))


class CausalTransformer(nn.Module):
    """Blocks, one after another, and a last norm.

    Without `allowed` and without `recall` each token looks at itself and the tokens before it. With `recall` the tokens follow those that
    it holds, and `allowed` (queries by keys, the remembered ones first) says which may be looked at; without it, all: right for one token.
    """

    def __init__(self, width: int, depth: int, heads: int):
        super().__init__()
        self.heads = heads
        self.blocks = nn.ModuleList(CausalBlock(width, heads) for _ in range(depth))
        self.norm = RmsNorm(width)
        self._initialise()

    def forward(
        self,
        tokens: Float[Tensor, "b n w"],
        rotary: RotaryTable,
        allowed: Bool[Tensor, "#b 1 n m"] | None = None,
        recall: Recall | None = None,
    ) -> Float[Tensor, "b n w"]:
        for layer, block in enumerate(self.blocks):
            tokens = block(tokens, rotary, allowed, recall, layer)
        if recall is not None:
            recall.advance(tokens.shape[1])
        return self.norm(tokens)

    @torch.no_grad()
    def _initialise(self) -> None:
        """Normal weights; what each block adds is made smaller, so that the sum over blocks does not grow with their number."""
        for part in self.modules():
            if isinstance(part, nn.Linear):
                nn.init.normal_(part.weight, std=INITIAL_STD)
        for block in self.blocks:
            for last in (block.attention.join, block.feed_forward.narrow):
                last.weight.div_(math.sqrt(2.0 * len(self.blocks)))


def hidden_size(width: int) -> int:
    """Of a gated feed-forward with as many weights as a plain one four times as wide: two thirds of that, in multiples of 32.

    >>> hidden_size(192)
    512
    """
    return 32 * math.ceil(8 * width / 3 / 32)
