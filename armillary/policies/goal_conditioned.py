"""What all policies that go to a goal picture share: how they learn from recordings, and how they act."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import gymnasium
import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from armillary.core import Action, Batch, ConfigError, Loss, Phase, Policy, Trainable, WorldError, WorldSpec
from armillary.data.shape import DataShape
from armillary.planning.pictures import check_pictures
from armillary.policies.action_head import LOSSES, build_head
from armillary.policies.hindsight import draw_pairs


@dataclass(frozen=True, kw_only=True)
class HindsightConfig:
    """How a policy learns from recordings, and how it acts.

    Of each window of `goal_steps` + 1 frames `pairs_per_window` pairs (a frame, its goal 1 to `goal_steps` steps later) are learned from;
    distances are uniform for a `goal_discount` of 1, else in proportion to goal_discount^steps. The next `chunk` actions are told at once,
    and `execute` of them done before looking again. `loss` is "huber", "l1" or "mse", for continuous actions.
    """

    goal_steps: int = 24
    goal_discount: float = 1.0
    pairs_per_window: int = 16
    chunk: int = 1
    execute: int = 1
    loss: str = "huber"
    batch_size: int = 16
    learning_rate: float = 1e-3

    def __post_init__(self):
        for name in ("goal_steps", "pairs_per_window", "chunk", "execute", "batch_size"):
            if getattr(self, name) < 1:
                raise ConfigError(f"model.{name} must be >= 1, received {getattr(self, name)}")
        if not 0 < self.goal_discount <= 1:
            raise ConfigError(f"model.goal_discount must be above 0 and at most 1, received {self.goal_discount}")
        if self.execute > self.chunk or self.chunk > self.goal_steps:
            raise ConfigError(
                f"model.execute <= model.chunk <= model.goal_steps must hold, received {self.execute}, {self.chunk} and {self.goal_steps}"
            )
        if self.loss not in LOSSES:
            raise ConfigError(f"model.loss must be one of {', '.join(LOSSES)}; received {self.loss!r}")
        if not self.learning_rate > 0:
            raise ConfigError(f"model.learning_rate must be > 0, received {self.learning_rate}")


@dataclass(frozen=True)
class Chunk:
    """The actions that were told when the policy last looked, and how many of them are done."""

    batch_size: int
    actions: Tensor | None = None  # b c a, or b c
    executed: int = 0


@dataclass(frozen=True)
class Pursuit:
    """A chunk, and what the policy has read from the goal picture."""

    chunk: Chunk
    goal: Tensor | None = None


class GoalConditioned(nn.Module, Policy[Chunk], Trainable, ABC):
    """A policy that sees where it is and where it is to be. `spec` says the size of both pictures and what its actions are.

    As a Policy it observes pairs `b 2 3 h w`, what is seen and then its goal. `with_goal` gives one that knows its goal and observes
    `b 3 h w`. Strided recordings have the actions of several frames side by side: so are those of the policy.
    """

    def __init__(self, config: HindsightConfig, shape: DataShape):
        super().__init__()
        self.config = config
        self.head = build_head(shape, config.loss)
        self.spec = WorldSpec(
            observation_space=gymnasium.spaces.Box(0, 255, (shape.height, shape.width, 3), np.uint8),
            action_space=self.head.space,
            seconds_per_step=shape.seconds_per_step,
            prompt=("frames",),
        )

    @abstractmethod
    def read_goal(self, goal: Float[Tensor, "n 3 h w"], rng: Generator) -> Float[Tensor, "n ..."]:
        """What the policy needs of a goal picture: it is asked for once a goal."""

    @abstractmethod
    def decide(self, observation: Float[Tensor, "n 3 h w"], goal: Float[Tensor, "n ..."], rng: Generator) -> Float[Tensor, "n k"]:
        """The head's numbers for the next `chunk` actions, from a picture and what was read from the goal."""

    def with_goal(self, goal: Tensor) -> "TowardsGoal":
        """The policy on its way to a goal picture in [0, 1]: one for all (`3 h w`) or one for each episode (`b 3 h w`)."""
        return TowardsGoal(self, goal)

    def start(self, batch_size: int) -> Chunk:
        """Nothing seen, nothing told."""
        return Chunk(batch_size)

    def act(self, observation: Tensor, memory: Chunk, rng: Generator) -> tuple[Action, Chunk]:
        """The action in the data's units (its index, where actions are discrete), for pairs of what is seen and the goal, `b 2 3 h w`.

        Raises WorldError for pictures of another size or batch, and for numbers that are not finite or not in [0, 1].
        """
        if observation.ndim != 5 or observation.shape[1] != 2:
            raise WorldError(
                f"{type(self).__name__} observes (b, 2, 3, h, w), a picture and its goal, received {tuple(observation.shape)}; "
                "`with_goal` gives a policy that observes pictures alone"
            )
        check_pictures(self, observation[:, 1], "the goal")
        return self.act_towards(self._read(observation[:, 1], rng), observation[:, 0], memory, rng)

    @torch.no_grad()
    def act_towards(self, goal: Float[Tensor, "b ..."], observation: Tensor, memory: Chunk, rng: Generator) -> tuple[Action, Chunk]:
        """`act` with what was read from the goal: the next action of the chunk, told anew when `execute` of its actions are done."""
        if len(observation) != memory.batch_size:
            raise WorldError(f"the policy was started for {memory.batch_size} episodes and sees {len(observation)}; call start again")
        check_pictures(self, observation, "the observation")
        if memory.actions is None or memory.executed >= self.config.execute:
            told = self.decide(observation, goal, rng)
            memory = Chunk(memory.batch_size, self.head.act(told.float().unflatten(1, (self.config.chunk, -1))))
        return memory.actions[:, memory.executed], replace(memory, executed=memory.executed + 1)

    def phases(self) -> tuple[Phase, ...]:
        """One phase of windows that hold the farthest goal."""
        config = self.config
        sizes = {"batch_size": config.batch_size, "num_frames": config.goal_steps + 1}
        return (Phase(name="imitate", share=1.0, learning_rate=config.learning_rate, **sizes),)

    def begin_phase(self, name: str) -> None:
        self.requires_grad_(True)

    def loss(self, batch: Batch, rng: Generator) -> Loss:
        """The head's loss on the actions that were done from frame t on, with frame t + k as the goal; those after the goal do not count.

        Action t leads from frame t to frame t + 1.
        """
        config = self.config
        count, num_frames = batch.frames.shape[:2]
        if num_frames < 2:
            raise ConfigError(f"windows must have two frames or more to learn a goal from, received {num_frames}")
        times, steps = draw_pairs(
            count, num_frames, config.pairs_per_window, goal_steps=config.goal_steps, discount=config.goal_discount, rng=rng
        )
        rows = torch.arange(count, device=times.device)[:, None]
        here, goal = (batch.frames[rows, chosen].flatten(0, 1) for chosen in (times, times + steps))
        told = self.decide(here, self.read_goal(goal, rng), rng).float().unflatten(1, (config.chunk, -1))
        ahead = torch.arange(config.chunk, device=times.device)
        until = (times[..., None] + ahead).clamp(max=num_frames - 1)
        actions = batch.actions[rows[..., None], until].flatten(0, 1)
        counts = (ahead < steps[..., None]).flatten(0, 1).to(told.dtype)

        def mean(values: Float[Tensor, "n c"]) -> Float[Tensor, ""]:
            return (values * counts).sum() / counts.sum()

        parts = {name: mean(values).detach() for name, values in self.head.watch(told, actions).items()}
        return Loss(mean(self.head.loss(told, actions)), parts)

    @torch.no_grad()
    def _read(self, goal: Float[Tensor, "b 3 h w"], rng: Generator) -> Float[Tensor, "b ..."]:
        return self.read_goal(goal, rng)


class TowardsGoal(Policy[Pursuit]):
    """A goal-conditioned policy that knows its goal: one picture for all episodes (`3 h w`) or one for each (`b 3 h w`).

    Raises WorldError, at once, for a picture of another size and for numbers that are not finite or not in [0, 1].
    """

    def __init__(self, policy: GoalConditioned, goal: Tensor):
        goal = goal[None] if goal.ndim == 3 else goal
        check_pictures(policy, goal, "the goal")
        self.policy, self.goal, self.spec = policy, goal, policy.spec

    def start(self, batch_size: int) -> Pursuit:
        """Nothing seen. Raises WorldError where goals and episodes do not pair up."""
        if len(self.goal) not in (1, batch_size):
            raise WorldError(f"there are {len(self.goal)} goals for {batch_size} episodes; give one goal, or one for each episode")
        return Pursuit(self.policy.start(batch_size))

    def act(self, observation: Tensor, memory: Pursuit, rng: Generator) -> tuple[Action, Pursuit]:
        """The action in the data's units for pictures `b 3 h w`. The goal is read once, when the first picture comes."""
        goal = memory.goal
        if goal is None:
            read = self.policy._read(self.goal.to(observation.device), rng)
            goal = read.expand(memory.chunk.batch_size, *read.shape[1:])
        action, chunk = self.policy.act_towards(goal, observation, memory.chunk, rng)
        return action, Pursuit(chunk, goal)
