"""Windows in other colours: what happens is the same, whatever colours it happens in.

`repaint` gives any colours, as pictures of themes never seen may have: codes must hold them. In many of them what moves is hardly seen, and
nobody could learn from them what was done: `recolour` keeps what stands out.
"""

import math

import torch
from jaxtyping import Float
from torch import Generator, Tensor

SPREAD = 1.2  # of the angle that a colour adds
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


def repaint(frames: Float[Tensor, "b t 3 h w"], share: float, rng: Generator) -> Float[Tensor, "b t 3 h w"]:
    """A share of the windows with every colour replaced by another: sines of random sums of the three; all frames of one alike."""
    if not share:
        return frames
    draw = {"generator": rng, "device": rng.device}
    mixed = SPREAD * torch.randn(len(frames), 3, 3, **draw)
    turned = 2 * math.pi * torch.rand(len(frames), 1, 3, 1, 1, **draw)
    changed = 0.5 + 0.5 * (torch.einsum("bkc,btchw->btkhw", mixed, 2 * frames - 1) + turned).sin()
    return torch.where((torch.rand(len(frames), **draw) < share)[:, None, None, None, None], changed, frames)
