"""Who acts in an episode with a task: random motion, the task's expert, or a demonstration carried over."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Bool, Float32

from armillary.core import ArmillaryError, ConfigError, Policy, seeded
from armillary.worlds.twin.demonstrations import Demonstrations, demonstrations
from armillary.worlds.twin.episode_world import drawn_world, task_world
from armillary.worlds.twin.manifest import Manifest
from armillary.worlds.twin.motion import smooth_actions
from armillary.worlds.twin.tasks.attempt import attempt
from armillary.worlds.twin.tasks.catalogue import kind_of
from armillary.worlds.twin.tasks.mimic import plan_mimic
from armillary.worlds.twin.tasks.moves import HandExpert
from armillary.worlds.twin.tasks.replay import Replay
from armillary.worlds.twin.tasks.task import TaskWorld
from armillary.worlds.twin.world import TwinState, TwinWorld

ATTEMPTS = 25  # at an episode that must succeed


@dataclass(frozen=True, kw_only=True)
class Performance:
    """What was done: `states[t]` is before `actions[t]`, `rewards[t]` and `done[t]` are of arriving after it. `attempt` counts from 0."""

    world: TaskWorld
    states: tuple[TwinState, ...]
    actions: Float32[np.ndarray, "t a"]
    rewards: Float32[np.ndarray, " t"]
    done: Bool[np.ndarray, " t"]
    attempt: int


def world_of(manifest: Manifest, episode: int, attempt: int = 0) -> TwinWorld:
    """The randomised world of an attempt at an episode; a TaskWorld where the manifest has a task.

    ConfigError if the scene lacks a camera or cannot be stepped so, or demonstrations are of another task; DataError for those that
    cannot be used.
    """
    if manifest.policy != "mimic":
        return drawn_world(manifest, episode, attempt)
    task = _shown(manifest).task(episode + attempt)
    return task_world(manifest, task.rearranged(manifest.streams(episode, attempt).layout), episode, attempt)


def perform(manifest: Manifest, episode: int) -> Performance:
    """An episode of the manifest's task. The last action is done twice, so that the moment when the task is done is seen.

    Random motion is kept whatever it does; experts and what is carried over try again, with things drawn anew, until they succeed.
    ArmillaryError if they never do. The same for the same manifest and episode, wherever it runs.
    """
    tries = 1 if manifest.policy == "random" else ATTEMPTS
    for number in range(tries):
        world = world_of(manifest, episode, number)
        actor, within_s = _actor(manifest, world, episode, number)
        made = attempt(world, actor, delay=manifest.delay(episode, number), within_s=within_s)
        if made.done or manifest.policy == "random":
            last = world.step(made.states[-1], made.actions[-1:], seeded(0))
            reward, going = world.reward(last)
            actions = torch.cat([made.actions, made.actions[-1:]]).numpy()
            rewards = torch.cat([made.rewards, reward]).numpy()
            done = np.zeros(len(actions), dtype=bool)
            done[-2:] = made.done, not bool(going[0])
            return Performance(world=world, states=made.states, actions=actions, rewards=rewards, done=done, attempt=number)
        world.close()
    raise ArmillaryError(
        f"episode {episode}: {tries} attempts at {manifest.task!r} by {manifest.policy!r} failed, the last at: {world.task.words} Vary "
        "less (--randomise.mass, friction, drives), or use other demonstrations"
    )


def _actor(manifest: Manifest, world: TaskWorld, episode: int, attempt: int) -> tuple[Policy, float]:
    """Who acts, and for how many seconds at most."""
    limit_s = world.task.time_limit_s
    if manifest.policy == "expert":
        return kind_of(manifest.task).expert(world), limit_s
    if manifest.policy == "mimic":
        shown = _shown(manifest).shown(episode + attempt)
        return HandExpert(world, partial(plan_mimic, shown, world.task)), shown.enough_s
    steps = round(limit_s / manifest.seconds_per_step)
    actions = smooth_actions(world, steps, manifest.reach, manifest.streams(episode, attempt).actions)
    return Replay(world, torch.from_numpy(actions)), limit_s


def _shown(manifest: Manifest) -> Demonstrations:
    found = demonstrations(manifest.demonstrations)
    if found.manifest.task != manifest.task:
        raise ConfigError(
            f"{manifest.demonstrations} shows the task {found.manifest.task!r}, not {manifest.task!r}; name that task, or others"
        )
    return found
