"""What the transformers on codes and frames share: attention with norms on queries and keys. B batch, N tokens, H heads, D of a head."""

from jaxtyping import Bool, Float
from torch import Tensor, nn

from armillary.nn.attend import attend
from armillary.nn.rms_norm import RmsNorm


class NormedAttention(nn.Module):
    """Attention whose queries and keys have a root mean square of one, times a learned scale, in every head."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        if width % heads:
            raise ValueError(f"the width must be a multiple of the number of heads, received {width} and {heads}")
        self.heads = heads
        self.queries_keys_values = nn.Linear(width, 3 * width, bias=False)
        self.query_norm = RmsNorm(width // heads)
        self.key_norm = RmsNorm(width // heads)
        self.join = nn.Linear(width, width, bias=False)

    def ask(self, tokens: Float[Tensor, "b n w"]) -> tuple[Float[Tensor, "b n h d"], Float[Tensor, "b n h d"], Float[Tensor, "b n h d"]]:
        """Queries, keys and values, none of them turned."""
        query_BNHD, key_BNHD, value_BNHD = self.queries_keys_values(tokens).unflatten(-1, (3, self.heads, -1)).unbind(2)
        return self.query_norm(query_BNHD), self.key_norm(key_BNHD), value_BNHD

    def look(
        self,
        query: Float[Tensor, "b n h d"],
        key: Float[Tensor, "b m h d"],
        value: Float[Tensor, "b m h d"],
        allowed: Bool[Tensor, "#b 1 n m"] | None = None,
        *,
        causal: bool = False,
    ) -> Float[Tensor, "b n w"]:
        """What is seen, joined over the heads; `causal`: by each token of itself and those before it."""
        heads_first = (one.transpose(1, 2) for one in (query, key, value))
        seen_BHND = attend(*heads_first, allowed, causal=causal)
        return self.join(seen_BHND.transpose(1, 2).flatten(-2))
