"""A world that starts from pictures: it knows their mean colour, and the action changes that."""

from dataclasses import dataclass

import gymnasium
import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor

from armillary.core import Action, Embeds, Prompt, Renders, State, World, WorldSpec, require


@dataclass(frozen=True)
class Colour(State):
    """One colour, and how often the world was started or corrected by a picture."""

    colour: Float[Tensor, "b 3"]
    looks: Float[Tensor, " b"]


class SeeingBase(World[Colour], Renders):
    """Without Embeds."""

    def __init__(self):
        self.spec = WorldSpec(
            observation_space=gymnasium.spaces.Box(0, 255, (4, 6, 3), np.uint8),
            action_space=gymnasium.spaces.Box(-0.1, 0.1, (3,), np.float32),
            seconds_per_step=0.1,
            prompt=("frames",),
        )

    def start(self, prompt: Prompt, rng: Generator) -> Colour:
        require(prompt, "frames")
        return Colour(prompt.frames[:, -1].mean((2, 3)), torch.ones(len(prompt.frames)))

    def step(self, state: Colour, action: Action, rng: Generator) -> Colour:
        return Colour((state.colour + action).clamp(0.0, 1.0), state.looks)

    def observe(self, state: Colour, action: Action, observation: Float[Tensor, "b c h w"], rng: Generator) -> Colour:
        return Colour(observation.mean((2, 3)), state.looks + 1)

    def render(self, state: Colour) -> dict[str, Tensor]:
        return {"rgb": state.colour[:, :, None, None].expand(-1, 3, 4, 6).contiguous()}


class SeeingWorld(SeeingBase, Embeds):
    """With the mean colour as embedding."""

    def embed(self, state: Colour) -> Float[Tensor, "b 3"]:
        return state.colour
