"""Attempt: a policy that knows the truth tries a task until it is done or the time is up."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from armillary.core import Policy, Prompt, seeded
from armillary.worlds.twin.tasks.task import TaskWorld
from armillary.worlds.twin.world import TwinState


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """`states[t]` is before `actions[t]` (`t a`); the last state is after the last action. `rewards[t]` is of arriving at state t + 1."""

    states: tuple[TwinState, ...]
    actions: Float[Tensor, "t a"]
    rewards: Float[Tensor, " t"]
    done: bool


def attempt(world: TaskWorld, expert: Policy, *, delay: int = 0, within_s: float = math.inf) -> Attempt:
    """Try the world's task once. The episode ends with the step that does it. Actions take effect `delay` steps later; until the first
    does, the drives hold their targets. It is given up after `within_s`, or when the task's time is up."""
    rng = seeded(0)  # nothing in a twin is random once it is placed, and experts are not either
    states, actions, rewards, done = [world.start(Prompt(batch_size=1), rng)], [], [], False
    memory = expert.start(1)
    for _ in range(round(min(world.task.time_limit_s, within_s) / world.spec.seconds_per_step)):
        action, memory = expert.act(states[-1].physics, memory, rng)
        actions.append(action[0])
        told = actions[-1 - delay] if len(actions) > delay else world.targets
        states.append(world.step(states[-1], told[None], rng))
        reward, going = world.reward(states[-1])
        rewards.append(reward[0])
        done = not bool(going[0])
        if done:
            break
    return Attempt(states=tuple(states), actions=torch.stack(actions), rewards=torch.stack(rewards), done=done)
