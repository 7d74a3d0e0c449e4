"""From noise to picture: three ways to solve dx / dlevel = slope(x, level) along falling levels.

`euler` and `adams` ask for the slope once a step, `heun` twice. Where the last level is zero the slope is not defined; there
every one of them ends with Euler's step, which lands on the clean estimate itself.
"""

from collections.abc import Callable
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

Slope = Callable[[Tensor, Tensor], Tensor]  # (x `b ...`, level `b`) to dx / dlevel `b ...`


def euler(slope: Slope, noisy: Float[Tensor, "b *rest"], levels: Float[Tensor, " points"]) -> Float[Tensor, "b *rest"]:
    """First order."""
    for now, then in pairwise(levels):
        noisy = noisy + (then - now) * slope(noisy, now.expand(len(noisy)))
    return noisy


def heun(slope: Slope, noisy: Float[Tensor, "b *rest"], levels: Float[Tensor, " points"]) -> Float[Tensor, "b *rest"]:
    """Second order, by the mean of the slopes at both ends of a step (algorithm 1 of arXiv:2206.00364 without churn)."""
    for now, then in pairwise(levels):
        first = slope(noisy, now.expand(len(noisy)))
        moved = noisy + (then - now) * first
        if then > 0:
            moved = noisy + (then - now) * (first + slope(moved, then.expand(len(noisy)))) / 2.0
        noisy = moved
    return noisy


def adams(slope: Slope, noisy: Float[Tensor, "b *rest"], levels: Float[Tensor, " points"]) -> Float[Tensor, "b *rest"]:
    """Second order from the slope of the step before (Adams-Bashforth with uneven steps)."""
    before, last_step = None, None
    for now, then in pairwise(levels):
        here, step = slope(noisy, now.expand(len(noisy))), then - now
        carried = here if before is None or then == 0 else here + step / (2.0 * last_step) * (here - before)
        noisy = noisy + step * carried
        before, last_step = here, step
    return noisy


SAMPLERS: dict[str, Callable[[Slope, Tensor, Tensor], Tensor]] = {"euler": euler, "heun": heun, "adams": adams}


def sample(sampler: str, slope: Slope, noise: Float[Tensor, "b *rest"], levels: Float[Tensor, " points"]) -> Float[Tensor, "b *rest"]:
    """Pictures from standard normal `noise`, along `levels` that begin at pure noise."""
    levels = levels.to(noise)
    return SAMPLERS[sampler](slope, torch.clamp(levels[0], min=1.0) * noise, levels)
