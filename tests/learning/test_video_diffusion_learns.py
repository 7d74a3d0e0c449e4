"""A video diffusion world learns to move a square in under a minute: what its actions do, and from pictures which they were."""

from dataclasses import replace

import numpy as np
import torch

from armillary.core import Episode, seeded, to_model
from armillary.data.shape import DataConfig
from armillary.data.splits import measure
from armillary.evaluate.baselines import average_frame
from armillary.evaluate.open_loop import evaluate_open_loop
from armillary.evaluate.result import Protocol
from armillary.train import RunFolder, fit
from armillary.worlds.video_diffusion.config import ModeWeights
from armillary.worlds.video_diffusion.train import PRESETS, build

CAMERA = "observation.images.view"
PICTURE, SIDE = 16, 4


def hopping_square(index: int, num_steps: int = 30) -> Episode:
    """A white square on grey hops to a neighbour place on both axes; an action of -1 or 1 on each says where, and none meets the border."""
    draw = np.random.default_rng(index)
    places = PICTURE // SIDE
    place = draw.integers(0, places, size=2)
    frames, actions = np.full((num_steps, PICTURE, PICTURE, 3), 80, np.uint8), np.empty((num_steps, 2), np.float32)
    for t in range(num_steps):
        row, column = SIDE * place
        frames[t, row : row + SIDE, column : column + SIDE] = 255
        action = draw.choice([-1, 1], size=2)
        stays = (place + action >= 0) & (place + action < places)
        actions[t] = np.where(stays, action, -action)
        place = place + actions[t].astype(int)
    return Episode(frames={CAMERA: frames}, actions=actions, seconds_per_step=0.1, index=index, content_hash=f"square {index}")


def test_forward_beats_copy_last_and_needs_its_actions_and_inverse_beats_the_mean_action(tmp_path):
    train, test = [hopping_square(index) for index in range(60)], [hopping_square(index) for index in range(100, 110)]
    config = PRESETS["small"]
    only = {name: 0.0 for name in ("text_to_world", "image_to_world", "video_to_world", "policy")}
    modes = ModeWeights(**only, forward_dynamics=0.5, inverse_dynamics=0.5)
    sizes = {"width": 64, "depth": 3, "context_steps": 1, "chunk_steps": 3, "sampling_steps": 4}
    model = replace(config.model, **sizes, modes=modes, action_weight=1.0, image_share=0.0, learning_rate=3e-3)
    fast = {"steps": 420, "warmup_steps": 20, "validate_every": 0, "tensorboard": False, "ema_decay": 0.98, "checkpoint_every": 0}
    config = replace(config, model=model, data=DataConfig(height=PICTURE, width=PICTURE), train=replace(config.train, **fast))
    torch.manual_seed(0)
    world = build(config, measure(train, config.data))
    with RunFolder.create(tmp_path / "run", family="video-diffusion", config={}, replay=["test"], seed=0) as run:
        fit(world, run=run, train_episodes=train, validation_episodes=[], camera=CAMERA, config=config.train)
    protocol = Protocol(context_s=0.1, horizon_s=0.1, report_s=(0.1,), starts_every_s=0.5)
    result = evaluate_open_loop(world, test, camera=CAMERA, mean_frame=average_frame(train, CAMERA), protocol=protocol)
    rows = {(row["metric"], row["subject"]): row for row in result.rows()}
    assert rows["psnr_gain_over_copy_last", "model"]["low"] > 3.0
    assert rows["psnr_gain_over_shuffled_actions", "model"]["low"] > 3.0
    frames = torch.stack([to_model(episode.frames[CAMERA][:10]) for episode in test])
    actions = torch.tensor(np.stack([episode.actions[:9] for episode in test]))
    found = world.inverse_dynamics(frames, seeded(0))
    assert float((found - actions).square().mean()) < 0.3 * float((actions - world.standardise.mean).square().mean())
