"""A spatiotemporal (ST) transformer: Genie's block (arXiv:2402.15391, section 2.1; the split into space and time is arXiv:2001.02908's).

In a block every token looks at the tokens of its own frame, then at its own place in its frame and those before, then one feed-forward
follows. So the cost grows with frames times places, not with its square. Norms on queries and keys, rotary positions in space and time.
Keys are remembered before they are turned to their times (as in causal_transformer.py), so that what is remembered may slide.

B batch, T frames, N places of a frame, W width, H heads, D dimensions of a head, M frames remembered, L layers.
"""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from armillary.nn.causal_transformer import INITIAL_STD, hidden_size
from armillary.nn.normed_attention import NormedAttention
from armillary.nn.rms_norm import RmsNorm
from armillary.nn.rope3d import RotaryTable, rotary_table
from armillary.nn.swiglu import SwiGlu

KeysValues = tuple[Tensor, Tensor]


class STBlock(nn.Module):
    """x + space(norm(x)), then x + time(norm(x)), then x + feed-forward(norm(x))."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.space_norm, self.time_norm, self.feed_forward_norm = (RmsNorm(width) for _ in range(3))
        self.space, self.time = NormedAttention(width, heads), NormedAttention(width, heads)
        self.feed_forward = SwiGlu(width, hidden_size(width))

    def forward(
        self,
        tokens: Float[Tensor, "b t n w"],
        places: RotaryTable,
        times: RotaryTable,
        past: Float[Tensor, "b 2 m n w"] | None,
        allowed: Bool[Tensor, "bn 1 t k"] | None,
    ) -> tuple[Float[Tensor, "b t n w"], Float[Tensor, "b 2 t n w"]]:
        """The tokens, and the keys and values that this block's look at time leaves for later frames.

        `times` holds the times of the remembered frames, then those of the tokens.
        """
        count, steps = tokens.shape[:2]
        query, key, value = self.space.ask(self.space_norm(tokens).flatten(0, 1))
        tokens = tokens + self.space.look(places.rotate(query), places.rotate(key), value).unflatten(0, (count, steps))
        query, key, value = self.time.ask(self.time_norm(tokens).transpose(1, 2).flatten(0, 1))
        kept = torch.stack([key, value], dim=1).flatten(-2).unflatten(0, (count, -1)).permute(0, 2, 3, 1, 4)
        before = times.cos.shape[1] - steps
        query = RotaryTable(times.cos[:, before:], times.sin[:, before:]).rotate(query)
        if past is not None:
            remembered = past.permute(0, 3, 1, 2, 4).flatten(0, 1).unflatten(-1, (self.time.heads, -1))
            key, value = torch.cat([remembered[:, 0], key], dim=1), torch.cat([remembered[:, 1], value], dim=1)
        seen = self.time.look(query, times.rotate(key), value, allowed)
        tokens = tokens + seen.unflatten(0, (count, -1)).transpose(1, 2)
        return tokens + self.feed_forward(self.feed_forward_norm(tokens)), kept


class STTransformer(nn.Module):
    """Blocks, one after another, and a last norm. A frame sees itself and the `past_frames` before it; never one after it.

    The memory of some frames is a tensor `b l 2 m n w`: for each layer, the keys (not turned) and values of its look at time.
    """

    def __init__(self, *, grid: tuple[int, int], past_frames: int, width: int, depth: int, heads: int):
        super().__init__()
        self.grid, self.past_frames, self.width, self.depth, self.heads = grid, past_frames, width, depth, heads
        self.blocks = nn.ModuleList(STBlock(width, heads) for _ in range(depth))
        self.norm = RmsNorm(width)
        self._initialise()

    def forward(
        self,
        tokens: Float[Tensor, "b t n w"],
        memory: Float[Tensor, "b l 2 m n w"] | None = None,
        *,
        first: int | None = None,
        allowed: Bool[Tensor, "#b t k"] | None = None,
        there: Bool[Tensor, "b k"] | None = None,
    ) -> tuple[Float[Tensor, "b t n w"], Float[Tensor, "b l 2 t n w"]]:
        """(outputs, what a later frame's memory needs of these tokens).

        Remembered frames are at times 0, 1, ..., the tokens at `first` and on (left out: after the memory). `allowed` says which
        remembered frames, then which of the frames given, each frame may look at; left out, itself and the last `past_frames`. Of those
        it sees the ones that are `there`, and always itself.
        """
        steps, before = tokens.shape[1], 0 if memory is None else memory.shape[3]
        first = before if first is None else first
        moments = torch.cat([torch.arange(before), torch.arange(first, first + steps)]).to(tokens.device)
        if allowed is None:
            allowed = self.band(moments[before:], moments)
        if there is not None:
            own = torch.eye(steps, dtype=torch.bool, device=tokens.device)
            allowed = allowed & (there[:, None] | functional.pad(own, (before, 0)))
        mask = None if bool(allowed.all()) else allowed.repeat_interleave(tokens.shape[2] if len(allowed) > 1 else 1, dim=0)[:, None]
        places, times = self._places(tokens.device), self._turns(moments)
        kept = []
        for layer, block in enumerate(self.blocks):
            tokens, new = block(tokens, places, times, None if memory is None else memory[:, layer], mask)
            kept.append(new)
        return self.norm(tokens), torch.stack(kept, dim=1)

    def band(self, asking: Tensor, asked: Tensor) -> Bool[Tensor, "1 t k"]:
        """Which times may be looked at from which: not later ones, and at most `past_frames` back."""
        back = asking[:, None] - asked
        return ((back >= 0) & (back <= self.past_frames))[None]

    def _places(self, device: torch.device) -> RotaryTable:
        rows, columns = self.grid
        places = torch.cartesian_prod(torch.zeros(1, dtype=torch.long), torch.arange(rows), torch.arange(columns))
        return rotary_table(places[None].to(device), self.width // self.heads)

    def _turns(self, moments: Tensor) -> RotaryTable:
        nowhere = torch.zeros_like(moments)
        return rotary_table(torch.stack([moments, nowhere, nowhere], dim=-1)[None], self.width // self.heads)

    @torch.no_grad()
    def _initialise(self) -> None:
        """Normal weights; what each block adds is made smaller, so that the sum over blocks does not grow with their number."""
        for part in self.modules():
            if isinstance(part, nn.Linear):
                nn.init.normal_(part.weight, std=INITIAL_STD)
        for block in self.blocks:
            for last in (block.space.join, block.time.join, block.feed_forward.narrow):
                last.weight.div_(math.sqrt(3.0 * len(self.blocks)))
