"""Goals in hindsight: wherever a recording went later was a goal of what was done before (arXiv:1906.05838, arXiv:1912.06088)."""

import math

import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor


def draw_pairs(
    count: int, num_frames: int, num_pairs: int, *, goal_steps: int, discount: float, rng: Generator
) -> tuple[Int[Tensor, "b p"], Int[Tensor, "b p"]]:
    """For each of `count` windows of `num_frames` frames, `num_pairs` times: (frame t, steps k to its goal, frame t + k).

    k is drawn first, between 1 and `goal_steps` (or what the window holds), so that far goals are not rarer than near ones: uniformly
    for a `discount` of 1, else with a probability in proportion to discount^k. Then t, uniformly where t + k is in the window.
    """
    noise = torch.rand(count, num_pairs, 2, generator=rng, device=rng.device)
    steps = steps_to_goal(noise[..., 0], min(goal_steps, num_frames - 1), discount)
    starts = num_frames - steps
    return (noise[..., 1] * starts).long().clamp(max=starts - 1), steps


def steps_to_goal(uniform: Float[Tensor, "*lead"], longest: int, discount: float) -> Int[Tensor, "*lead"]:
    """Steps from 1 to `longest` by the inverse of their cumulative distribution, (1 - discount^k) / (1 - discount^longest) or k / longest.

    >>> steps_to_goal(torch.tensor([0.0, 0.49, 0.51, 0.99]), 2, 1.0).tolist()
    [1, 1, 2, 2]
    """
    even = discount == 1.0
    drawn = uniform * longest if even else torch.log1p(-uniform * (1.0 - discount**longest)) / math.log(discount)
    return 1 + drawn.long().clamp(0, longest - 1)
