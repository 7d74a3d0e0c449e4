"""The parts of Cosmos' diffusion transformer (arXiv:2501.03575, section 5.1.2). B batch, N tokens, H heads, D dimensions of a head."""

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from armillary.nn.attend import attend
from armillary.nn.rms_norm import RmsNorm
from armillary.worlds.video_diffusion.rotary import Turn

HEAD_EPSILON = 1e-5  # of the norms on queries and keys
NORM_EPSILON = 1e-6
SLOWEST = 1e-4  # of the sinusoids that tell the level, in radians a unit; the fastest has 1


class LevelEmbedding(nn.Module):
    """A noise level as sinusoids, and from them what every modulation shares."""

    def __init__(self, width: int):
        super().__init__()
        self.widen = nn.Linear(width, width, bias=False)
        self.tell = nn.Linear(width, 3 * width, bias=False)
        self.norm = RmsNorm(width)
        self.half = width // 2

    def forward(self, level: Float[Tensor, "b i"]) -> tuple[Float[Tensor, "b i w"], Float[Tensor, "b i m"]]:
        """The normalised sinusoids, and shift, scale and gate that all blocks share."""
        power = torch.arange(self.half, dtype=torch.float32, device=level.device) / self.half
        angle = level[..., None].float() * SLOWEST**power
        waves = torch.cat([angle.cos(), angle.sin()], dim=-1).to(self.norm.scale.dtype)
        return self.norm(waves), self.tell(functional.silu(self.widen(waves)))


class Modulation(nn.Module):
    """adaLN-LoRA: shift and scale (and gate) of a norm without weights of its own; a low-rank part added to the shared one."""

    def __init__(self, width: int, rank: int, parts: int):
        super().__init__()
        self.width, self.parts = width, parts
        self.down = nn.Linear(width, rank, bias=False)
        self.up = nn.Linear(rank, parts * width, bias=False)

    def forward(
        self, tokens: Float[Tensor, "b n w"], embedded: Float[Tensor, "b i w"], shared: Float[Tensor, "b i m"], runs: tuple[int, ...]
    ) -> tuple[Tensor, ...]:
        """The modulated norm of the tokens, and their gate where there is one. Item i rules the next `runs[i]` tokens."""
        told = self.up(self.down(functional.silu(embedded))) + shared[..., : self.parts * self.width]
        shift, scale, *gate = (spread(part, runs) for part in told.chunk(self.parts, dim=-1))
        normed = functional.layer_norm(tokens, tokens.shape[-1:], eps=NORM_EPSILON)
        return normed * (1.0 + scale) + shift, *gate


def spread(items: Float[Tensor, "b i w"], runs: tuple[int, ...]) -> Float[Tensor, "b n w"]:
    """Item i once for each of its `runs[i]` tokens."""
    most = max(runs)
    frames = sum(1 for run in runs if run == most)
    if runs != (most,) * frames + (1,) * (len(runs) - frames):
        raise ValueError(f"runs must be those of frames, then ones for actions, received {runs}")
    video = items[:, :frames, None].expand(-1, -1, most, -1).flatten(1, 2)
    return torch.cat([video, items[:, frames:]], dim=1) if frames < len(runs) else video


class Attention(nn.Module):
    """Attention without biases, whose queries and keys have a root mean square of one, times a learned scale, in every head."""

    def __init__(self, width: int, heads: int, source: int | None = None):
        super().__init__()
        source = width if source is None else source
        self.heads = heads
        self.queries = nn.Linear(width, width, bias=False)
        self.keys = nn.Linear(source, width, bias=False)
        self.values = nn.Linear(source, width, bias=False)
        self.query_norm, self.key_norm = (RmsNorm(width // heads, HEAD_EPSILON) for _ in range(2))
        self.join = nn.Linear(width, width, bias=False)

    def forward(
        self,
        tokens: Float[Tensor, "b n w"],
        source: Float[Tensor, "b m v"] | None = None,
        turn: Turn | None = None,
        allowed: Bool[Tensor, "#b 1 #n m"] | None = None,
    ) -> Float[Tensor, "b n w"]:
        """Of the tokens to `source`, or to themselves, as far as `allowed`."""
        source = tokens if source is None else source
        query_BNHD, key_BMHD, value_BMHD = (
            layer(of).unflatten(-1, (self.heads, -1)) for layer, of in ((self.queries, tokens), (self.keys, source), (self.values, source))
        )
        query_BNHD, key_BMHD = self.query_norm(query_BNHD), self.key_norm(key_BMHD)
        if turn is not None:
            query_BNHD, key_BMHD = turn.rotate(query_BNHD), turn.rotate(key_BMHD)
        seen_BHND = attend(query_BNHD.transpose(1, 2), key_BMHD.transpose(1, 2), value_BMHD.transpose(1, 2), allowed)
        return self.join(seen_BHND.transpose(1, 2).flatten(-2))


class FeedForward(nn.Module):
    """Two layers without biases, GELU between them."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.widen = nn.Linear(width, hidden, bias=False)
        self.narrow = nn.Linear(hidden, width, bias=False)

    def forward(self, tokens: Float[Tensor, "b n w"]) -> Float[Tensor, "b n w"]:
        return self.narrow(functional.gelu(self.widen(tokens)))


class Block(nn.Module):
    """Self-attention, attention to the text (where `text_width` is not 0), feed-forward; each modulated and gated."""

    def __init__(self, *, width: int, heads: int, rank: int, text_width: int, mlp_ratio: float):
        super().__init__()
        self.self_norm, self.self_attention = Modulation(width, rank, 3), Attention(width, heads)
        if text_width:
            self.text_norm, self.text_attention = Modulation(width, rank, 3), Attention(width, heads, text_width)
        self.feed_norm, self.feed_forward = Modulation(width, rank, 3), FeedForward(width, int(width * mlp_ratio))
        self.reads = bool(text_width)

    def forward(
        self,
        tokens: Float[Tensor, "b n w"],
        level: tuple[Tensor, Tensor, tuple[int, ...]],
        turn: Turn,
        allowed: Bool[Tensor, "1 1 n n"] | None,
        text: Float[Tensor, "b m v"] | None,
        readable: Bool[Tensor, "b 1 1 m"] | None,
    ) -> Float[Tensor, "b n w"]:
        normed, gate = self.self_norm(tokens, *level)
        tokens = tokens + gate * self.self_attention(normed, turn=turn, allowed=allowed)
        if self.reads:
            normed, gate = self.text_norm(tokens, *level)
            tokens = tokens + gate * self.text_attention(normed, source=text, allowed=readable)
        normed, gate = self.feed_norm(tokens, *level)
        return tokens + gate * self.feed_forward(normed)


class Places(nn.Module):
    """A learned vector for every time, row and column, added before each block with a norm of one: what Cosmos has beside rotations."""

    def __init__(self, width: int, limits: tuple[int, int, int]):
        super().__init__()
        self.time, self.row, self.column = (nn.Parameter(torch.zeros(limit, width)) for limit in limits)

    def forward(self, steps: Int[Tensor, " f"], rows: int, columns: int, views: int = 1) -> Float[Tensor, "1 n w"]:
        """Of frames at these steps, each seen by all `views` cameras. ValueError for more of anything than there are vectors."""
        found = (("frames", len(steps) // views, self.time), ("rows", rows, self.row), ("columns", columns, self.column))
        for name, count, table in found:
            if count > len(table):
                raise ValueError(f"there are learned places for {len(table)} {name}, received {count}")
        places = self.time[steps][:, None, None] + self.row[:rows, None] + self.column[:columns]
        places = places.flatten(0, 2)
        return (places / (NORM_EPSILON + places.norm(dim=-1, keepdim=True) / math.sqrt(places.shape[-1])))[None]
