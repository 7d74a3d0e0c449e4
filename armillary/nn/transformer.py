"""The transformer block: layer norm before attention and before the feed-forward, each added to what came in."""

import math
from collections.abc import Iterable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from armillary.nn.attention import Attention
from armillary.nn.rope3d import RotaryTable

NORM_EPSILON = 1e-6
INITIAL_STD = 0.02


class FeedForward(nn.Module):
    """Two layers with GELU (the exact one) between them."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.widen = nn.Linear(width, hidden)
        self.narrow = nn.Linear(hidden, width)

    def forward(self, tokens: Float[Tensor, "*lead w"]) -> Float[Tensor, "*lead w"]:
        return self.narrow(functional.gelu(self.widen(tokens)))


class Block(nn.Module):
    """x + attention(norm(x)), then x + feed-forward(norm(x))."""

    def __init__(self, width: int, heads: int, *, mlp_ratio: float = 4.0, bias: bool = True):
        super().__init__()
        self.attention_norm = nn.LayerNorm(width, eps=NORM_EPSILON)
        self.attention = Attention(width, heads, bias=bias)
        self.feed_forward_norm = nn.LayerNorm(width, eps=NORM_EPSILON)
        self.feed_forward = FeedForward(width, int(width * mlp_ratio))

    def forward(
        self, tokens: Float[Tensor, "b n w"], rotary: RotaryTable | None = None, allowed: Bool[Tensor, "n n"] | None = None
    ) -> Float[Tensor, "b n w"]:
        tokens = tokens + self.attention(self.attention_norm(tokens), rotary, allowed)
        return tokens + self.feed_forward(self.feed_forward_norm(tokens))


@torch.no_grad()
def initialise(module: nn.Module, blocks: Iterable[Block]) -> None:
    """Weights of every linear layer from a normal of deviation 0.02 cut off at two units, biases zero; what layer l of `blocks` adds
    is made smaller by sqrt(2 l), so that the sum over layers does not grow with their number."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.trunc_normal_(part.weight, std=INITIAL_STD)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
    for layer, block in enumerate(blocks, start=1):
        for last in (block.attention.join, block.feed_forward.narrow):
            last.weight.div_(math.sqrt(2.0 * layer))
