"""Principal components of many more numbers than samples: the baseline that any learned feature of a picture must beat."""

import torch
from jaxtyping import Float
from torch import Tensor

from armillary.core import DataError


class PrincipalComponents:
    """The directions in which `samples` vary most, most first, found through their Gram matrix (as the "dual" of PCA).

    Directions without variation are left out, so that there are at most `count` of them and fewer than there are samples.
    """

    def __init__(self, samples: Float[Tensor, "n d"], count: int):
        if count < 1 or len(samples) < 2 or not bool(torch.isfinite(samples).all()):
            raise DataError(f"principal components need a count >= 1 and finite samples, 2 or more; received {count} and {len(samples)}")
        self.mean = samples.mean(0)
        centred = samples - self.mean
        values, vectors = torch.linalg.eigh((centred @ centred.T).double())
        values, vectors = values.flip(0)[:count], vectors.flip(1)[:, :count]
        kept = values > 1e-6 * values[0].clamp_min(torch.finfo(torch.float64).tiny)
        scaled = vectors[:, kept] / values[kept].sqrt()
        self.directions: Float[Tensor, "d k"] = centred.T @ scaled.to(samples.dtype)

    def project(self, samples: Float[Tensor, "n d"]) -> Float[Tensor, "n k"]:
        """How far along each direction the samples lie from the mean."""
        return (samples - self.mean) @ self.directions
