"""An autoregressive world learns to move a square in under a minute: better than copying the last frame, by listening to its actions."""

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
from armillary.worlds.autoregressive.train import PRESETS, build

CAMERA = "observation.images.view"
PICTURE, SIDE, PIXELS_PER_STEP = 32, 14, 5


def sliding_square(index: int, num_steps: int = 30) -> Episode:
    """A white square of SIDE pixels on grey; an action in [-1, 1]^2 moves it by up to PIXELS_PER_STEP, the border stops it."""
    draw = np.random.default_rng(index)
    place = draw.uniform(0, PICTURE - SIDE, size=2)
    frames, actions = np.full((num_steps, PICTURE, PICTURE, 3), 80, np.uint8), np.empty((num_steps, 2), np.float32)
    for t in range(num_steps):
        row, column = place.round().astype(int)
        frames[t, row : row + SIDE, column : column + SIDE] = 255
        actions[t] = draw.uniform(-1, 1, size=2)
        place = np.clip(place + PIXELS_PER_STEP * actions[t], 0, PICTURE - SIDE)
    return Episode(frames={CAMERA: frames}, actions=actions, seconds_per_step=0.1, index=index, content_hash=f"square {index}")


def test_beats_copy_last_and_needs_its_actions(tmp_path):
    train, test = [sliding_square(index) for index in range(80)], [sliding_square(index) for index in range(100, 110)]
    config = PRESETS["default"]
    codes = {"channels": 8, "multipliers": (2, 2), "blocks": 1, "latent_channels": 3, "levels": (8, 8, 8)}
    sizes = {
        "width": 64,
        "depth": 2,
        "heads": 2,
        "context_steps": 2,
        "dream_steps": 5,
        "detail_width": 8,
        "tokenize_share": 0.4,
        "tokenize_batch_size": 8,
    }
    model = replace(config.model, **codes, **sizes, temperature=0.0)
    config = replace(config, model=model, train=replace(config.train, steps=700, warmup_steps=20, validate_every=0, tensorboard=False))
    torch.manual_seed(0)
    world = build(config, measure(train, DataConfig(height=PICTURE, width=PICTURE)))
    with RunFolder.create(tmp_path / "run", family="autoregressive", config={}, replay=["test"], seed=0) as run:
        fit(world, run=run, train_episodes=train, validation_episodes=[], camera=CAMERA, config=config.train)
    protocol = Protocol(context_s=0.2, horizon_s=0.5, report_s=(0.5,), starts_every_s=0.5)
    result = evaluate_open_loop(world, test, camera=CAMERA, mean_frame=average_frame(train, CAMERA), protocol=protocol)
    rows = {(row["metric"], row["subject"]): row for row in result.rows()}
    assert rows["psnr_gain_over_copy_last", "model"]["low"] > 1.0
    assert rows["psnr_gain_over_shuffled_actions", "model"]["low"] > 1.0
