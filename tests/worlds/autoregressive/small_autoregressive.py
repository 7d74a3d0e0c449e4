"""An autoregressive world of small size, and a batch that fits it."""

from dataclasses import replace

import torch

from armillary.core import Batch
from armillary.data.shape import DataShape
from armillary.worlds.autoregressive.train import PRESETS, Config, build
from armillary.worlds.autoregressive.world import AutoregressiveWorld

SHAPE = DataShape(
    height=32,
    width=32,
    action_size=3,
    action_mean=(0.5, 0.0, -0.5),
    action_std=(1.0, 2.0, 0.5),
    seconds_per_step=0.1,
    has_rewards=False,
)
STEPS = 5


def small_config(**changes) -> Config:
    """The default with few units, 60 codes and short windows."""
    sizes = {"channels": 4, "latent_channels": 3, "levels": (5, 4, 3), "detail_width": 8, "width": 24, "depth": 2, "heads": 2}
    lengths = {"context_steps": 3, "dream_steps": 2, "batch_size": 2, "tokenize_batch_size": 2}
    config = PRESETS["default"]
    return replace(config, model=replace(config.model, **(sizes | lengths | changes)))


def small_world(**changes) -> AutoregressiveWorld:
    """A world in evaluation mode, whose weights are large enough for its inputs to matter, from a fixed seed."""
    torch.manual_seed(0)
    world = build(small_config(**changes), SHAPE).eval()
    for parameter in world.predictor.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=1.5 / parameter[0].numel() ** 0.5)
    return world


def small_batch(rows: int = 2, steps: int = STEPS) -> Batch:
    """Random frames and actions."""
    rng = torch.Generator().manual_seed(1)
    return Batch(
        frames=torch.rand(rows, steps, 3, 32, 32, generator=rng), actions=torch.randn(rows, steps, 3, generator=rng), seconds_per_step=0.1
    )
