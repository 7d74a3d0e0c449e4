"""Which places of two frames show different things, by their codes."""

from jaxtyping import Bool, Float, Int
from torch import Tensor

from armillary.nn.quantise import Quantiser

DIFFERS = 0.1  # squared distance of two latents, as a share of their squared lengths together, from which a place differs


def differ(quantiser: Quantiser, codes: Int[Tensor, "b #m r c"], others: Int[Tensor, "b #m r c"]) -> Bool[Tensor, "b m n"]:
    """The places where frames differ by more than a code's rounding."""
    here, there = places(quantiser, codes), places(quantiser, others)
    return (here - there).square().sum(dim=2) / (here.square() + there.square()).sum(dim=2).clamp_min(1e-6) > DIFFERS


def places(quantiser: Quantiser, codes: Int[Tensor, "b m r c"]) -> Float[Tensor, "b m d n"]:
    """The latents at every place of frames, each frame by itself."""
    return quantiser.codes_to_z(codes).transpose(1, 2).flatten(3)
