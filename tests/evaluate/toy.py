"""A world of one number, whose truth is known by hand: the picture's brightness, to which each action is added."""

from dataclasses import dataclass

import gymnasium
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from armillary.core import Episode, Prompt, Renders, State, World, WorldSpec

CAMERA = "view"
SIZE = 12
STEP_S = 0.1


@dataclass(frozen=True)
class Level(State):
    value: Float[Tensor, " b"]


class Levels(World[Level], Renders):
    """Brightness += `obeys` * action. With `obeys=0` it is a world that ignores what is done.

    Unless `trusting` it checks that the actions of its prompt lead from frame to frame.
    """

    def __init__(self, obeys: float = 1.0, context_steps: int = 1, trusting: bool = False):
        self.obeys, self.trusting = obeys, trusting
        self.spec = WorldSpec(
            observation_space=gymnasium.spaces.Box(0, 255, (SIZE, SIZE, 3), np.uint8),
            action_space=gymnasium.spaces.Box(-1.0, 1.0, (1,)),
            seconds_per_step=STEP_S,
            prompt=("frames",),
            context_steps=context_steps,
        )

    def start(self, prompt: Prompt, rng: torch.Generator) -> Level:
        assert prompt.actions.shape == (prompt.batch_size, prompt.frames.shape[1] - 1, 1)
        walked = prompt.frames[:, :-1].mean(dim=(2, 3, 4)) + prompt.actions[..., 0]
        led_there = torch.allclose(walked, prompt.frames[:, 1:].mean(dim=(2, 3, 4)), atol=1e-5)
        assert led_there or self.trusting, "context actions must lead from frame to frame"
        return Level(prompt.frames[:, -1].mean(dim=(1, 2, 3)))

    def step(self, state: Level, action: Tensor, rng: torch.Generator) -> Level:
        return Level(state.value + self.obeys * action[:, 0])

    def render(self, state: Level) -> dict[str, Tensor]:
        return {"rgb": state.value[:, None, None, None].expand(-1, 3, SIZE, SIZE)}


def walk(index: int, length: int = 60, task: str = "") -> Episode:
    """An episode whose brightness is a random walk in whole 1/255ths, exactly what its actions say."""
    rng = np.random.default_rng(index)
    levels = np.empty(length + 1, dtype=np.int64)
    levels[0] = rng.integers(80, 170)
    for t in range(length):
        levels[t + 1] = np.clip(levels[t] + rng.integers(-6, 7), 10, 245)
    frames = np.broadcast_to(levels[:-1, None, None, None], (length, SIZE, SIZE, 3)).astype(np.uint8)
    actions = (np.diff(levels)[:, None] / 255).astype(np.float32)
    state = (levels[:-1, None] / 255).astype(np.float32)
    return Episode(
        frames={CAMERA: frames}, actions=actions, state=state, seconds_per_step=STEP_S, index=index, task=task, content_hash=f"walk-{index}"
    )
