"""The predictor of V-JEPA 2-AC: what the next frame's tokens will be, from the frames, actions and robot states up to now.

A sequence holds for every frame [action, state, patches]; the frames follow each other in time.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from armillary.nn.rope3d import RotaryTable, rotary_table
from armillary.nn.transformer import INITIAL_STD, NORM_EPSILON, Block, initialise
from armillary.worlds.jepa.frozen_encoder import normalised
from armillary.worlds.jepa.vit import TokenGrid

CONTROLS = 2  # an action token and a state token stand before each frame's patches


def block_causal(frames: int, tokens_per_frame: int) -> Bool[Tensor, "n n"]:
    """Whether token i may look at token j: at all of its own frame and of earlier ones (arXiv:2506.09985, section 3.1).

    >>> block_causal(2, 1).tolist()
    [[True, False], [True, True]]
    """
    frame = torch.arange(frames).repeat_interleave(tokens_per_frame)
    return frame[:, None] >= frame[None, :]


def frame_positions(frames: int, rows: int, columns: int) -> Int[Tensor, "1 n 3"]:
    """(time, row, column) of every token; action and state tokens have a time only, so that their row and column planes do not turn."""
    patches = TokenGrid(times=1, rows=rows, columns=columns).positions()[0]
    one = torch.cat([patches.new_zeros(CONTROLS, 3), patches])
    place = one.repeat(frames, 1)
    place[:, 0] = torch.arange(frames, device=place.device).repeat_interleave(len(one))
    return place[None]


class ActionPredictor(nn.Module):
    """A block-causal transformer: the output at the patches of frame k are the patches of frame k + 1 (eq. 2, arXiv:2506.09985).

    With `predict_change` the output is added to the frame's own tokens before they are normalised. The output at the state token is the
    change of the (standardised) state. Both begin at zero: until it has learned, nothing moves.
    """

    def __init__(
        self,
        *,
        grid: TokenGrid,
        token_size: int,
        action_size: int,
        state_size: int,
        max_frames: int,
        width: int,
        depth: int,
        heads: int,
        mlp_ratio: float = 4.0,
        predict_change: bool = True,
        learn_places: bool = True,
    ):
        super().__init__()
        self.predict_change, self.tokens_per_frame = predict_change, CONTROLS + grid.count
        self.enter = nn.Linear(token_size, width)
        self.place = nn.Parameter(torch.zeros(grid.count, width)) if learn_places else None
        self.action = nn.Linear(action_size, width)
        self.state = nn.Linear(state_size, width) if state_size else None
        self.unknown = nn.Parameter(torch.zeros(width))
        self.blocks = nn.ModuleList(Block(width, heads, mlp_ratio=mlp_ratio) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=NORM_EPSILON)
        self.leave = nn.Linear(width, token_size)
        self.change = nn.Linear(width, state_size) if state_size else None
        initialise(self, self.blocks)
        for token in [self.unknown] + [self.place] * learn_places:
            nn.init.trunc_normal_(token, std=INITIAL_STD)
        for last in [self.leave] * predict_change + [self.change] * (state_size > 0):
            nn.init.zeros_(last.weight)
        table = rotary_table(frame_positions(max_frames, grid.rows, grid.columns), width // heads, convention="exact")
        self.register_buffer("cos", table.cos, persistent=False)
        self.register_buffer("sin", table.sin, persistent=False)
        self.register_buffer("allowed", block_causal(max_frames, self.tokens_per_frame), persistent=False)

    def forward(
        self,
        tokens: Float[Tensor, "b t n d"],
        actions: Float[Tensor, "b t a"],
        states: Float[Tensor, "b t s"],
        known: Bool[Tensor, "b t"],
    ) -> tuple[Float[Tensor, "b t n d"], Float[Tensor, "b t s"]]:
        """(the next frame's tokens, normalised; the change of the state) after each frame, from normalised tokens and standardised numbers.

        `actions[:, k]` leads from frame k to frame k + 1. Where a state is not `known` a learned token stands in for it.
        """
        frames = tokens.shape[1]
        count = frames * self.tokens_per_frame
        assert count <= len(self.allowed), f"made for {len(self.allowed) // self.tokens_per_frame} frames, received {frames}"
        table = RotaryTable(self.cos[:, :count], self.sin[:, :count])
        allowed = self.allowed[:count, :count] if frames > 1 else None
        patches = self.enter(tokens)
        controls = torch.stack([self.action(actions), self._state_tokens(states, known)], dim=2)
        if self.place is not None:
            patches = patches + self.place + controls.sum(dim=2, keepdim=True)
        hidden = torch.cat([controls, patches], dim=2)
        hidden = hidden.flatten(1, 2)
        for block in self.blocks:
            hidden = block(hidden, table, allowed)
        hidden = self.norm(hidden).unflatten(1, (frames, -1))
        found = self.leave(hidden[:, :, CONTROLS:])
        change = states if self.change is None else self.change(hidden[:, :, 1])
        return normalised(tokens + found if self.predict_change else found), change

    def _state_tokens(self, states: Float[Tensor, "b t s"], known: Bool[Tensor, "b t"]) -> Float[Tensor, "b t w"]:
        if self.state is None:
            return self.unknown.expand(*known.shape, -1)
        return torch.where(known[..., None], self.state(states), self.unknown)
