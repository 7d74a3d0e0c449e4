"""What all small worlds share: factors from the layout, an exact state, pictures painted in chunks that fit the cache."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

import gymnasium
import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor

from armillary.core import Action, Embeds, Prompt, Renders, State, World, WorldError, WorldSpec
from armillary.worlds.small.factors import Factor, choose_factors, choose_theme
from armillary.worlds.small.themes import floors, palette

PICTURES_AT_ONCE = 24  # 24 pictures of 64 x 64 x 3 floats are 1.2 MB, which stays in a core's cache


@dataclass(frozen=True)
class ExactState(State):
    """Base of the small worlds' states: every number that the world needs, and the theme it is painted in."""

    theme: Int[Tensor, " b"]


S = TypeVar("S", bound=ExactState)


class SmallWorld(World[S], Renders, Embeds, Generic[S]):
    """A deterministic world whose whole truth is in its state; chance enters only at the start.

    `Prompt.layout` takes `theme` and the names in `factors`, each a value, one value per world, or "random".
    """

    factors: ClassVar[Mapping[str, Factor]]
    default_theme: ClassVar[str] = "paper"

    def __init__(self, *, size: int, action_space: gymnasium.Space, seconds_per_step: float):
        if size < 16:
            raise ValueError(f"size must be at least 16 pixels, received {size}")
        self.size = size
        self.spec = WorldSpec(
            observation_space=gymnasium.spaces.Box(0, 255, (size, size, 3), np.uint8),
            action_space=action_space,
            seconds_per_step=seconds_per_step,
        )

    def start(self, prompt: Prompt, rng: Generator) -> S:
        """A random state in the prompt's layout; raises WorldError for a factor that the world does not have."""
        layout = dict(prompt.layout or {})
        theme = choose_theme(layout.pop("theme", self.default_theme), prompt.batch_size, rng)
        return self._place(theme, choose_factors(self.factors, layout, prompt.batch_size, rng), rng)

    @abstractmethod
    def _place(self, theme: Int[Tensor, " b"], chosen: dict[str, Tensor], rng: Generator) -> S:
        """A random state with these factors."""

    @abstractmethod
    def _paint(self, state: S) -> Float[Tensor, "b 3 h w"]:
        """Pictures of a few states."""

    def observe(self, state: S, action: Action, observation: Float[Tensor, "b c h w"], rng: Generator) -> S:
        """The state after `action`: an exact world has nothing to learn from a picture of itself."""
        return self.step(state, action, rng)

    def render(self, state: S) -> dict[str, Tensor]:
        """`rgb`: float `b 3 h w` in [0, 1]."""
        chunks = [state.rows(slice(i, i + PICTURES_AT_ONCE)) for i in range(0, state.batch_size, PICTURES_AT_ONCE)]
        return {"rgb": torch.cat([self._paint(chunk) for chunk in chunks])}

    def _floor(self, state: S) -> Float[Tensor, "b 3 h w"]:
        return floors(self.size).to(state.theme.device)[state.theme]

    def _colour(self, state: S, role: str) -> Float[Tensor, "b 3"]:
        return palette(role).to(state.theme.device)[state.theme]

    def _bounded(self, action: Action, state: S) -> Float[Tensor, "b a"]:
        """A Box action clipped to its space, or WorldError if its shape is wrong."""
        expected = (state.batch_size, *self.spec.action_space.shape)
        if tuple(action.shape) != expected:
            raise WorldError(f"the action must have shape {expected}, received {tuple(action.shape)}")
        return action.to(torch.float32).clamp(-1.0, 1.0)
