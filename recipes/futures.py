"""What recipes share that draw many futures of each held-out moment: which moments, what the worlds begin from, and the futures."""

from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor

from armillary.core import Episode, Prompt, State, World
from armillary.evaluate.open_loop import Window, WindowBatch, plan_windows
from armillary.evaluate.result import Protocol


def windows_of(
    episodes: Sequence[Episode], *, context: int, ahead: int, step_s: float, every_s: float, seed: int, quick: bool
) -> list[Window]:
    """Windows of `context` frames and `ahead` steps that start every so many seconds; in a quick run one each of two episodes."""
    protocol = Protocol(starts_every_s=100.0 if quick else every_s)
    return plan_windows(episodes[:2] if quick else episodes, context, ahead, protocol, step_s, seed)[0]


def owners(windows: Sequence[Window]) -> Int[np.ndarray, " w"]:
    """Which episode each window is of."""
    return np.array([window.episode for window in windows])


def prompt(batch: WindowBatch, count: int) -> Prompt:
    """What a world begins from: each window's context `count` times in a row."""
    frames, actions = (tensor.repeat_interleave(count, dim=0) for tensor in (batch.context, batch.context_actions))
    return Prompt(batch_size=len(frames), frames=frames, actions=actions)


@torch.no_grad()
def draw(
    world: World, state: State, actions: Float[Tensor, "b t a"], rng: Generator, *, count: int, steps: Sequence[int]
) -> Float[Tensor, "b s n 3 y x"]:
    """The pictures after the given `n` numbers of steps, from a state that holds each of `b` windows `count` times in a row."""
    pictures = []
    for step in range(1, max(steps) + 1):
        state = world.step(state, actions[:, step - 1].repeat_interleave(count, dim=0), rng)
        if step in steps:
            pictures.append(world.render(state)["rgb"].unflatten(0, (-1, count)))
    return torch.stack(pictures, dim=2)


@contextmanager
def configured(world: World, **changes):
    """The world with other settings of how it draws, for a while."""
    usual = world.config
    world.config = replace(usual, **changes)
    try:
        yield
    finally:
        world.config = usual
