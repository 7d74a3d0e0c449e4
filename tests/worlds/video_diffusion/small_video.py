"""A video diffusion world of small size, and a batch that fits it."""

from dataclasses import replace

import torch

from armillary.core import Batch, to_bytes
from armillary.data.shape import DataShape
from armillary.worlds.video_diffusion.train import PRESETS, Config, build
from armillary.worlds.video_diffusion.world import VideoDiffusionWorld

SHAPE = DataShape(
    height=16,
    width=24,
    action_size=3,
    action_mean=(0.5, 0.0, -0.5),
    action_std=(1.0, 2.0, 0.5),
    seconds_per_step=0.1,
    has_rewards=False,
    has_text=True,
)
SIZES = {
    "width": 24,
    "depth": 2,
    "heads": 2,
    "rank": 4,
    "chunk_steps": 4,
    "sampling_steps": 2,
    "batch_size": 4,
    "patch": 8,
    "text_bytes": 6,
    "text_width": 8,
}


def small_config(preset: str = "default", **changes) -> Config:
    """A preset with few units, short chunks and few sampling steps."""
    config = PRESETS[preset]
    return replace(config, model=replace(config.model, **(SIZES | changes)))


def small_world(preset: str = "default", shape: DataShape = SHAPE, **changes) -> VideoDiffusionWorld:
    """A world with weights from a fixed seed, every one of them away from zero, so that nothing is silent."""
    torch.manual_seed(0)
    world = build(small_config(preset, **changes), shape)
    with torch.no_grad():
        for parameter in world.parameters():
            if not parameter.any():
                parameter.normal_(std=0.2)
    return world


def small_batch(world: VideoDiffusionWorld, rows: int = 4) -> Batch:
    """Random frames and actions, and texts, for a training step of `world`."""
    steps = world.config.context_steps + world.config.chunk_steps
    rng = torch.Generator().manual_seed(1)
    _, height, width = world.picture
    return Batch(
        frames=torch.rand(rows, steps, 3, height, width, generator=rng),
        actions=torch.randn(rows, steps, len(world.standardise.mean), generator=rng),
        text=to_bytes([f"move {row}" for row in range(rows)]),
        seconds_per_step=0.1,
    )
