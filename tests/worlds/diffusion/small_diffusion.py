"""A diffusion world of small size, and a batch that fits it."""

from dataclasses import replace

import torch

from armillary.core import Batch
from armillary.data.shape import DataShape
from armillary.worlds.diffusion.train import PRESETS, Config, build
from armillary.worlds.diffusion.world import DiffusionWorld

SHAPE = DataShape(
    height=32,
    width=48,
    action_size=3,
    action_mean=(0.5, 0.0, -0.5),
    action_std=(1.0, 2.0, 0.5),
    seconds_per_step=0.1,
    has_rewards=False,
)


def small_config(preset: str = "default", **changes) -> Config:
    """A preset with few units, short chunks and few sampling steps."""
    config = PRESETS[preset]
    sizes = {"read_size": 16, "width": 24, "depth": 2, "heads": 2, "chunk_steps": 4, "sampling_steps": 2, "batch_size": 2}
    return replace(config, model=replace(config.model, **(sizes | changes)))


def small_world(preset: str = "default", **changes) -> DiffusionWorld:
    """A world with weights from a fixed seed, every one of them away from zero, so that nothing is silent."""
    torch.manual_seed(0)
    world = build(small_config(preset, **changes), SHAPE)
    with torch.no_grad():
        for parameter in world.parameters():
            if not parameter.any():
                parameter.normal_(std=0.2)
    return world


def small_batch(world: DiffusionWorld, rows: int = 2) -> Batch:
    """Random frames and actions for a training step of `world`."""
    steps = world.config.context_steps + world.config.chunk_steps
    rng = torch.Generator().manual_seed(1)
    return Batch(
        frames=torch.rand(rows, steps, 3, SHAPE.height, SHAPE.width, generator=rng),
        actions=torch.randn(rows, steps, 3, generator=rng),
        seconds_per_step=0.1,
    )
