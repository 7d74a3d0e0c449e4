"""Windows in other colours: what happens is the same, whatever colours it happens in."""

import torch
from jaxtyping import Float
from torch import Generator, Tensor

ORDERS = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))


def recolour(frames: Float[Tensor, "b t 3 h w"], share: float, rng: Generator) -> Float[Tensor, "b t 3 h w"]:
    """A share of the windows with their colours in another order, each colour as it was or its complement; all frames of one alike."""
    if not share:
        return frames
    draw = {"generator": rng, "device": rng.device}
    orders = torch.tensor(ORDERS, device=frames.device)[torch.randint(len(ORDERS), (len(frames),), **draw)]
    changed = frames.gather(2, orders[:, None, :, None, None].expand_as(frames))
    complement = (torch.rand(len(frames), 3, **draw) < 0.5)[:, None, :, None, None]
    changed = torch.where(complement, 1 - changed, changed)
    return torch.where((torch.rand(len(frames), **draw) < share)[:, None, None, None, None], changed, frames)
