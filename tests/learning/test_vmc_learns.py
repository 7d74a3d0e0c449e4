"""V-M-C learns to move a square in under a minute: better than copying the last frame, and by listening to its actions."""

from dataclasses import replace

import numpy as np
import torch

from armillary.core import Episode
from armillary.data.shape import DataConfig
from armillary.data.splits import measure
from armillary.evaluate.baselines import average_frame
from armillary.evaluate.open_loop import evaluate_open_loop
from armillary.evaluate.result import Protocol
from armillary.train import RunFolder, fit
from armillary.worlds.vmc.train import PRESETS, build

CAMERA = "observation.images.view"
SIDE, PIXELS_PER_STEP = 28, 9


def sliding_square(index: int, num_steps: int = 30) -> Episode:
    """A white square of SIDE pixels on grey; an action in [-1, 1]^2 moves it by up to PIXELS_PER_STEP, the border stops it."""
    draw = np.random.default_rng(index)
    place = draw.uniform(0, 64 - SIDE, size=2)
    frames, actions = np.full((num_steps, 64, 64, 3), 80, np.uint8), np.empty((num_steps, 2), np.float32)
    for t in range(num_steps):
        row, column = place.round().astype(int)
        frames[t, row : row + SIDE, column : column + SIDE] = 255
        actions[t] = draw.uniform(-1, 1, size=2)
        place = np.clip(place + PIXELS_PER_STEP * actions[t], 0, 64 - SIDE)
    return Episode(frames={CAMERA: frames}, actions=actions, seconds_per_step=0.1, index=index, content_hash=f"square {index}")


def test_beats_copy_last_and_needs_its_actions(tmp_path):
    train, test = [sliding_square(index) for index in range(60)], [sliding_square(index) for index in range(100, 110)]
    config = PRESETS["default"]
    sizes = {"members": 1, "context_steps": 2, "dream_steps": 5, "latent_size": 16, "hidden_size": 128, "vision_batch_size": 8}
    model = replace(config.model, **sizes, other_looks=0.0, vision_share=0.4, learning_rate=3e-3)
    config = replace(config, model=model, train=replace(config.train, steps=120, warmup_steps=10, validate_every=0, tensorboard=False))
    torch.manual_seed(0)
    world = build(config, measure(train, DataConfig()))
    with RunFolder.create(tmp_path / "run", family="vmc", config={}, replay=["test"], seed=0) as run:
        fit(world, run=run, train_episodes=train, validation_episodes=[], camera=CAMERA, config=config.train)
    protocol = Protocol(context_s=0.2, horizon_s=0.5, report_s=(0.5,), starts_every_s=0.5)
    result = evaluate_open_loop(world, test, camera=CAMERA, mean_frame=average_frame(train, CAMERA), protocol=protocol)
    rows = {(row["metric"], row["subject"]): row for row in result.rows()}
    assert rows["psnr_gain_over_copy_last", "model"]["low"] > 1.0
    assert rows["psnr_gain_over_shuffled_actions", "model"]["low"] > 1.0
