"""Two rooms: a disc goes through the door in a wall to a goal in the other room. 1 m x 1 m, seen from above."""

from dataclasses import dataclass, replace
from typing import ClassVar

import gymnasium
import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor

from armillary.core import Action, Rewards
from armillary.worlds.small.drawing import Canvas
from armillary.worlds.small.exact import ExactState, SmallWorld
from armillary.worlds.small.factors import Factor

BORDER_M = 0.04
HALF_WALL_M = 0.03
AGENT_RADIUS_M = 0.06
GOAL_RADIUS_M = 0.08
SUBSTEPS = 8  # a substep is at most 1.0 m/s * sqrt(2) * 12.5 ms = 18 mm, well under a radius: nothing can jump a wall
LOW_M, HIGH_M = BORDER_M + AGENT_RADIUS_M, 1.0 - BORDER_M - AGENT_RADIUS_M


@dataclass(frozen=True)
class TwoRoomsState(ExactState):
    """Where wall, door, agent and goal are, in metres; `going` is 0 with the agent at its goal."""

    wall_x_m: Float[Tensor, " b"]
    door_y_m: Float[Tensor, " b"]
    door_width_m: Float[Tensor, " b"]
    speed_m_s: Float[Tensor, " b"]
    agent: Float[Tensor, "b 2"]
    goal: Float[Tensor, "b 2"]
    last_reward: Float[Tensor, " b"]
    going: Float[Tensor, " b"]

    def wall_pieces(self) -> list[tuple[Float[Tensor, "b 2"], Float[Tensor, "b 2"]]]:
        """Middle and half size of the wall below and of the wall above the door."""
        pieces = []
        low, high = self.door_y_m - self.door_width_m / 2, self.door_y_m + self.door_width_m / 2
        thickness = torch.full_like(low, HALF_WALL_M)
        for bottom, top in ((torch.zeros_like(low), low), (high, torch.ones_like(high))):
            middle = torch.stack([self.wall_x_m, (bottom + top) / 2], dim=-1)
            pieces.append((middle, torch.stack([thickness, (top - bottom) / 2], dim=-1)))
        return pieces

    def way_to_goal(self) -> Float[Tensor, " b"]:
        """Metres from the agent to the goal, by the middle of the door if the wall stands between."""
        door = torch.stack([self.wall_x_m, self.door_y_m], dim=-1)
        straight = (self.agent - self.goal).norm(dim=-1)
        by_door = (self.agent - door).norm(dim=-1) + (door - self.goal).norm(dim=-1)
        apart = (self.agent[:, 0] < self.wall_x_m) != (self.goal[:, 0] < self.wall_x_m)
        return torch.where(apart, by_door, straight)


class TwoRooms(SmallWorld[TwoRoomsState], Rewards):
    """The action (Box 2, in [-1, 1]) is the agent's velocity as a share of `speed_m_s` in x and in y. It slides along walls.

    Reward: metres of the way to the goal done in this step, plus 1 on reaching it, where the episode ends. With `show_goal=False`
    the goal is not drawn: for a model of pictures it is a still mark that differs between episodes, and no part of what happens.
    """

    factors: ClassVar = {
        "wall_x_m": Factor(0.35, 0.65, 0.5),
        "door_y_m": Factor(0.25, 0.75, 0.35),
        "door_width_m": Factor(0.18, 0.36, 0.24),
        "speed_m_s": Factor(0.2, 1.0, 0.6),
    }
    default_theme = "paper"

    def __init__(self, *, size: int = 64, show_goal: bool = True):
        self.show_goal = show_goal
        super().__init__(size=size, action_space=gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32), seconds_per_step=0.1)

    def _place(self, theme: Tensor, chosen: dict[str, Tensor], rng: Generator) -> TwoRoomsState:
        noise = torch.rand(len(theme), 5, generator=rng, device=rng.device)
        gap = HALF_WALL_M + AGENT_RADIUS_M
        left = torch.stack([torch.full_like(noise[:, 0], LOW_M), chosen["wall_x_m"] - gap], dim=-1)
        right = torch.stack([chosen["wall_x_m"] + gap, torch.full_like(noise[:, 0], HIGH_M)], dim=-1)
        agent_left = (noise[:, 0] < 0.5)[:, None]
        rooms = torch.where(agent_left, left, right), torch.where(agent_left, right, left)
        places = []
        for room, across, along in zip(rooms, (noise[:, 1], noise[:, 3]), (noise[:, 2], noise[:, 4]), strict=True):
            places.append(torch.stack([room[:, 0] + across * (room[:, 1] - room[:, 0]), LOW_M + along * (HIGH_M - LOW_M)], dim=-1))
        zero = torch.zeros_like(noise[:, 0])
        return TwoRoomsState(theme=theme, **chosen, agent=places[0], goal=places[1], last_reward=zero, going=zero + 1.0)

    def step(self, state: TwoRoomsState, action: Action, rng: Generator) -> TwoRoomsState:
        """0.1 s in eight substeps: move, then leave every wall by the shortest way."""
        move = self._bounded(action, state) * state.speed_m_s[:, None] * (self.spec.seconds_per_step / SUBSTEPS)
        agent, pieces = state.agent, state.wall_pieces()
        for _ in range(SUBSTEPS):
            agent = agent + move
            for middle, half in pieces:
                agent = _leave(agent, middle, half)
            agent = agent.clamp(LOW_M, HIGH_M)
        moved = replace(state, agent=agent)
        arrived = ((agent - state.goal).norm(dim=-1) < GOAL_RADIUS_M).float()
        reward = state.way_to_goal() - moved.way_to_goal() + arrived * state.going
        return replace(moved, last_reward=reward, going=1.0 - arrived)

    def reward(self, state: TwoRoomsState) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"]]:
        """Progress in metres (plus 1 on arrival), and 0 as continuation at the goal."""
        return state.last_reward, state.going

    def embed(self, state: TwoRoomsState) -> Float[Tensor, "b 6"]:
        """Agent x y, wall x, door y, goal x y, all in metres."""
        return torch.cat([state.agent, state.wall_x_m[:, None], state.door_y_m[:, None], state.goal], dim=-1)

    def _paint(self, state: TwoRoomsState) -> Float[Tensor, "b 3 h w"]:
        canvas = Canvas(self._floor(state), metres_per_pixel=1.0 / self.size)
        wall, goal = self._colour(state, "wall"), self._colour(state, "goal")
        black, white = torch.zeros_like(wall), torch.ones_like(wall)
        shade = torch.tensor([0.015, -0.02], device=wall.device)
        for middle, half in state.wall_pieces():
            canvas.rectangle(middle + shade, half, black, opacity=0.2)
        for middle, half in state.wall_pieces():
            canvas.rectangle(middle, half, self._colour(state, "wall_edge"))
            canvas.rectangle(middle, half - 0.012, wall)
        canvas.frame(BORDER_M, wall)
        if self.show_goal:
            canvas.disc(state.goal, GOAL_RADIUS_M, goal, opacity=0.35)
            canvas.ring(state.goal, GOAL_RADIUS_M - 0.01, 0.02, goal)
            canvas.disc(state.goal, 0.025, goal)
        canvas.disc(state.agent + shade, AGENT_RADIUS_M, black, opacity=0.3, blur_m=0.04)
        canvas.disc(state.agent, AGENT_RADIUS_M, self._colour(state, "agent"))
        canvas.disc(state.agent + torch.tensor([-0.02, 0.02], device=wall.device), 0.018, white, opacity=0.7)
        return canvas.picture


def _leave(agent: Float[Tensor, "b 2"], middle: Float[Tensor, "b 2"], half: Float[Tensor, "b 2"]) -> Float[Tensor, "b 2"]:
    """The agent moved out of an upright wall piece, straight away from the piece's nearest point."""
    offset = agent - middle
    away = offset - offset.clamp(-half, half)
    distance = away.norm(dim=-1, keepdim=True)
    overlap = (AGENT_RADIUS_M - distance).clamp_min(0.0)
    return agent + away / distance.clamp_min(1e-9) * overlap
