"""Pusher: a disc on a table pushes a square block to a goal pose. Table 1 m x 1 m, seen from above."""

from dataclasses import dataclass, replace
from typing import ClassVar

import gymnasium
import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor

from armillary.core import Action, Rewards
from armillary.worlds.small.block import Block, slide, touch_disc, touch_rails
from armillary.worlds.small.drawing import Canvas
from armillary.worlds.small.exact import ExactState, SmallWorld
from armillary.worlds.small.factors import Factor

RAIL_M = 0.04
RAIL_RESTITUTION = 0.5
AGENT_RADIUS_M = 0.08
AGENT_MASS_KG = 1.0
AGENT_FORCE_N = 15.0
TOP_SPEED_M_S = 0.7
RESPONSE_S = 0.04  # time constant with which the agent takes up the commanded velocity
SUBSTEPS = 5
GOAL_DISTANCE_M = 0.05
GOAL_ANGLE = float(np.deg2rad(15.0))
LOW_M, HIGH_M = RAIL_M + AGENT_RADIUS_M, 1.0 - RAIL_M - AGENT_RADIUS_M


@dataclass(frozen=True)
class PusherState(ExactState):
    """Positions in metres, velocities in metres per second, angles in radians; `going` is 0 with the block at its goal."""

    block: Block
    agent: Float[Tensor, "b 2"]
    agent_velocity: Float[Tensor, "b 2"]
    goal: Float[Tensor, "b 2"]
    goal_angle: Float[Tensor, " b"]
    last_reward: Float[Tensor, " b"]
    going: Float[Tensor, " b"]


def angle_error(angle: Float[Tensor, " b"], goal: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
    """The smallest turn (radians, >= 0) from one pose of a square to another: a quarter turn changes nothing."""
    quarter = torch.pi / 2
    return (torch.remainder(angle - goal + quarter / 2, quarter) - quarter / 2).abs()


class Pusher(SmallWorld[PusherState], Rewards):
    """The action (Box 2, in [-1, 1]) is the agent's wanted velocity as a share of its top speed.

    Reward: metres by which the block came nearer to the goal, plus 1 on reaching it (5 cm, 15 degrees), where the episode ends.
    With `show_goal=False` the goal is not drawn.
    """

    factors: ClassVar = {
        "block_mass_kg": Factor(0.2, 2.0, 0.5),
        "friction": Factor(0.05, 0.6, 0.3),
        "block_size_m": Factor(0.16, 0.3, 0.24),
    }
    default_theme = "workshop"

    def __init__(self, *, size: int = 64, show_goal: bool = True):
        self.show_goal = show_goal
        super().__init__(size=size, action_space=gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32), seconds_per_step=0.1)

    def _place(self, theme: Tensor, chosen: dict[str, Tensor], rng: Generator) -> PusherState:
        batch = len(theme)
        noise = torch.rand(batch, 7, generator=rng, device=rng.device)
        middle = 0.3 + 0.4 * noise[:, 0:2]
        block = Block(
            position=middle,
            velocity=torch.zeros_like(middle),
            angle=noise[:, 3] * 2 * torch.pi,
            spin=torch.zeros_like(noise[:, 3]),
            size_m=chosen["block_size_m"],
            mass_kg=chosen["block_mass_kg"],
            friction=chosen["friction"],
        )
        # On a circle round the block that clears its corners; mirrored where that would be off the table.
        bearing = noise[:, 2] * 2 * torch.pi
        away = (block.size_m * 0.5**0.5 + AGENT_RADIUS_M + 0.02)[:, None] * torch.stack([bearing.cos(), bearing.sin()], dim=-1)
        agent = torch.where((middle + away < LOW_M) | (middle + away > HIGH_M), middle - away, middle + away)
        # A goal too near the block moves a quarter of the table away, so that no start is solved.
        goal = noise[:, 4:6] * 0.5
        near = (goal + 0.25 - middle).norm(dim=-1, keepdim=True) < 0.12
        goal = 0.25 + torch.where(near, (goal + 0.25) % 0.5, goal)
        return PusherState(
            theme=theme,
            block=block,
            agent=agent,
            agent_velocity=torch.zeros_like(agent),
            goal=goal,
            goal_angle=noise[:, 6] * 2 * torch.pi,
            last_reward=torch.zeros_like(bearing),
            going=torch.ones_like(bearing),
        )

    def step(self, state: PusherState, action: Action, rng: Generator) -> PusherState:
        """0.1 s in five substeps of 20 ms."""
        wanted = self._bounded(action, state) * TOP_SPEED_M_S
        before = (state.block.position - state.goal).norm(dim=-1)
        was_going = state.going
        for _ in range(SUBSTEPS):
            state = _substep(state, wanted, self.spec.seconds_per_step / SUBSTEPS)
        after = (state.block.position - state.goal).norm(dim=-1)
        done = ((after < GOAL_DISTANCE_M) & (angle_error(state.block.angle, state.goal_angle) < GOAL_ANGLE)).float()
        return replace(state, last_reward=before - after + done * was_going, going=1.0 - done)

    def reward(self, state: PusherState) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"]]:
        """Progress of the block in metres (plus 1 on arrival), and 0 as continuation at the goal."""
        return state.last_reward, state.going

    def embed(self, state: PusherState) -> Float[Tensor, "b 14"]:
        """Agent x y, block x y, block sine and cosine, goal x y, goal sine and cosine, agent velocity, block velocity."""
        block = state.block
        block_turn = torch.stack([block.angle.sin(), block.angle.cos()], dim=-1)
        goal_turn = torch.stack([state.goal_angle.sin(), state.goal_angle.cos()], dim=-1)
        parts = [state.agent, block.position, block_turn, state.goal, goal_turn, state.agent_velocity, block.velocity]
        return torch.cat(parts, dim=-1)

    def _paint(self, state: PusherState) -> Float[Tensor, "b 3 h w"]:
        canvas = Canvas(self._floor(state), metres_per_pixel=1.0 / self.size)
        block, white = state.block, torch.ones_like(self._colour(state, "ink"))
        black = torch.zeros_like(white)
        half = (block.size_m / 2)[:, None].expand(-1, 2)
        shade = torch.tensor([0.015, -0.02], device=white.device)
        canvas.frame(RAIL_M, self._colour(state, "wall"))
        if self.show_goal:
            canvas.box(state.goal, half, state.goal_angle, self._colour(state, "goal"), rounding_m=0.02, opacity=0.5)
        canvas.box(block.position + shade, half, block.angle, black, rounding_m=0.02, opacity=0.3, blur_m=0.04)
        canvas.box(block.position, half, block.angle, self._colour(state, "objects.0"), rounding_m=0.02)
        canvas.box(block.position, half * 0.5, block.angle, self._colour(state, "objects.1"), rounding_m=0.02)
        canvas.disc(state.agent + shade, AGENT_RADIUS_M, black, opacity=0.3, blur_m=0.04)
        canvas.disc(state.agent, AGENT_RADIUS_M, self._colour(state, "agent"))
        canvas.disc(state.agent + torch.tensor([-0.025, 0.025], device=white.device), 0.022, white, opacity=0.7)
        return canvas.picture


def _substep(state: PusherState, wanted: Float[Tensor, "b 2"], dt: float) -> PusherState:
    """One short step: the agent's force (limited), the table's friction, then whatever touches."""
    limit = AGENT_FORCE_N / AGENT_MASS_KG
    pull = (wanted - state.agent_velocity) / RESPONSE_S
    pull = pull * (limit / pull.norm(dim=-1, keepdim=True).clamp_min(limit))
    velocity = state.agent_velocity + pull * dt
    agent = state.agent + velocity * dt
    block, agent, velocity = touch_disc(slide(state.block, dt), agent, velocity, AGENT_RADIUS_M, AGENT_MASS_KG, give=0.5)
    block = touch_rails(block, RAIL_M, 1.0 - RAIL_M, RAIL_RESTITUTION)
    block, agent, velocity = touch_disc(block, agent, velocity, AGENT_RADIUS_M, AGENT_MASS_KG, give=0.0)
    outward = ((agent < LOW_M) & (velocity < 0)) | ((agent > HIGH_M) & (velocity > 0))
    return replace(state, block=block, agent=agent.clamp(LOW_M, HIGH_M), agent_velocity=velocity.masked_fill(outward, 0.0))
