"""Root-mean-square norm (arXiv:1910.07467): a vector's direction, times a learned scale for each of its numbers."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

EPSILON = 1e-6


class RmsNorm(nn.Module):
    """x / sqrt(mean(x^2) + epsilon) * scale, over the last axis, in the type of x (torch's own layer is slow where the types differ)."""

    def __init__(self, width: int, epsilon: float = EPSILON):
        super().__init__()
        self.epsilon = epsilon
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, tokens: Float[Tensor, "*lead w"]) -> Float[Tensor, "*lead w"]:
        return functional.rms_norm(tokens, self.scale.shape, self.scale.to(tokens.dtype), self.epsilon)
