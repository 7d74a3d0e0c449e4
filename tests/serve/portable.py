"""The least portable world there is: what was chosen, and chance, brighten its picture."""

from dataclasses import dataclass

import gymnasium
import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from armillary.core import Action, Portable, Prompt, Renders, State, World, WorldSpec


@dataclass(frozen=True)
class Light(State):
    light: Float[Tensor, " b"]
    colour: Float[Tensor, "b 3"]


class Lamp(nn.Module, World[Light], Renders, Portable):
    """Actions: 0 to 3, times `weight` brighter, and a little chance."""

    def __init__(self, weight: float = 0.05):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight), requires_grad=False)
        pictures = gymnasium.spaces.Box(0, 255, (8, 8, 3), np.uint8)
        self.spec = WorldSpec(
            observation_space=pictures, action_space=gymnasium.spaces.Discrete(4), seconds_per_step=0.1, prompt=("frames",), context_steps=1
        )

    def start(self, prompt: Prompt, rng: Generator) -> Light:
        colour = prompt.frames[:, -1].mean((2, 3))
        return Light(light=colour.mean(1), colour=colour)

    def step(self, state: Light, action: Action, rng: Generator) -> Light:
        return self.advance(state, action, self.draw(state.batch_size, rng))

    def draw(self, batch_size: int, rng: Generator) -> tuple[Tensor, ...]:
        return (0.01 * torch.randn(batch_size, generator=rng),)

    def advance(self, state: Light, action: Action, noise) -> Light:
        return Light(light=state.light + self.weight * action + noise[0], colour=state.colour)

    def render(self, state: Light) -> dict[str, Float[Tensor, "b 3 h w"]]:
        picture = (state.colour * state.light[:, None])[..., None, None].expand(-1, 3, 8, 8)
        return {"rgb": picture.clamp(0.0, 1.0)}
