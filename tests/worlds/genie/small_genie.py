"""A Genie world of small size, and a batch that fits it."""

from dataclasses import replace

import torch

from armillary.core import Batch
from armillary.data.shape import DataShape
from armillary.worlds.genie.train import PRESETS, Config, build
from armillary.worlds.genie.world import GenieWorld

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
    widths = {"tokenizer_width": 24, "tokenizer_heads": 2, "action_width": 24, "action_heads": 2, "width": 24, "heads": 2}
    sizes = {"tokenizer_depth": 1, "action_depth": 1, "depth": 2, "levels": (5, 4, 3), "reach": 1}
    lengths = {"context_steps": 3, "num_frames": STEPS, "tokenize_frames": 3, "batch_size": 2, "labelled_steps": 12}
    config = PRESETS["default"]
    return replace(config, model=replace(config.model, **(widths | sizes | lengths | changes)))


def small_world(**changes) -> GenieWorld:
    """A world in evaluation mode, whose weights are large enough for its inputs to matter, from a fixed seed."""
    torch.manual_seed(0)
    world = build(small_config(**changes), SHAPE).eval()
    for parameter in world.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=1.0 / parameter[0].numel() ** 0.5)
    world.dynamics.copied.data.zero_()
    return world


def small_batch(rows: int = 2, steps: int = STEPS) -> Batch:
    """Random frames and actions."""
    rng = torch.Generator().manual_seed(1)
    return Batch(
        frames=torch.rand(rows, steps, 3, 32, 32, generator=rng), actions=torch.randn(rows, steps, 3, generator=rng), seconds_per_step=0.1
    )
