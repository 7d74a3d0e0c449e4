"""Bouncing balls: discs of different mass collide in a box, under gravity, and the action pushes the first one. 1 m x 1 m."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import gymnasium
import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor

from armillary.core import Action
from armillary.worlds.small.drawing import Canvas
from armillary.worlds.small.exact import ExactState, SmallWorld
from armillary.worlds.small.factors import Factor

BORDER_M = 0.04
MAX_BALLS = 9  # as many as there are cells to start from
SUBSTEPS = 5


@dataclass(frozen=True)
class BallsState(ExactState):
    """Balls in metres and metres per second; a ball's mass goes with its area. `push_m_s2` is what a full action gives the first."""

    gravity_m_s2: Float[Tensor, " b"]
    restitution: Float[Tensor, " b"]
    push_m_s2: Float[Tensor, " b"]
    radius: Float[Tensor, "b n"]
    position: Float[Tensor, "b n 2"]
    velocity: Float[Tensor, "b n 2"]

    @property
    def mass(self) -> Float[Tensor, "b n"]:
        """In units of a ball of 1 m radius."""
        return self.radius.square()

    def energy(self) -> Float[Tensor, " b"]:
        """Kinetic energy and height in the field of gravity."""
        kinetic = 0.5 * self.velocity.square().sum(dim=-1)
        return (self.mass * (kinetic + self.gravity_m_s2[:, None] * self.position[..., 1])).sum(dim=-1)

    def momentum(self) -> Float[Tensor, "b 2"]:
        """Of all balls together."""
        return (self.mass[..., None] * self.velocity).sum(dim=1)


class BouncingBalls(SmallWorld[BallsState]):
    """The action (Box 2, in [-1, 1]) pushes the first ball (the ringed one); `push_m_s2=0` in the layout makes it a no-op.

    Flight is exact, and so are bounces off the box and between two balls. There is no task, hence no reward. Pairs of balls in
    `without_contact` pass through each other, which physics does not allow: for violation of expectation (violations.py).
    """

    factors: ClassVar = {
        "gravity_m_s2": Factor(0.0, 9.81, 1.5),
        "restitution": Factor(0.5, 1.0, 0.95),
        "push_m_s2": Factor(0.0, 8.0, 4.0),
        "radius_m": Factor(0.06, 0.12, 0.1),
        "radius_spread": Factor(0.0, 0.25, 0.2),
        "speed_m_s": Factor(0.0, 1.5, 0.7),
    }
    default_theme = "midnight"

    def __init__(self, *, size: int = 64, num_balls: int = 3, without_contact: Sequence[tuple[int, int]] = ()):
        if not 1 <= num_balls <= MAX_BALLS:
            raise ValueError(f"num_balls must be 1 to {MAX_BALLS}, received {num_balls}")
        super().__init__(size=size, action_space=gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32), seconds_per_step=0.05)
        self.num_balls = num_balls
        self._rounds = _rounds(num_balls, without_contact)

    def _place(self, theme: Tensor, chosen: dict[str, Tensor], rng: Generator) -> BallsState:
        """Each ball somewhere in a cell of its own, with the factor's speed in a random direction."""
        batch, balls = len(theme), self.num_balls
        noise = torch.rand(batch, MAX_BALLS, 5, generator=rng, device=rng.device)
        cell = noise[..., 0].argsort(dim=1)[:, :balls]
        noise = noise[:, :balls]
        radius = chosen["radius_m"][:, None] * (1.0 + chosen["radius_spread"][:, None] * (2 * noise[..., 1] - 1))
        side = (1.0 - 2 * BORDER_M) / 3
        corner = BORDER_M + side * torch.stack([cell % 3, cell // 3], dim=-1)
        heading = noise[..., 4] * 2 * torch.pi
        return BallsState(
            theme=theme,
            gravity_m_s2=chosen["gravity_m_s2"],
            restitution=chosen["restitution"],
            push_m_s2=chosen["push_m_s2"],
            radius=radius,
            position=corner + radius[..., None] + noise[..., 2:4] * (side - 2 * radius[..., None]),
            velocity=chosen["speed_m_s"][:, None, None] * torch.stack([heading.cos(), heading.sin()], dim=-1),
        )

    def step(self, state: BallsState, action: Action, rng: Generator) -> BallsState:
        """0.05 s in five substeps: fly and bounce off the box, then collide in rounds of separate pairs."""
        push = self._bounded(action, state) * state.push_m_s2[:, None]
        acceleration = torch.zeros_like(state.velocity)
        acceleration[:, 0] = push
        acceleration[..., 1] -= state.gravity_m_s2[:, None]
        low, high = (BORDER_M + state.radius)[..., None], (1.0 - BORDER_M - state.radius)[..., None]
        position, velocity = state.position, state.velocity
        dt = self.spec.seconds_per_step / SUBSTEPS
        for _ in range(SUBSTEPS):
            position, velocity = fly(position, velocity, acceleration, low, high, state.restitution[:, None, None], dt)
            for first, second in self._rounds:
                position, velocity = _collide(position, velocity, state, first, second, dt)
            position = torch.minimum(torch.maximum(position, low), high)
        return replace(state, position=position, velocity=velocity)

    def embed(self, state: BallsState) -> Float[Tensor, "b d"]:
        """Every ball's x y, then every ball's velocity."""
        return torch.cat([state.position.flatten(1), state.velocity.flatten(1)], dim=-1)

    def _paint(self, state: BallsState) -> Float[Tensor, "b 3 h w"]:
        canvas = Canvas(self._floor(state), metres_per_pixel=1.0 / self.size)
        ink = self._colour(state, "ink")
        canvas.frame(BORDER_M, self._colour(state, "wall"))
        for ball in range(self.num_balls):
            center, radius = state.position[:, ball], state.radius[:, ball]
            canvas.disc(center, radius, self._colour(state, f"objects.{(ball - 1) % 4}" if ball else "agent"))
            if ball == 0:
                canvas.ring(center, radius - 0.012, 0.024, ink)
            gleam = center + torch.stack([-radius, radius], dim=-1) * 0.35
            canvas.disc(gleam, radius * 0.22, torch.ones_like(ink), opacity=0.75)
        return canvas.picture


def _rounds(count: int, without: Sequence[tuple[int, int]] = ()) -> list[tuple[list[int], list[int]]]:
    """Every pair once, but those left out, in rounds whose pairs share no ball (a round-robin tournament)."""
    left_out = {tuple(sorted(pair)) for pair in without}
    players = list(range(count + count % 2))
    rounds = []
    for _ in range(len(players) - 1):
        pairs = [(players[i], players[-1 - i]) for i in range(len(players) // 2)]
        pairs = [pair for pair in pairs if max(pair) < count and tuple(sorted(pair)) not in left_out]
        if pairs:
            rounds.append(([min(pair) for pair in pairs], [max(pair) for pair in pairs]))
        players = [players[0], players[-1], *players[1:-1]]
    return rounds


def fly(
    position: Tensor, velocity: Tensor, acceleration: Tensor, low: Tensor, high: Tensor, restitution: Tensor, dt: float
) -> tuple[Tensor, Tensor]:
    """Constant acceleration for `dt` between two walls on each axis, with one exact bounce; a second one stops at the wall."""
    end = position + velocity * dt + acceleration * (dt**2 / 2)
    wall = torch.where(end < low, low, high)
    hits = (end < low) | (end > high)
    into = torch.where(end < low, -1.0, 1.0)
    # Speed on reaching the wall from v^2 = v0^2 + 2 a s, and the time from s = (v0 + v) / 2 * t.
    impact = into * (velocity.square() + 2 * acceleration * (wall - position)).clamp_min(0.0).sqrt()
    mean = (velocity + impact) / 2
    time = torch.where(mean.abs() > 1e-9, (wall - position) / torch.where(mean.abs() > 1e-9, mean, 1.0), 0.0).clamp(0.0, dt)
    rest = dt - time
    rebound = -restitution * impact
    after = wall + rebound * rest + acceleration * rest.square() / 2
    speed_after = rebound + acceleration * rest
    stuck = (after - wall) * into > 0
    after, speed_after = torch.where(stuck, wall, after), torch.where(stuck, 0.0, speed_after)
    return torch.where(hits, after, end), torch.where(hits, speed_after, velocity + acceleration * dt)


def _collide(
    position: Float[Tensor, "b n 2"], velocity: Float[Tensor, "b n 2"], state: BallsState, first: list[int], second: list[int], dt: float
) -> tuple[Tensor, Tensor]:
    """Pairs that overlap and approach go back to where they touched, exchange momentum there, and go on for the same time."""
    offset = position[:, second] - position[:, first]
    relative = velocity[:, second] - velocity[:, first]
    reach = state.radius[:, first] + state.radius[:, second]
    closing, speed2 = (offset * relative).sum(-1), relative.square().sum(-1)
    excess = offset.square().sum(-1) - reach.square()
    meets = (excess < 0) & (closing < 0)
    back = (closing + (closing.square() - speed2 * excess).clamp_min(0.0).sqrt()) / speed2.clamp_min(1e-12)
    back = torch.where(meets, back.clamp(0.0, dt), 0.0)[..., None]
    touch = offset - relative * back
    normal = touch / touch.norm(dim=-1, keepdim=True).clamp_min(1e-9)
    mass1, mass2 = state.mass[:, first], state.mass[:, second]
    impulse = -(1.0 + state.restitution[:, None]) * (relative * normal).sum(-1) * mass1 * mass2 / (mass1 + mass2)
    impulse = torch.where(meets, impulse, 0.0).clamp_min(0.0)[..., None] * normal
    change1, change2 = -impulse / mass1[..., None], impulse / mass2[..., None]
    # What still overlaps (balls at rest upon each other) is moved apart, the lighter ball more.
    offset = offset + (change2 - change1) * back
    distance = offset.norm(dim=-1, keepdim=True).clamp_min(1e-9)
    apart = (reach[..., None] - distance).clamp_min(0.0) * offset / distance
    share1 = (mass2 / (mass1 + mass2))[..., None]
    position, velocity = position.clone(), velocity.clone()
    position[:, first] += change1 * back - apart * share1
    position[:, second] += change2 * back + apart * (1.0 - share1)
    velocity[:, first] += change1
    velocity[:, second] += change2
    return position, velocity
