"""Pictures that people hand in, checked before anything is planned."""

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from armillary.core import World, WorldError, WorldSpec


@runtime_checkable
class Seeing(Protocol):
    """What sees pictures and says of which size: a World, or a policy."""

    spec: WorldSpec


def check_pictures(seeing: Seeing, pictures: Tensor, what: str) -> None:
    """Raise WorldError unless `pictures` are float `b 3 h w` in [0, 1], finite, and of the size that the world or policy sees.

    The size is checked where the spec says it (`WorldSpec.sees`).
    """
    if pictures.ndim != 4 or pictures.shape[1] != 3 or len(pictures) < 1:
        raise WorldError(f"{what} must be pictures (b, 3, h, w), received {tuple(pictures.shape)}; core.to_model converts from (h, w, 3)")
    if not pictures.is_floating_point():
        raise WorldError(f"{what} must hold numbers from 0 to 1, received {pictures.dtype}; core.to_model converts")
    if seeing.spec.sees is not None and tuple(pictures.shape[2:]) != tuple(seeing.spec.sees):
        given, sees = (f"{height} x {width}" for height, width in (pictures.shape[2:], seeing.spec.sees))
        who = "world" if isinstance(seeing, World) else "policy"
        raise WorldError(f"{what} is {given} pixels (height x width), the {who} sees {sees}; resize the picture")
    check_finite(pictures, what)
    low, high = float(pictures.min()), float(pictures.max())
    if low < -1e-3 or high > 1 + 1e-3:
        raise WorldError(f"{what} must hold numbers from 0 to 1, received {low:.3g} to {high:.3g}; core.to_model converts")


def check_finite(tensor: Tensor, what: str) -> None:
    """Raise WorldError naming the first number that is NaN or infinite."""
    wrong = (~torch.isfinite(tensor)).nonzero()
    if len(wrong):
        place = tuple(wrong[0].tolist())
        raise WorldError(f"{what} holds {float(tensor[place])} at {place} ({len(wrong)} such numbers in all); every number must be finite")
