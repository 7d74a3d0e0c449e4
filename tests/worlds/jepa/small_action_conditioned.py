"""A V-JEPA 2-AC of small size, a batch that fits it, and encoders for it to stand on."""

from dataclasses import replace
from pathlib import Path

import torch

from armillary.core import Batch, seeded
from armillary.core.settings import to_plain
from armillary.data.shape import DataShape
from armillary.train.checkpoint import TrainingState, save_checkpoint
from armillary.train.config import TrainConfig
from armillary.train.run import RunFolder
from armillary.worlds.jepa import pretrain
from armillary.worlds.jepa.action_conditioned_train import PRESETS, Config, build
from armillary.worlds.jepa.action_conditioned_world import ActionConditionedWorld

HEIGHT, WIDTH = 16, 24
SHAPE = DataShape(
    height=HEIGHT,
    width=WIDTH,
    action_size=3,
    action_mean=(0.5, 0.0, -0.5),
    action_std=(1.0, 2.0, 0.5),
    seconds_per_step=0.1,
    has_rewards=False,
    state_size=2,
    state_mean=(1.0, -1.0),
    state_std=(2.0, 0.5),
)
STATELESS = replace(SHAPE, state_size=0, state_mean=(), state_std=())
ENCODER = {"width": 12, "depth": 1, "heads": 2}
PREDICTOR = {"predictor_width": 24, "predictor_depth": 2, "predictor_heads": 2}
PREDICTOR_OF_VIDEO = {"predictor_width": 12, "predictor_depth": 1, "predictor_heads": 2}


def small_config(**changes) -> Config:
    """The default with few units, on an encoder that never learned."""
    sizes = {**ENCODER, **PREDICTOR, "batch_size": 4, "context_steps": 3, "encoder": "random"}
    return replace(PRESETS["default"], model=replace(PRESETS["default"].model, **(sizes | changes)))


def small_world(shape: DataShape = SHAPE, **changes) -> ActionConditionedWorld:
    """A world from a fixed seed whose every weight matters (fresh ones predict that nothing moves)."""
    torch.manual_seed(0)
    world, rng = build(small_config(**changes), shape), seeded(5)
    for parameter in world.predictor.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=rng)
    return world


def small_batch(rows: int = 4, steps: int = 4, shape: DataShape = SHAPE) -> Batch:
    """Random frames, actions and states."""
    rng = seeded(1)
    return Batch(
        frames=torch.rand(rows, steps, 3, shape.height, shape.width, generator=rng),
        actions=torch.randn(rows, steps, shape.action_size, generator=rng),
        state=torch.randn(rows, steps, shape.state_size, generator=rng) if shape.state_size else None,
        seconds_per_step=0.1,
    )


def video_run(path: Path, *, family: str = "vjepa2", steps: int = 2, done: int = 2) -> pretrain.VideoPretraining:
    """Write the run folder of a pre-training that made `done` of its `steps` steps; what it trained."""
    model = pretrain.ModelConfig(**ENCODER, **PREDICTOR_OF_VIDEO, num_frames=2)
    config = pretrain.Config(model=model, train=TrainConfig(steps=steps))
    torch.manual_seed(3)
    world = pretrain.build(config, SHAPE)
    for parameter in world.networks.target_encoder.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=seeded(4))
    recorded = {"config": to_plain(config), "shape": to_plain(SHAPE)}
    with RunFolder.create(path, family=family, config=recorded, replay=["test"], seed=0) as run:
        state = TrainingState(step=done, phase="pretrain", seed=0, steps=steps, best_step=None, best_loss=None)
        save_checkpoint(run.checkpoints, state, dict(world.state_dict()), {}, 1)
    return world
