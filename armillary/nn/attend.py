"""Attention as one call, at its fastest on each device. B batch, H heads, N queries, M keys, D dimensions of a head."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional


def attend(
    query: Float[Tensor, "b h n d"],
    key: Float[Tensor, "b h m d"],
    value: Float[Tensor, "b h m d"],
    allowed: Bool[Tensor, "*#rows #n m"] | None = None,
    *,
    causal: bool = False,
) -> Float[Tensor, "b h n d"]:
    """softmax(query key' / sqrt(d)) value, over the keys that are `allowed`; `causal`: key i is for queries i and on.

    On a CPU what is learned in 16 bits is attended in 32: torch's way back through it takes four times as long in 16 (64 tokens, heads
    of 32), and its way forth no less.
    """
    if query.dtype == torch.bfloat16 and query.device.type == "cpu" and query.requires_grad:
        with torch.autocast("cpu", enabled=False):
            wide = (one.float() for one in (query, key, value))
            return functional.scaled_dot_product_attention(*wide, attn_mask=allowed, is_causal=causal).to(query.dtype)
    return functional.scaled_dot_product_attention(query, key, value, attn_mask=allowed, is_causal=causal)
