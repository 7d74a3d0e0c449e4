"""What codes lose and the last real frame still shows: a picture of codes, repaired with the context beside it."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

KEPT_AT_FIRST = 1.0  # of the mask's logit: most of a picture has not moved


class ContextDetail(nn.Module):
    """Where the codes say that nothing changed since the last real frame, its own pixels; elsewhere the codes' picture, corrected.

    It sees both pictures as their codes draw them and the real one, so it knows what the codes lost there.
    """

    def __init__(self, width: int):
        super().__init__()
        self.enter = nn.Conv2d(4 * 9, width, 3, padding=1)
        self.layers = nn.ModuleList(nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation) for dilation in (2, 4, 1))
        self.out = nn.Conv2d(width, 4 * 4, 3, padding=1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(
        self, drawn: Float[Tensor, "b 3 h w"], context_drawn: Float[Tensor, "b 3 h w"], context: Float[Tensor, "b 3 h w"]
    ) -> Float[Tensor, "b 3 h w"]:
        """Pictures nearly in [0, 1]; heights and widths are even."""
        x = functional.pixel_unshuffle(torch.cat([drawn - 0.5, drawn - context_drawn, context - context_drawn], dim=1), 2)
        x = functional.silu(self.enter(x))
        for layer in self.layers:
            x = x + functional.silu(layer(x))
        keep, change = functional.pixel_shuffle(self.out(x), 2).split([1, 3], dim=1)
        kept = torch.sigmoid(keep + KEPT_AT_FIRST)
        return drawn + kept * (context - context_drawn) + 0.1 * change
