"""Other looks of the same recording, so that what the context shows is kept instead of what the training room looked like.

A window is changed as a whole: moved by a few pixels, part of the view covered by a smooth picture, or what stands still in all
recordings exchanged for one. What moves moves as before.
"""

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.nn import functional

from armillary.nn.random_shift import random_shift

MOST_SHIFT_PIXELS = 4
COVERED, EXCHANGED = 0.3, 0.55  # of the windows in another look; the others are only moved
MOVES_FROM, MOVES_FULLY = 0.06, 0.18  # difference from what stands still
MEDIAN_STEP = 0.01


class OtherLooks(nn.Module):
    """Draws other looks. It learns what stands still: the median of each pixel, by small steps up or down (part of the weights)."""

    def __init__(self, height: int, width: int):
        super().__init__()
        self.register_buffer("still", torch.full((3, height, width), 0.5))

    @torch.no_grad()
    def learn(self, frames: Float[Tensor, "b t 3 h w"]) -> None:
        """Move towards the median by what these recorded frames say: larger steps where they agree."""
        self.still += MEDIAN_STEP * 2.0 * (frames[:, 0] - self.still).sign().mean(0)

    def forward(self, frames: Float[Tensor, "b t 3 h w"], share: float, rng: Generator) -> Float[Tensor, "b t 3 h w"]:
        """Each of the `b` windows in another look with probability `share`, otherwise as it is."""
        kind = torch.rand(len(frames), 1, 1, 1, 1, generator=rng, device=rng.device)
        picture, region = self._picture(frames, rng), self._region(frames, rng)
        covered = torch.lerp(frames, picture, region)
        exchanged = torch.lerp(picture, frames, self._moves(frames))
        changed = torch.where(kind < COVERED, covered, torch.where(kind < COVERED + EXCHANGED, exchanged, frames))
        changed = random_shift(changed, MOST_SHIFT_PIXELS, rng)
        chosen = torch.rand(len(frames), 1, 1, 1, 1, generator=rng, device=rng.device) < share
        return torch.where(chosen, changed, frames)

    def _moves(self, frames: Float[Tensor, "b t 3 h w"]) -> Float[Tensor, "b t 1 h w"]:
        """Softly, where a frame differs from what stands still."""
        difference = functional.avg_pool2d((frames - self.still).abs().amax(dim=2), 3, stride=1, padding=1)
        sure = ((difference - MOVES_FROM) / (MOVES_FULLY - MOVES_FROM)).clamp(0.0, 1.0)
        return functional.avg_pool2d(functional.max_pool2d(sure, 3, stride=1, padding=1), 3, stride=1, padding=1)[:, :, None]

    def _picture(self, frames: Float[Tensor, "b t 3 h w"], rng: Generator) -> Float[Tensor, "b 1 3 h w"]:
        """A smooth random picture with a little grain, one a window."""
        count, size = len(frames), frames.shape[-2:]
        coarse = functional.interpolate(_uniform(rng, count, 3, 4, 4), size=size, mode="bilinear", align_corners=False)
        fine = functional.interpolate(_uniform(rng, count, 3, 16, 16), size=size, mode="bilinear", align_corners=False)
        return (0.65 * coarse + 0.25 * fine + 0.1 * _uniform(rng, count, 3, *size))[:, None]

    def _region(self, frames: Float[Tensor, "b t 3 h w"], rng: Generator) -> Float[Tensor, "b 1 1 h w"]:
        """A random part of the view with soft borders, about a quarter of it."""
        hills = functional.interpolate(_uniform(rng, len(frames), 1, 4, 4), size=frames.shape[-2:], mode="bicubic", align_corners=False)
        return torch.sigmoid(12.0 * (hills - 0.7))[:, None]


def _uniform(rng: Generator, *shape: int) -> Tensor:
    return torch.rand(*shape, generator=rng, device=rng.device)
