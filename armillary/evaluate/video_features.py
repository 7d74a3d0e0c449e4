"""Clips as vectors, by our own V-JEPA encoder: what the "Frechet distance in V-JEPA features" is measured in.

It is no FVD: that name belongs to another network's features (I3D), and numbers of the two do not compare. Numbers of two encoders, or
of two clip lengths, do not compare either: say which encoder it was.
"""

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from armillary.core import ConfigError
from armillary.worlds.jepa.vjepa2 import VJepa2

CLIPS_AT_ONCE = 32


@torch.no_grad()
def clip_features(encoder: VJepa2, clips: Float[Tensor, "b t 3 h w"]) -> Float32[np.ndarray, "b d"]:
    """One vector a clip: the mean of the encoder's tokens over places and times. Each token has seen the whole clip.

    ConfigError unless clips are whole tubelets long.
    """
    tubelet = encoder.sizes.tubelet_size
    if clips.shape[1] % tubelet:
        raise ConfigError(f"clips must be whole tubelets of {tubelet} frames long, received {clips.shape[1]} frames")
    found, device = [], next(encoder.parameters()).device
    for part in clips.split(CLIPS_AT_ONCE):
        found.append(encoder.encode(part.to(device)).float().mean(dim=(1, 2, 3)).cpu())
    return torch.cat(found).numpy()
