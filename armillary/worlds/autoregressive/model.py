"""The network that says the next code. B batch, T frames, R rows, C columns of codes, N = R * C codes of a frame, W width, K codes.

The frames of a window stand one after the other, each as N tokens in the order of reading. The token at place i of a frame carries the
code at place i - 1 (the first token: that a frame begins), and what is known before any code of its frame is: the action that leads there,
what the frame before and the last real frame hold around place i. Its output says the code at place i.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from armillary.nn.causal_transformer import CausalTransformer, Recall
from armillary.nn.quantise import Quantiser
from armillary.nn.rope3d import RotaryTable, rotary_table
from armillary.worlds.autoregressive.codes import CodeTable

INITIAL_STD = 0.02
CARRIED_AT_FIRST = 0.2


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is known of each frame before its codes. Where `has_before` (or `has_action`, ...) is false, the other is not looked at."""

    before: Int[Tensor, "b t r c"]  # codes of the frame before
    has_before: Bool[Tensor, "b t"]
    action: Float[Tensor, "b t a"]  # standardised, leads to the frame
    has_action: Bool[Tensor, "b t"]
    real: Int[Tensor, "b r c"]  # codes of the last real frame
    origin: Float[Tensor, "b a"]  # the standardised action that led there
    has_origin: Bool[Tensor, " b"]


class Hint(nn.Module):
    """What each frame's tokens are told: the action, the code at their place a frame before, what is around it there and in the real one.

    At first it is that code alone, so that an untrained model is near to copying.
    """

    def __init__(self, action_size: int, width: int):
        super().__init__()
        self.half = width // 2
        self.action = nn.Linear(2 * action_size + 2, self.half)
        self.mix_action = nn.Linear(self.half, self.half + width)
        self.nothing = nn.Parameter(torch.zeros(width))
        self.narrow = nn.Conv2d(2 * width, self.half, 1)
        self.around = nn.Conv2d(self.half, self.half, 3, padding=1)
        self.out = nn.Conv2d(self.half, width, 3, padding=1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, table: Float[Tensor, "k w"], known: Known) -> Float[Tensor, "b t n w"]:
        count, steps = known.action.shape[:2]
        before = torch.where(known.has_before[..., None, None, None], table[known.before], self.nothing.to(table.dtype))
        real = table[known.real][:, None].expand(-1, steps, -1, -1, -1)
        grids = torch.cat([before, real], dim=-1).flatten(0, 1).permute(0, 3, 1, 2)
        act_near, act_all = self.mix_action(functional.silu(self._act(known))).flatten(0, 1).split([self.half, table.shape[1]], dim=-1)
        near = functional.silu(self.narrow(grids))
        near = functional.silu(self.around(near) + act_near[..., None, None])
        hint = (self.out(near) + act_all[..., None, None]).flatten(2).mT.unflatten(0, (count, steps))
        return hint + before.flatten(2, 3)

    def _act(self, known: Known) -> Float[Tensor, "b t h"]:
        """The action, and how it differs from the one that led to the last real frame; zero where there is none."""
        has_action = known.has_action[..., None].to(known.action.dtype)
        both = has_action * known.has_origin[:, None, None].to(known.action.dtype)
        change = (known.action - known.origin[:, None]) * both
        return self.action(torch.cat([known.action * has_action, change, has_action, both], dim=-1))


class CodePredictor(nn.Module):
    """p(code | codes before it, actions until its frame). `past_frames` frames are looked back at."""

    def __init__(
        self, *, quantiser: Quantiser, grid: tuple[int, int], action_size: int, past_frames: int, width: int, depth: int, heads: int
    ):
        super().__init__()
        self.grid, self.count, self.past_frames = grid, grid[0] * grid[1], past_frames
        self.width, self.depth, self.heads = width, depth, heads
        self.codes = CodeTable(quantiser, width)
        self.bias = nn.Parameter(torch.zeros(quantiser.num_codes))
        self.carry = nn.Parameter(torch.tensor(CARRIED_AT_FIRST))
        self.hint = Hint(action_size, width)
        self.begins = nn.Parameter(INITIAL_STD * torch.randn(width))
        self.transformer = CausalTransformer(width, depth, heads)

    def tokens(self, table: Float[Tensor, "k w"], hint: Float[Tensor, "b t n w"], codes: Int[Tensor, "b t n"]) -> Float[Tensor, "b tn w"]:
        """The tokens of whole frames whose codes are known (or guessed)."""
        begins = self.begins.to(hint.dtype).expand(*hint.shape[:2], 1, -1)
        return (hint + torch.cat([begins, self.carried(table, codes[:, :, :-1]).to(hint.dtype)], dim=2)).flatten(1, 2)

    def carried(self, table: Float[Tensor, "k w"], codes: Int[Tensor, "*lead"]) -> Float[Tensor, "*lead w"]:
        """What the token after a code carries of it: at first little beside the code that was at its own place a frame before."""
        return self.carry * table[codes]

    def logits(self, table: Float[Tensor, "k w"], outputs: Float[Tensor, "*lead w"]) -> Float[Tensor, "*lead k"]:
        """Of every code, at every token: how much its vector is what the output points to."""
        return (functional.linear(outputs, table.to(outputs.dtype)) / self.width**0.5).float() + self.bias

    def follow(self, table: Float[Tensor, "k w"], known: Known, codes: Int[Tensor, "b t r c"]) -> Float[Tensor, "b t n w"]:
        """The output at every place of every frame, given the true (or somebody's) codes before it."""
        tokens = self.tokens(table, self.hint(table, known), codes.flatten(2))
        steps = codes.shape[1]
        allowed = None if steps <= self.past_frames + 1 else self.band(steps, tokens.device)
        return self.transformer(tokens, self.positions(0, steps, tokens.device), allowed).unflatten(1, (steps, self.count))

    def remember(
        self, table: Float[Tensor, "k w"], known: Known, codes: Int[Tensor, "b t r c"], count: Int[Tensor, " b"]
    ) -> Float[Tensor, "b l 2 m w"]:
        """The memory of a window of `past_frames` frames, of which the last `count` are there."""
        tokens = self.tokens(table, self.hint(table, known), codes.flatten(2))
        recall = self.recall(tokens.new_empty(len(tokens), self.depth, 2, 0, self.width), tokens.shape[1])
        own = torch.ones(tokens.shape[1], tokens.shape[1], dtype=torch.bool, device=tokens.device)
        allowed = own.tril() & (self.there(count)[:, None, None] | own.triu())  # a token always sees itself: none may see nothing
        self.transformer(tokens, self.positions(0, codes.shape[1], tokens.device), allowed, recall)
        return recall.new() * self.there(count)[:, None, None, :, None]

    def recall(self, memory: Float[Tensor, "b l 2 m w"], room: int) -> Recall:
        """A memory to go on from, its frames at times 0, 1, ..."""
        frames = memory.shape[3] // self.count
        return Recall(memory, self.positions(0, frames, memory.device) if frames else None, self.heads, room)

    def positions(self, first: int, steps: int, device: torch.device) -> RotaryTable:
        """Of `steps` frames from time `first` on."""
        rows, columns = self.grid
        axes = (torch.arange(first, first + steps), torch.arange(rows), torch.arange(columns))
        places = torch.cartesian_prod(*axes).to(device)
        return rotary_table(places[None], self.width // self.heads)

    def there(self, count: Int[Tensor, " b"]) -> Bool[Tensor, "b m"]:
        """Which tokens of a memory belong to one of the last `count` frames."""
        frames = torch.arange(self.past_frames, device=count.device) >= self.past_frames - count[:, None]
        return frames.repeat_interleave(self.count, dim=1)

    def band(self, steps: int, device: torch.device) -> Bool[Tensor, "1 1 m m"]:
        """Every token and those before it, in its own frame and `past_frames` before that."""
        token = torch.arange(steps * self.count, device=device)
        frame = token // self.count
        return ((token[:, None] >= token) & (frame[:, None] - frame <= self.past_frames))[None, None]
