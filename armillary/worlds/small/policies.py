"""Policies that keep a small world moving, for recording. They see the exact state, as the world embeds it."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import gymnasium
import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor

from armillary.core import Action, Policy, State

GAIN = 6.0  # full speed towards anything farther than 1 / GAIN metres
STAND_OFF_M = 0.27  # from the middle of a block to the middle of a disc about to push it

Aim = Callable[[Tensor, Tensor], Tensor]  # from the observation `b d` and a random place `b 2` to a wanted velocity `b 2`


@dataclass(frozen=True)
class Wandering(State):
    """What a moving policy is about: a drift, a random place, which of its aims it follows, and for how many more steps."""

    drift: Float[Tensor, "b 2"]
    place: Float[Tensor, "b 2"]
    aim: Int[Tensor, " b"]
    remaining: Int[Tensor, " b"]


def _undecided(batch_size: int) -> Wandering:
    zero, none = torch.zeros(batch_size, 2), torch.zeros(batch_size, dtype=torch.long)
    return Wandering(drift=zero, place=zero, aim=none, remaining=none)


def go_to_place(observation: Float[Tensor, "b d"], place: Float[Tensor, "b 2"]) -> Float[Tensor, "b 2"]:
    """Straight to the place; the first two columns are where the body is."""
    return (place - observation[:, :2]) * GAIN


def through_door(observation: Float[Tensor, "b d"], place: Float[Tensor, "b 2"]) -> Float[Tensor, "b 2"]:
    """To the place, by the door (columns 2 and 3) if a wall stands between."""
    here, door = observation[:, :2], observation[:, 2:4]
    other_side = (here[:, 0] < door[:, 0]) != (place[:, 0] < door[:, 0])
    # First in front of the door, then through it, so that its posts are not in the way.
    beyond = (place[:, 0] - door[:, 0]).sign() * 0.13
    in_line = (here[:, 1] - door[:, 1]).abs() < 0.055
    waypoint = torch.stack([door[:, 0] + torch.where(in_line, beyond, -beyond), door[:, 1]], dim=-1)
    return (torch.where(other_side[:, None], waypoint, place) - here) * GAIN


def push_to_place(observation: Float[Tensor, "b d"], place: Float[Tensor, "b 2"]) -> Float[Tensor, "b 2"]:
    """Push the block (columns 2 and 3) towards the place: walk round behind it, then drive through it."""
    here, block = observation[:, :2], observation[:, 2:4]
    ahead = torch.nn.functional.normalize(place - block, dim=-1)
    across = torch.stack([-ahead[:, 1], ahead[:, 0]], dim=-1)
    along, aside = ((here - block) * ahead).sum(-1), ((here - block) * across).sum(-1)
    side = torch.where(aside < 0, -1.0, 1.0)
    round_it = block + across * (side * STAND_OFF_M * 1.1)[:, None] - ahead * (STAND_OFF_M * 0.6)
    behind = block - ahead * STAND_OFF_M
    target = torch.where((along > -0.6 * STAND_OFF_M)[:, None], round_it, behind).clamp(0.12, 0.88)
    pushing = (along < 0) & (aside.abs() < 0.05)
    return torch.where(pushing[:, None], ahead * 1.5 - across * (aside * GAIN)[:, None], (target - here) * GAIN)


def push_to_goal(observation: Float[Tensor, "b d"], place: Float[Tensor, "b 2"]) -> Float[Tensor, "b 2"]:
    """Push the block to its goal (columns 6 and 7)."""
    return push_to_place(observation, observation[:, 6:8])


class Mixed(Policy[Wandering]):
    """For one to three seconds each: drift at random (Ornstein-Uhlenbeck), or follow one of the aims, with some noise on top."""

    def __init__(self, *, aims: tuple[Aim, ...]):
        self.aims = aims

    def start(self, batch_size: int) -> Wandering:
        """No drift yet; the first action chooses an aim."""
        return _undecided(batch_size)

    def act(self, observation: Float[Tensor, "b d"], memory: Wandering, rng: Generator) -> tuple[Action, Wandering]:
        """A velocity in [-1, 1] for each world."""
        batch = len(observation)
        gauss = torch.randn(batch, 2, generator=rng)
        uniform = torch.rand(batch, 2, generator=rng)
        aim = torch.randint(1 + len(self.aims), (batch,), generator=rng)
        length = torch.randint(10, 30, (batch,), generator=rng)
        fresh = memory.remaining <= 0
        memory = replace(
            memory,
            drift=0.85 * memory.drift + 0.45 * gauss,
            place=torch.where(fresh[:, None], 0.15 + 0.7 * uniform, memory.place),
            aim=torch.where(fresh, aim, memory.aim),
            remaining=torch.where(fresh, length, memory.remaining) - 1,
        )
        wanted = torch.stack([memory.drift, *(aim(observation, memory.place) + 0.2 * gauss for aim in self.aims)], dim=1)
        action = wanted[torch.arange(batch), memory.aim]
        idle = (memory.aim > 0) & (action.norm(dim=-1) < 0.3)  # there already: choose again
        return action.clamp(-1.0, 1.0), replace(memory, remaining=torch.where(idle, 0, memory.remaining))


class Sticky(Policy[Wandering]):
    """Repeats a random discrete action for up to `longest` steps, choosing by `weights`."""

    def __init__(self, *, weights: tuple[float, ...], longest: int = 8):
        self.weights = torch.tensor(weights)
        self.longest = longest

    def start(self, batch_size: int) -> Wandering:
        """The first action is drawn at once."""
        return _undecided(batch_size)

    def act(self, observation: Float[Tensor, "b d"], memory: Wandering, rng: Generator) -> tuple[Action, Wandering]:
        """An action's index for each world."""
        batch = len(observation)
        drawn = torch.multinomial(self.weights.expand(batch, -1), 1, generator=rng)[:, 0]
        length = torch.randint(1, self.longest + 1, (batch,), generator=rng)
        fresh = memory.remaining <= 0
        aim = torch.where(fresh, drawn, memory.aim)
        return aim, replace(memory, aim=aim, remaining=torch.where(fresh, length, memory.remaining) - 1)


class ToAndFro(Policy[Wandering]):
    """Runs right for `legs` steps (at least, and less than), then left, and so on; jumps in a share `jumps` of the steps."""

    def __init__(self, *, legs: tuple[int, int], jumps: float = 0.5):
        self.legs, self.jumps = legs, jumps

    def start(self, batch_size: int) -> Wandering:
        """The first leg leads right."""
        return _undecided(batch_size)

    def act(self, observation: Float[Tensor, "b d"], memory: Wandering, rng: Generator) -> tuple[Action, Wandering]:
        """One of the platformer's actions 1, 2, 4 and 5."""
        batch = len(observation)
        length = torch.randint(*self.legs, (batch,), generator=rng)
        jumps = torch.rand(batch, generator=rng) < self.jumps
        fresh = memory.remaining <= 0
        aim = torch.where(fresh, 3 - memory.aim.clamp_min(1), memory.aim)  # 1 left, 2 right
        return aim + 3 * jumps, replace(memory, aim=aim, remaining=torch.where(fresh, length, memory.remaining) - 1)


class Uniform(Policy[Wandering]):
    """A fresh random action at every step: the least persistent motion there is."""

    def __init__(self, action_space: gymnasium.Space):
        self.action_space = action_space

    def start(self, batch_size: int) -> Wandering:
        """It remembers nothing."""
        return _undecided(batch_size)

    def act(self, observation: Float[Tensor, "b d"], memory: Wandering, rng: Generator) -> tuple[Action, Wandering]:
        """Uniform over the action space, a Box within [-1, 1] or Discrete."""
        batch = len(observation)
        if isinstance(self.action_space, gymnasium.spaces.Discrete):
            return torch.randint(int(self.action_space.n), (batch,), generator=rng), memory
        return torch.rand(batch, *self.action_space.shape, generator=rng) * 2 - 1, memory
