"""A diffusion world learns to move a square in under a minute: single samples beat copying the last frame, and need their actions."""

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
from armillary.worlds.diffusion.train import PRESETS, build

CAMERA = "observation.images.view"
PICTURE, SIDE, PIXELS_PER_STEP = 32, 12, 4


def sliding_square(index: int, num_steps: int = 30) -> Episode:
    """A white square on grey; an action in [-1, 1]^2 moves it by up to PIXELS_PER_STEP, and none is taken that would meet the border."""
    draw = np.random.default_rng(index)
    room = PICTURE - SIDE
    place = draw.uniform(0, room, size=2)
    frames, actions = np.full((num_steps, PICTURE, PICTURE, 3), 80, np.uint8), np.empty((num_steps, 2), np.float32)
    for t in range(num_steps):
        row, column = place.round().astype(int)
        frames[t, row : row + SIDE, column : column + SIDE] = 255
        action = draw.uniform(-1, 1, size=2)
        stays = np.abs(place + PIXELS_PER_STEP * action - room / 2) <= room / 2
        actions[t] = np.where(stays, action, -action)
        place = place + PIXELS_PER_STEP * actions[t]
    return Episode(frames={CAMERA: frames}, actions=actions, seconds_per_step=0.1, index=index, content_hash=f"square {index}")


def test_samples_beat_copy_last_and_need_their_actions(tmp_path):
    train, test = [sliding_square(index) for index in range(60)], [sliding_square(index) for index in range(100, 110)]
    config = PRESETS["default"]
    sizes = {"chunk_steps": 5, "frames_per_window": 2, "read_size": 96, "width": 64, "depth": 2, "sampling_steps": 4, "batch_size": 12}
    model = replace(config.model, **sizes, other_looks=0.0, guess_share=0.7, guess_learning_rate=3e-3, learning_rate=2e-3)
    fast = {"steps": 180, "warmup_steps": 10, "validate_every": 0, "tensorboard": False, "ema_decay": 0.98}
    config = replace(config, model=model, data=DataConfig(height=PICTURE, width=PICTURE), train=replace(config.train, **fast))
    torch.manual_seed(0)
    world = build(config, measure(train, config.data))
    with RunFolder.create(tmp_path / "run", family="diffusion", config={}, replay=["test"], seed=0) as run:
        fit(world, run=run, train_episodes=train, validation_episodes=[], camera=CAMERA, config=config.train)
    protocol = Protocol(context_s=0.2, horizon_s=0.5, report_s=(0.5,), starts_every_s=0.6)
    result = evaluate_open_loop(world, test, camera=CAMERA, mean_frame=average_frame(train, CAMERA), protocol=protocol)
    rows = {(row["metric"], row["subject"]): row for row in result.rows()}
    assert rows["psnr_gain_over_copy_last", "model"]["low"] > 1.5
    assert rows["psnr_gain_over_shuffled_actions", "model"]["low"] > 3.0
