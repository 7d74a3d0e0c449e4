"""The predictor of the end-to-end JEPA, shared by both recipes; its encoder is nn/residual_cnn.py's."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Predictor(nn.Module):
    """The next latent from this one and the action: a GRU whose hidden state is the latent itself, as in eb_jepa, plus a memory.

    The memory (of size 0: none) holds what one picture cannot show, such as a velocity. Two layers lift (state, action) before the GRU,
    since a wall makes the effect of an action a sharp function of the place. With `linear_actions` the action also moves the latent by a
    linear function of itself, zero at first, which goes on to hold where the layers have never been.
    """

    def __init__(self, *, latent_size: int, memory_size: int, action_size: int, width: int, linear_actions: bool = False):
        super().__init__()
        self.latent_size = latent_size
        size = latent_size + memory_size
        self.lift = nn.Sequential(nn.Linear(size + action_size, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.cell = nn.GRUCell(width, size)
        self.direct = nn.Linear(action_size, latent_size, bias=False) if linear_actions else None
        if self.direct is not None:
            nn.init.zeros_(self.direct.weight)

    def forward(
        self, latent: Float[Tensor, "n d"], memory: Float[Tensor, "n m"], action: Float[Tensor, "n a"]
    ) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n m"]]:
        """(next latent, not yet normalised, and next memory) after a standardised action."""
        hidden = torch.cat([latent, memory], dim=-1)
        hidden = self.cell(self.lift(torch.cat([hidden, action], dim=-1)), hidden)
        latent, memory = hidden[:, : self.latent_size], hidden[:, self.latent_size :]
        return (latent if self.direct is None else latent + self.direct(action)), memory
