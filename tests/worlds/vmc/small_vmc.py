"""A V-M-C world of small size, and a batch that fits it."""

from dataclasses import replace

import torch

from armillary.core import Batch
from armillary.data.shape import DataShape
from armillary.worlds.vmc.ensemble import VmcEnsemble
from armillary.worlds.vmc.train import PRESETS, Config, build
from armillary.worlds.vmc.world import VmcWorld

SHAPE = DataShape(
    height=64,
    width=64,
    action_size=3,
    action_mean=(0.5, 0.0, -0.5),
    action_std=(1.0, 2.0, 0.5),
    seconds_per_step=0.1,
    has_rewards=True,
)


def small_config(preset: str = "default", **changes) -> Config:
    """A preset with few hidden units and a short dream."""
    config = PRESETS[preset]
    sizes = {"members": 1, "latent_size": 8, "hidden_size": 16, "num_mixtures": 3, "context_steps": 3, "dream_steps": 4, "batch_size": 2}
    return replace(config, model=replace(config.model, **(sizes | changes)))


def small_world(preset: str = "default", **changes) -> VmcWorld | VmcEnsemble:
    """A world with weights from a fixed seed."""
    torch.manual_seed(0)
    return build(small_config(preset, **changes), SHAPE)


def small_batch(world: VmcWorld | VmcEnsemble, rows: int = 2) -> Batch:
    """Random frames, actions, rewards and terminations for one phase of `world`."""
    steps = world.config.context_steps + world.config.dream_steps
    rng = torch.Generator().manual_seed(1)
    return Batch(
        frames=torch.rand(rows, steps, 3, 64, 64, generator=rng),
        actions=torch.randn(rows, steps, 3, generator=rng),
        rewards=torch.randn(rows, steps, generator=rng),
        terminated=torch.rand(rows, steps, generator=rng) < 0.2,
        seconds_per_step=0.1,
    )
