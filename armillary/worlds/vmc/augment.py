"""Other looks of the same recording: a static texture over part of the view, a small shift.

Each window is changed as a whole, so that what moves still moves the same way. Trained so, the context-conditioned
decoder has to copy what it sees instead of painting the background it knows. Light and colour are not drawn: the decoder
works in the context's own tone (`model.Tone`).
"""

import torch
from jaxtyping import Float
from torch import Generator, Tensor
from torch.nn import functional

from armillary.nn.random_shift import random_shift

MAX_SHIFT_PIXELS = 4


def other_look(frames: Float[Tensor, "b t 3 h w"], probability: float, rng: Generator) -> Float[Tensor, "b t 3 h w"]:
    """Each of the `b` windows in another look with this probability, otherwise as it is."""
    changed = random_shift(_texture(frames, rng), MAX_SHIFT_PIXELS, rng)
    chosen = torch.rand(len(frames), 1, 1, 1, 1, generator=rng, device=rng.device) < probability
    return torch.where(chosen, changed, frames)


def _texture(frames: Float[Tensor, "b t 3 h w"], rng: Generator) -> Float[Tensor, "b t 3 h w"]:
    """A random picture blended over a random smooth region, the same in every frame, in half of the windows."""
    count, height, width = len(frames), *frames.shape[-2:]
    size = (height, width)
    coarse = torch.rand(count, 3, 6, 6, generator=rng, device=rng.device)
    fine = torch.rand(count, 3, height, width, generator=rng, device=rng.device)
    picture = (functional.interpolate(coarse, size=size, mode="bilinear", align_corners=False) + 0.1 * fine)[:, None]
    height_map = torch.rand(count, 1, 4, 4, generator=rng, device=rng.device)
    region = torch.sigmoid(12.0 * (functional.interpolate(height_map, size=size, mode="bicubic", align_corners=False) - 0.75))[:, None]
    region = region * (torch.rand(count, 1, 1, 1, 1, generator=rng, device=rng.device) < 0.5)
    return (frames * (1.0 - region) + picture * region).clamp(0.0, 1.0)
