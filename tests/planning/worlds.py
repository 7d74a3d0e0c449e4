"""Worlds and objectives whose best plan is known: linear and quadratic, a point before a gap, and a small table of numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

import gymnasium
import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor

from armillary.core import Action, Embeds, Objective, Plan, Prompt, State, World, WorldSpec, require
from armillary.planning.cem import CEM, CEMConfig
from armillary.planning.gradient import GradientConfig, GradientPlanner
from armillary.planning.icem import ICEM, ICEMConfig
from armillary.planning.mppi import MPPI, MPPIConfig
from armillary.planning.random_shooting import RandomShooting, RandomShootingConfig


@dataclass(frozen=True)
class Point(State):
    """A vector."""

    x: Float[Tensor, "b s"]


class LinearWorld(World[Point], Embeds):
    """x' = A x + B u: two masses on a line each, pushed for 0.3 s. The state is two places and two speeds."""

    def __init__(self, low: float = -2.0, high: float = 2.0):
        dt = 0.3
        eye, zero = torch.eye(2), torch.zeros(2, 2)
        self.a = torch.cat([torch.cat([eye, dt * eye], 1), torch.cat([zero, eye], 1)])
        self.b = torch.cat([dt**2 / 2 * eye, dt * eye])
        self.spec = WorldSpec(
            observation_space=gymnasium.spaces.Box(-np.inf, np.inf, (4,), np.float32),
            action_space=gymnasium.spaces.Box(low, high, (2,), np.float32),
            seconds_per_step=dt,
            prompt=("state",),
        )

    def start(self, prompt: Prompt, rng: Generator) -> Point:
        require(prompt, "state")
        return Point(prompt.state)

    def step(self, state: Point, action: Action, rng: Generator) -> Point:
        return Point(state.x @ self.a.to(state.x).T + action @ self.b.to(state.x).T)

    def embed(self, state: Point) -> Float[Tensor, "b 4"]:
        return state.x


class Quadratic(Objective):
    """sum of x' Q x + u' R u, with Q = diag(1, 1, 0.1, 0.1) and R = 0.1."""

    q = torch.tensor([1.0, 1.0, 0.1, 0.1])
    r = 0.1

    def cost(self, world: World, states: Sequence[State], actions: Tensor) -> Float[Tensor, " b"]:
        state_cost = sum((state.x.square() * self.q).sum(-1) for state in states)
        return state_cost + self.r * actions.square().sum((1, 2))


class GapWorld(World[Point], Embeds):
    """A point moves by the action. The line x = 0 is a wall, open for y in [0.3, 0.6]; who runs into it stops there."""

    gap = (0.3, 0.6)

    def __init__(self):
        self.spec = WorldSpec(
            observation_space=gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float32),
            action_space=gymnasium.spaces.Box(-0.3, 0.3, (2,), np.float32),
            seconds_per_step=0.1,
        )

    def start(self, prompt: Prompt, rng: Generator) -> Point:
        return Point(torch.tensor([[-0.6, 0.0]]).repeat(prompt.batch_size, 1))

    def step(self, state: Point, action: Action, rng: Generator) -> Point:
        here, there = state.x, state.x + action
        crossing = (here[:, 0] < 0) != (there[:, 0] < 0)
        move_x = torch.where(crossing, action[:, 0], 1.0)
        share = torch.where(crossing, -here[:, 0] / move_x, 1.0)
        height = here[:, 1] + share * action[:, 1]
        blocked = crossing & ((height < self.gap[0]) | (height > self.gap[1]))
        side = torch.where(here[:, 0] < 0, -1e-3, 1e-3)
        stopped = torch.stack([side, height], dim=-1)
        return Point(torch.where(blocked[:, None], stopped, there))

    def embed(self, state: Point) -> Float[Tensor, "b 2"]:
        return state.x


class EffortToGoal(Objective):
    """sum |u|^2 + weight |x_T - (0.6, 0)|^2."""

    goal = torch.tensor([0.6, 0.0])
    weight = 10.0

    def cost(self, world: World, states: Sequence[State], actions: Tensor) -> Float[Tensor, " b"]:
        return actions.square().sum((1, 2)) + self.weight * (states[-1].x - self.goal).square().sum(-1)


class OpenWorld(GapWorld):
    """The same point without a wall."""

    def step(self, state: Point, action: Action, rng: Generator) -> Point:
        return Point(state.x + action)


class ThroughTheGap(EffortToGoal):
    """As EffortToGoal, and a price for crossing x = 0 below or above the gap."""

    price = 20.0

    def heights(self, states: Sequence[State], actions: Tensor) -> Float[Tensor, "b t"]:
        """Where each step crosses the line, NaN where it does not."""
        after = torch.stack([state.x for state in states], dim=1)
        before = after - actions
        crossing = (before[..., 0] < 0) != (after[..., 0] < 0)
        share = -before[..., 0] / torch.where(crossing, actions[..., 0], 1.0)
        return torch.where(crossing, before[..., 1] + share * actions[..., 1], torch.nan)

    def cost(self, world: World, states: Sequence[State], actions: Tensor) -> Float[Tensor, " b"]:
        heights = self.heights(states, actions)
        inside = heights.clamp(*GapWorld.gap).detach()
        beside = torch.where(torch.isnan(heights), 0.0, heights - inside)
        return super().cost(world, states, actions) + self.price * beside.square().sum(1)


@dataclass(frozen=True)
class Place(State):
    """One of a few places."""

    at: Int[Tensor, " b"]


class TableWorld(World[Place], Embeds):
    """Twelve places in a ring, each with a price drawn from a seed. Three actions, numbered from `first`: back, stay, on."""

    def __init__(self, seed: int = 0, first: int = 0):
        rng = torch.Generator().manual_seed(seed)
        self.table = (torch.arange(12)[:, None] + torch.tensor([-1, 0, 1])) % 12
        self.price = torch.rand(12, generator=rng)
        self.first = first
        self.spec = WorldSpec(
            observation_space=gymnasium.spaces.Box(0, 12, (1,), np.float32),
            action_space=gymnasium.spaces.Discrete(3, start=first),
            seconds_per_step=1.0,
        )

    def start(self, prompt: Prompt, rng: Generator) -> Place:
        return Place(torch.arange(prompt.batch_size) % 12)

    def step(self, state: Place, action: Action, rng: Generator) -> Place:
        return Place(self.table[state.at, action - self.first])

    def embed(self, state: Place) -> Float[Tensor, "b 1"]:
        return state.at[:, None].float()


class Price(Objective):
    """What each place on the way costs; later ones more, so that order matters."""

    def cost(self, world: World, states: Sequence[State], actions: Tensor) -> Float[Tensor, " b"]:
        return sum((1 + 0.3 * t) * world.price[state.at] for t, state in enumerate(states))


def box_planners(horizon: int, block: int = 1, **common) -> dict:
    """Every planner of Box actions at a small size."""
    shape = {"horizon": horizon, "block": block, **common}
    return {
        "cem": CEM(CEMConfig(samples=64, elites=8, iterations=4, **shape)),
        "icem": ICEM(ICEMConfig(samples=64, elites=8, iterations=4, **shape)),
        "mppi": MPPI(MPPIConfig(samples=64, elites=8, iterations=4, **shape)),
        "gradient": GradientPlanner(GradientConfig(starts=4, iterations=10, **shape)),
        "random-shooting": RandomShooting(RandomShootingConfig(samples=100, **shape)),
    }


def true_cost(world: World, state: State, objective: Objective, plan: Plan) -> Float[Tensor, " b"]:
    """What a plan costs when it is carried out."""
    rng = torch.Generator().manual_seed(0)
    return objective.cost(world, world.rollout(state, plan.actions, rng), plan.actions)
