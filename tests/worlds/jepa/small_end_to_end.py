"""An end-to-end JEPA of small size, and a batch that fits it."""

from dataclasses import replace

import torch

from armillary.core import Batch
from armillary.data.shape import DataShape
from armillary.worlds.jepa.end_to_end_train import PRESETS, Config, build
from armillary.worlds.jepa.end_to_end_world import EndToEndWorld

SIDE = 16
SHAPE = DataShape(
    height=SIDE,
    width=SIDE,
    action_size=3,
    action_mean=(0.5, 0.0, -0.5),
    action_std=(1.0, 2.0, 0.5),
    seconds_per_step=0.1,
    has_rewards=False,
)


def small_config(preset: str = "default", **changes) -> Config:
    """A preset with few units and short windows."""
    config = PRESETS[preset]
    steps = min(config.model.predict_steps, 3)
    sizes = {"latent_size": 8, "width": 16, "channels": (4, 8), "predict_steps": steps, "window_steps": 5, "num_projections": 16}
    sizes |= {"memory_size": min(config.model.memory_size, 4), "batch_size": 4}
    return replace(config, model=replace(config.model, **(sizes | changes)))


def small_world(preset: str = "default", **changes) -> EndToEndWorld:
    """A world with weights from a fixed seed."""
    torch.manual_seed(0)
    return build(small_config(preset, **changes), SHAPE)


def small_batch(world: EndToEndWorld, rows: int = 4) -> Batch:
    """Random frames and actions for a step of training."""
    rng = torch.Generator().manual_seed(1)
    steps = world.config.window_steps
    return Batch(
        frames=torch.rand(rows, steps, 3, SIDE, SIDE, generator=rng),
        actions=torch.randn(rows, steps, 3, generator=rng),
        seconds_per_step=0.1,
    )
