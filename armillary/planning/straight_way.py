"""One action as a whole motion: a straight way from the last command to another. Few numbers to plan, and no jumps."""

from dataclasses import dataclass

import gymnasium
import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor

from armillary.core import ConfigError, Embeds, Prompt, State, World, WorldError, WorldSpec


@dataclass(frozen=True)
class WayState(State):
    """Where the world is, and the last command that it was given."""

    world: State
    last: Float[Tensor, "b c"]


class StraightWay(World[WayState], Embeds):
    """`world`, whose action is now the command that `count` commands in a row arrive at, evenly spaced from the last one on.

    A step of `world` may take several commands of size `c`, one after the other in its action (a recording's frames joined by
    `Episode.every`). ConfigError where `count` commands are no whole number of its steps, WorldError for Discrete actions. It has no
    start of its own: `state` puts a state of `world` and a last command together.
    """

    def __init__(self, world: World, count: int, command_size: int):
        space = world.spec.action_space
        if not isinstance(space, gymnasium.spaces.Box) or len(space.shape) != 1:
            raise WorldError(f"a straight way needs Box actions of one axis, {type(world).__name__} has {space}")
        if command_size < 1 or space.shape[0] % command_size or count < 1 or count * command_size % space.shape[0]:
            raise ConfigError(
                f"{count} commands of {command_size} numbers are no whole number of actions of {type(world).__name__}, which have "
                f"{space.shape[0]}"
            )
        self.world, self.count = world, count
        low, high = (bound.reshape(-1, command_size) for bound in (space.low, space.high))
        bounds = gymnasium.spaces.Box(low.max(axis=0), high.min(axis=0), dtype=np.float32)
        steps = count * command_size // space.shape[0]
        seconds = world.spec.seconds_per_step * steps
        self.spec = WorldSpec(observation_space=world.spec.observation_space, action_space=bounds, seconds_per_step=seconds)

    def state(self, state: State, last: Float[Tensor, "b c"]) -> WayState:
        """Where a way begins."""
        return WayState(state, last)

    def start(self, prompt: Prompt, rng: Generator) -> WayState:
        raise WorldError("a straight way begins at a last command, which no prompt holds; use StraightWay.state")

    def step(self, state: WayState, action: Float[Tensor, "b c"], rng: Generator) -> WayState:
        """The whole way."""
        actions = joined(self.commands(state.last, action), self.world)
        return WayState(self.world.rollout(state.world, actions, rng)[-1], action)

    def embed(self, state: WayState) -> Float[Tensor, "b d"]:
        """As the world itself. WorldError where it does not embed."""
        if not isinstance(self.world, Embeds):
            raise WorldError(f"{type(self.world).__name__} does not embed")
        return self.world.embed(state.world)

    def commands(self, last: Float[Tensor, "b c"], arrive: Float[Tensor, "b c"]) -> Float[Tensor, "b n c"]:
        """The `n = count` commands of a way."""
        share = torch.arange(1, self.count + 1, device=last.device) / self.count
        return last[:, None] + share[:, None] * (arrive - last)[:, None]


def joined(commands: Float[Tensor, "*b n c"], world: World) -> Float[Tensor, "*b t a"]:
    """Commands as the actions of a world that takes `a / c` of them a step."""
    return commands.unflatten(-2, (-1, world.spec.action_space.shape[0] // commands.shape[-1])).flatten(-2)
