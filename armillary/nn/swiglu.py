"""The gated feed-forward of Llama (SwiGLU, arXiv:2002.05202)."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


class SwiGlu(nn.Module):
    """out(silu(gate(x)) * value(x)), without biases."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.gate_value = nn.Linear(width, 2 * hidden, bias=False)
        self.narrow = nn.Linear(hidden, width, bias=False)

    def forward(self, tokens: Float[Tensor, "*lead w"]) -> Float[Tensor, "*lead w"]:
        gate, value = self.gate_value(tokens).chunk(2, dim=-1)
        return self.narrow(functional.silu(gate) * value)
