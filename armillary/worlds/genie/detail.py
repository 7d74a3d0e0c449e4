"""What codes lose of the last real picture, given back wherever later codes say what its codes said.

A code book holds less than a picture: of a theme never seen, colours and edges come back changed, and one dreamed frame would already look
unlike the one before. But most places of a dream stay, or come back, as they were last seen; there the difference between what was seen and
what its codes show is added to what is drawn, as video codecs add a residual to what they predict. Elsewhere codes alone are drawn.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from armillary.core import State
from armillary.nn.quantise import Quantiser
from armillary.worlds.genie.alike import differ
from armillary.worlds.genie.patches import from_patches, to_patches


@dataclass(frozen=True)
class Detail(State):
    """Of the last real picture: its codes, and what they lost, as patches."""

    codes: Int[Tensor, "b r c"]
    lost: Float[Tensor, "b n p"]


def keep_detail(codes: Int[Tensor, "b r c"], real: Float[Tensor, "b 3 h w"], drawn: Float[Tensor, "b 3 h w"], patch: int) -> Detail:
    """Of a real picture that its codes show as `drawn`."""
    return Detail(codes=codes, lost=to_patches((real - drawn)[:, None], patch)[:, 0])


def give_back(
    detail: Detail, quantiser: Quantiser, codes: Int[Tensor, "b r c"], drawn: Float[Tensor, "b 3 h w"]
) -> Float[Tensor, "b 3 h w"]:
    """The picture drawn of `codes`, with what was lost where they say what the real picture's said."""
    elsewhere = differ(quantiser, codes[:, None], detail.codes[:, None])[:, 0, :, None]
    back = torch.where(elsewhere, 0.0, detail.lost)
    patch = drawn.shape[-1] // codes.shape[-1]
    return drawn + from_patches(back[:, None], tuple(codes.shape[1:]), patch)[:, 0]
