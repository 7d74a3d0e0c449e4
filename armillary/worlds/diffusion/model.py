"""The diffusion transformer: noisy frames look at themselves and at the clean frames of the context.

Shape suffixes: B batch, F frames, N tokens, H heads, D dimensions of a head. Blocks with adaptive layer norm (DiT, arXiv:2212.09748),
whose modulation is shared but for a low-rank part of each block, normalised queries and keys, and rotary positions in seconds
(arXiv:2501.03575). A frame's action is added to the embedding of its noise level.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from armillary.nn.attend import attend
from armillary.nn.rope3d import RotaryTable
from armillary.nn.rotary_seconds import rotary_seconds
from armillary.nn.transformer import FeedForward

MODULATIONS = 6  # scale, shift and gate, for attention and for feed-forward
LEVEL_FREQUENCIES = 64
SLOWEST, FASTEST = 0.25, 250.0  # of the sinusoids that tell the noise level, in radians a unit


@dataclass(frozen=True)
class Memory:
    """Keys and values of the context in one block, heads already turned by their positions."""

    keys: Float[Tensor, "b n h d"]
    values: Float[Tensor, "b n h d"]

    def repeat(self, count: int) -> "Memory":
        """Each row `count` times in a row."""
        return Memory(self.keys.repeat_interleave(count, dim=0), self.values.repeat_interleave(count, dim=0))


class Block(nn.Module):
    """Attention and feed-forward, both modulated; `rank` is that of the block's own part of the modulation."""

    def __init__(self, width: int, heads: int, rank: int):
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.query_scale, self.key_scale = (nn.Parameter(torch.ones(width // heads)) for _ in range(2))
        self.join = nn.Linear(width, width)
        self.feed_forward = FeedForward(width, 4 * width)
        self.down, self.up = nn.Linear(width, rank, bias=False), nn.Linear(rank, MODULATIONS * width, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(
        self,
        tokens: Float[Tensor, "b n w"],
        condition: Float[Tensor, "b w"],
        shared: Float[Tensor, "b m"],
        rotary: RotaryTable,
        memory: Memory | None = None,
    ) -> tuple[Float[Tensor, "b n w"], Memory]:
        """The tokens after the block, and what others may remember of them. They look at themselves and at `memory`."""
        modulation = (shared + self.up(self.down(condition)))[:, None].chunk(MODULATIONS, dim=-1)
        scale, shift, gate, scale_after, shift_after, gate_after = modulation
        mixed_BN3HD = self.queries_keys_values(self.norm(tokens) * (1.0 + scale) + shift).unflatten(-1, (3, self.heads, -1))
        query_BNHD, key_BNHD, value_BNHD = mixed_BN3HD.unbind(2)
        query_BNHD = rotary.rotate(_normalised(query_BNHD, self.query_scale))
        key_BNHD = rotary.rotate(_normalised(key_BNHD, self.key_scale))
        own = Memory(key_BNHD, value_BNHD)
        keys, values = own.keys, own.values
        if memory is not None:
            keys, values = torch.cat([memory.keys, keys], dim=1), torch.cat([memory.values, values], dim=1)
        seen_BHND = attend(query_BNHD.transpose(1, 2), keys.transpose(1, 2), values.transpose(1, 2))
        tokens = tokens + gate * self.join(seen_BHND.transpose(1, 2).flatten(-2))
        return tokens + gate_after * self.feed_forward(self.norm(tokens) * (1.0 + scale_after) + shift_after), own


class DiffusionTransformer(nn.Module):
    """Frames of `channels` (of them `guide` are clean hints, the rest is noisy) to frames of `out` channels.

    A channel is added that says which frames are context. Every frame sees itself and the context alone, so frame `h` of a
    chunk is the same whatever is done after it.
    """

    def __init__(
        self, *, height: int, width_pixels: int, channels: int, out: int, patch: int, width: int, depth: int, heads: int, rank: int = 32
    ):
        super().__init__()
        if height % patch or width_pixels % patch:
            raise ValueError(f"picture sides must be multiples of the patch, received {height} x {width_pixels} and {patch}")
        self.patch, self.out, self.head_size = patch, out, width // heads
        self.rows, self.columns = height // patch, width_pixels // patch
        self.enter = nn.Linear((channels + 1) * patch**2, width)
        self.level = nn.Sequential(nn.Linear(2 * LEVEL_FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width))
        self.context_condition = nn.Parameter(torch.zeros(width))
        self.modulate = nn.Linear(width, MODULATIONS * width)
        self.blocks = nn.ModuleList(Block(width, heads, rank) for _ in range(depth))
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.final_modulate = nn.Linear(width, 2 * width)
        self.leave = nn.Linear(width, out * patch**2)
        frequency = torch.logspace(math.log10(SLOWEST), math.log10(FASTEST), LEVEL_FREQUENCIES)
        self.register_buffer("frequency", frequency, persistent=False)
        self._initialise()

    def remember(self, context: Float[Tensor, "b k c h w"], times_s: Float[Tensor, "b k"]) -> list[Memory]:
        """What every block keeps of the clean context frames seen at `times_s`."""
        tokens = self._patches(context, mark=1.0).flatten(1, 2)
        condition = functional.silu(self.context_condition).expand(len(tokens), -1)
        shared, rotary, kept = self.modulate(condition), self._rotary(times_s), []
        for block in self.blocks:
            tokens, memory = block(tokens, condition, shared, rotary)
            kept.append(memory)
        return kept

    def forward(
        self,
        frames: Float[Tensor, "b f c h w"],
        level: Float[Tensor, "b f"],
        action: Float[Tensor, "b f d"],
        times_s: Float[Tensor, "b f"],
        memory: Sequence[Memory],
    ) -> Float[Tensor, "b f o h w"]:
        """Frames at noise levels (as the noising tells them), each led to by what `action` embeds, seen at `times_s`."""
        count = frames.shape[1]
        tokens = self._patches(frames, mark=0.0).flatten(0, 1)
        condition = functional.silu((self._tell(level) + action).flatten(0, 1))
        shared, rotary = self.modulate(condition), self._rotary(times_s.reshape(-1, 1))
        for block, kept in zip(self.blocks, memory, strict=True):
            tokens, _ = block(tokens, condition, shared, rotary, kept.repeat(count))
        scale, shift = self.final_modulate(condition)[:, None].chunk(2, dim=-1)
        drawn = self.leave(self.norm(tokens) * (1.0 + scale) + shift)
        grid = drawn.transpose(1, 2).unflatten(2, (self.rows, self.columns))
        return functional.pixel_shuffle(grid, self.patch).unflatten(0, (-1, count))

    def _patches(self, video: Float[Tensor, "b t c h w"], mark: float) -> Float[Tensor, "b t n d"]:
        marked = torch.cat([video, torch.full_like(video[:, :, :1], mark)], dim=2)
        patches = functional.pixel_unshuffle(marked.flatten(0, 1), self.patch).flatten(2).transpose(1, 2)
        return self.enter(patches).unflatten(0, video.shape[:2])

    def _tell(self, level: Float[Tensor, "b f"]) -> Float[Tensor, "b f d"]:
        angle = level[..., None] * self.frequency
        return self.level(torch.cat([angle.sin(), angle.cos()], dim=-1))

    def _rotary(self, times_s: Float[Tensor, "b t"]) -> RotaryTable:
        return rotary_seconds(times_s, rows=self.rows, columns=self.columns, head_size=self.head_size)

    @torch.no_grad()
    def _initialise(self) -> None:
        """Every block begins as nothing (adaLN-Zero)."""
        for layer in (self.modulate, self.final_modulate):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        nn.init.normal_(self.leave.weight, std=0.02)
        nn.init.zeros_(self.leave.bias)
        nn.init.normal_(self.context_condition, std=0.5)


def _normalised(heads: Float[Tensor, "b n h d"], scale: Float[Tensor, " d"]) -> Float[Tensor, "b n h d"]:
    """Each head's vector of root mean square one, times a learned scale: attention logits cannot grow without bound."""
    return functional.rms_norm(heads, heads.shape[-1:], scale.to(heads.dtype))
