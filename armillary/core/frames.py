"""The one converter between the two picture layouts.

On disk and in environments pictures are `t h w c` uint8; in models they are `t c h w` float in [0, 1].
"""

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor


def to_model(frames: UInt8[np.ndarray, "*lead h w c"] | UInt8[Tensor, "*lead h w c"]) -> Float[Tensor, "*lead c h w"]:
    """uint8 `... h w c` on disk to float `... c h w` in [0, 1] for a model."""
    if isinstance(frames, np.ndarray) and not frames.flags.writeable:
        frames = frames.copy()  # a memory map: torch would warn that it must not be written to
    tensor = torch.as_tensor(frames)
    return tensor.movedim(-1, -3).to(torch.float32).div_(255.0)


def to_disk(frames: Float[Tensor, "*lead c h w"]) -> UInt8[np.ndarray, "*lead h w c"]:
    """float `... c h w` in [0, 1] (clipped) to uint8 `... h w c`."""
    pixels = frames.detach().clamp(0.0, 1.0).mul(255.0).round_().to(torch.uint8)
    return pixels.movedim(-3, -1).contiguous().cpu().numpy()
