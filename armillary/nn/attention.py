"""Multi-head self-attention with optional rotary positions. B batch, N tokens, H heads, D dimensions of a head."""

from jaxtyping import Bool, Float
from torch import Tensor, nn

from armillary.nn.attend import attend
from armillary.nn.rope3d import RotaryTable


class Attention(nn.Module):
    """Every token looks at every token that `allowed` lets it see; queries, keys and values come from one matrix."""

    def __init__(self, width: int, heads: int, *, bias: bool = True):
        super().__init__()
        if width % heads:
            raise ValueError(f"the width must be a multiple of the number of heads, received {width} and {heads}")
        self.heads = heads
        self.queries_keys_values = nn.Linear(width, 3 * width, bias=bias)
        self.join = nn.Linear(width, width)

    def forward(
        self, tokens: Float[Tensor, "b n w"], rotary: RotaryTable | None = None, allowed: Bool[Tensor, "n n"] | None = None
    ) -> Float[Tensor, "b n w"]:
        """`allowed[i, j]` says whether token i may look at token j; without it all may."""
        mixed_BN3HD = self.queries_keys_values(tokens).unflatten(-1, (3, self.heads, -1))
        query_BNHD, key_BNHD, value_BNHD = mixed_BN3HD.unbind(2)
        if rotary is not None:
            query_BNHD, key_BNHD = rotary.rotate(mixed_BN3HD[:, :, :2]).unbind(2)
        seen_BHND = attend(query_BNHD.transpose(1, 2), key_BNHD.transpose(1, 2), value_BNHD.transpose(1, 2), allowed)
        return self.join(seen_BHND.transpose(1, 2).flatten(-2))
