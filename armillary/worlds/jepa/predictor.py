"""The predictor: from the tokens that were seen, what the encoder would say of those that were not."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from armillary.nn.rope3d import rotary_table
from armillary.nn.transformer import NORM_EPSILON, Block, initialise
from armillary.worlds.jepa.vit import TokenGrid

MASK_TOKEN = 1  # of the mask tokens, the one that released models are used with


class Predictor(nn.Module):
    """A narrow transformer over seen tokens and mask tokens; both carry their place by rotary positions alone (section 2.1)."""

    def __init__(
        self,
        *,
        encoder_width: int,
        width: int,
        depth: int,
        heads: int,
        mlp_ratio: float = 4.0,
        num_mask_tokens: int = 2,
        rotary: str = "released",
        bias: bool = True,
    ):
        super().__init__()
        self.rotary, self.head_size = rotary, width // heads
        self.enter = nn.Linear(encoder_width, width)
        self.mask_tokens = nn.Parameter(torch.zeros(num_mask_tokens, width))
        self.blocks = nn.ModuleList(Block(width, heads, mlp_ratio=mlp_ratio, bias=bias) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=NORM_EPSILON)
        self.leave = nn.Linear(width, encoder_width)
        initialise(self, self.blocks)

    def forward(
        self, seen: Float[Tensor, "b v e"], grid: TokenGrid, visible: Int[Tensor, "b v"], hidden: Int[Tensor, "b m"]
    ) -> Float[Tensor, "b m e"]:
        """The `hidden` tokens, predicted from what the encoder made of the `visible` ones."""
        masks = self.mask_tokens[MASK_TOKEN % len(self.mask_tokens)].expand(*hidden.shape, -1)
        entered = self.enter(seen)
        tokens = torch.cat([entered, masks.to(entered.dtype)], dim=1)
        table = rotary_table(grid.positions(seen.device), self.head_size, convention=self.rotary)
        table = table.take(torch.cat([visible, hidden], dim=1))
        for block in self.blocks:
            tokens = block(tokens, table)
        return self.leave(self.norm(tokens[:, visible.shape[1] :]))
