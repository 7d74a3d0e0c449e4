"""A world whose truth is known by hand: it counts. Used to test every contract, and broken in many ways to test the tests."""

from dataclasses import dataclass, replace

import gymnasium
import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor

from armillary.core import Action, Embeds, Prompt, Renders, Rewards, State, World, WorldSpec


@dataclass(frozen=True)
class Count(State):
    """How far it has counted, and by how much it was last moved."""

    value: Float[Tensor, " b"]
    last: Float[Tensor, " b"]


class CountingWorld(World[Count], Embeds, Rewards):
    """Starts at zero, adds the action, pays what it added, and ends at `limit`."""

    def __init__(self, limit: float = 3.0):
        self.limit = limit
        self.spec = WorldSpec(
            observation_space=gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float32),
            action_space=gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32),
            seconds_per_step=0.5,
        )

    def start(self, prompt: Prompt, rng: Generator) -> Count:
        return Count(value=torch.zeros(prompt.batch_size), last=torch.zeros(prompt.batch_size))

    def step(self, state: Count, action: Action, rng: Generator) -> Count:
        return Count(value=state.value + action[:, 0], last=action[:, 0].clone())

    def embed(self, state: Count) -> Float[Tensor, "b d"]:
        return torch.stack([state.value, state.last], dim=-1)

    def reward(self, state: Count) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"]]:
        return state.last, (state.value < self.limit).float()


class NoisyWorld(CountingWorld, Renders):
    """Draws its noise from the generator it is given, and shows its count as a grey level."""

    def __init__(self, limit: float = 3.0):
        super().__init__(limit)
        self.spec = replace(self.spec, observation_space=gymnasium.spaces.Box(0, 255, (4, 6, 3), np.uint8))

    def start(self, prompt: Prompt, rng: Generator) -> Count:
        return replace(super().start(prompt, rng), value=torch.rand(prompt.batch_size, generator=rng))

    def step(self, state: Count, action: Action, rng: Generator) -> Count:
        moved = super().step(state, action, rng)
        return replace(moved, value=moved.value + 0.1 * torch.randn(len(moved.value), generator=rng))

    def observe(self, state: Count, action: Action, observation: Tensor, rng: Generator) -> Count:
        return self.step(state, action, rng)

    def render(self, state: Count) -> dict[str, Tensor]:
        return {"rgb": torch.sigmoid(state.value)[:, None, None, None].expand(-1, 3, 4, 6)}
