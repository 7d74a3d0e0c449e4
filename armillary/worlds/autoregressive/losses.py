"""What the tokenizer and the transformer are trained to make small."""

from jaxtyping import Float, Int
from torch import Tensor

FLOOR = 1e-5  # of the mean squared error under a logarithm: what lies beyond 50 dB is not worth learning


def next_code_loss(logits: Float[Tensor, "n k"], codes: Int[Tensor, " n"]) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """(cross-entropy in nats a code, z-loss), means over places.

    The z-loss is the squared logarithm of the softmax's denominator (PaLM, arXiv:2204.02311, section 5): it keeps logits from drifting.
    """
    log_denominator = logits.logsumexp(dim=-1)
    chosen = logits.gather(-1, codes[:, None])[:, 0]
    return (log_denominator - chosen).mean(), log_denominator.square().mean()


def decibel_loss(drawn: Float[Tensor, "*lead 3 h w"], real: Float[Tensor, "*lead 3 h w"]) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """(the mean logarithm of each picture's squared error, the mean PSNR in decibels, detached)."""
    squared = (drawn.float() - real).square().mean((-3, -2, -1))
    return (squared + FLOOR).log().mean(), -10.0 * squared.detach().clamp(min=FLOOR).log10().mean()
