"""Policies trained in memory into run folders, and how well they tell the actions of recordings that they have not seen."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from armillary.core import Episode, seeded, to_model
from armillary.core.settings import to_plain
from armillary.data.shape import DataConfig, DataShape
from armillary.data.splits import measure
from armillary.policies.goal_conditioned import GoalConditioned
from armillary.studies.fit import build_world, complete_settings, family_module
from armillary.train import RunFolder, fit
from armillary.worlds.small.record import CAMERA, record_episodes

SIDE = 32
SHAPE = DataShape(
    height=SIDE,
    width=SIDE,
    action_size=3,
    action_mean=(0.5, 0.0, -0.5),
    action_std=(1.0, 2.0, 0.5),
    seconds_per_step=0.1,
    has_rewards=False,
)


def rooms(num_episodes: int, seed: int) -> list[Episode]:
    """Someone who walks through two rooms in different ways, seen from above."""
    return record_episodes("two-rooms", num_episodes=num_episodes, num_steps=50, size=SIDE, seed=seed)


def learn(path: Path, family: str, episodes: Sequence[Episode], *, steps: int, **model) -> torch.nn.Module:
    """What the one loop trains, its run folder being `path`, as `armillary train` would have made it."""
    config = family_module(family).PRESETS["default"]
    train = replace(config.train, steps=steps, warmup_steps=20, validate_every=0, checkpoint_every=0, tensorboard=False, workers=0)
    data = DataConfig(height=SIDE, width=SIDE, stride=1)
    config = complete_settings(family, replace(config, data=data, train=train, model=replace(config.model, **model)))
    shape = measure(episodes, data)
    recorded = {"data_path": "nowhere", "camera": CAMERA, "stride": 1, "config": to_plain(config), "shape": to_plain(shape)}
    module = build_world(family, config, shape)
    with RunFolder.create(path, family=family, config=recorded, replay=["test"], seed=0) as run:
        fit(module, run=run, train_episodes=episodes, validation_episodes=[], camera=CAMERA, config=train)
    return module


@torch.no_grad()
def action_errors(policy: GoalConditioned, episodes: Sequence[Episode], steps: int) -> dict[str, float]:
    """Mean squared errors, in deviations of the training data, with goals so many steps later; "mean" answers the training mean."""
    frames = [to_model(episode.frames[CAMERA]) for episode in episodes]
    here, goal = torch.cat([one[:-steps] for one in frames]), torch.cat([one[steps:] for one in frames])
    truth = torch.from_numpy(np.concatenate([episode.actions[:-steps] for episode in episodes]))
    other = goal[torch.randperm(len(goal), generator=seeded(0))]
    scale = policy.head.standardise

    def error(told: torch.Tensor) -> float:
        return ((told - truth) / scale.std).square().mean().item()

    return {"right": error(tell(policy, here, goal)), "shuffled": error(tell(policy, here, other)), "mean": error(scale.mean)}


def tell(policy: GoalConditioned, here: torch.Tensor, goal: torch.Tensor) -> torch.Tensor:
    """The first action of each episode on its way to its goal."""
    towards = policy.with_goal(goal)
    return towards.act(here, towards.start(len(here)), seeded(0))[0]
