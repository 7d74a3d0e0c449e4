"""A view moved by a few pixels, for training on few recordings (random shifts: DrQ, arXiv:2004.13649)."""

import torch
from jaxtyping import Float
from torch import Generator, Tensor


def random_shift(frames: Float[Tensor, "b t c h w"], most: int, rng: Generator) -> Float[Tensor, "b t c h w"]:
    """Each of the `b` windows moved as a whole by up to `most` whole pixels each way, the border repeated."""
    count, height, width = len(frames), *frames.shape[-2:]
    offset = torch.randint(-most, most + 1, (count, 2), generator=rng, device=rng.device)
    rows = (torch.arange(height, device=frames.device) + offset[:, :1]).clamp(0, height - 1)
    columns = (torch.arange(width, device=frames.device) + offset[:, 1:]).clamp(0, width - 1)
    window = torch.arange(count, device=frames.device)[:, None, None]
    return frames.movedim((1, 2), (3, 4))[window, rows[:, :, None], columns[:, None, :]].movedim((3, 4), (1, 2))
