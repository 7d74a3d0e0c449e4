"""V-M-C learns a small world in under a minute: better than copying the last frame, and by listening to its actions."""

from dataclasses import replace

import numpy as np
import torch

from armillary.core import to_model
from armillary.data.shape import DataConfig
from armillary.data.splits import measure
from armillary.evaluate.open_loop import evaluate_open_loop
from armillary.evaluate.result import Protocol
from armillary.train.loop import fit
from armillary.train.run import RunFolder
from armillary.worlds.small.record import CAMERA, record_episodes
from armillary.worlds.vmc.train import PRESETS, build


def test_beats_copy_last_and_needs_its_actions(tmp_path):
    episodes = record_episodes("pusher", num_episodes=36, num_steps=60, seed=0)
    train, validation, test = episodes[:26], episodes[26:28], episodes[28:]
    config = PRESETS["default"]
    model = replace(config.model, context_steps=2, dream_steps=8, latent_size=16, hidden_size=128, other_looks=0.0, vision_share=0.1)
    config = replace(config, model=model, train=replace(config.train, steps=260, warmup_steps=20, validate_every=0, tensorboard=False))
    torch.manual_seed(0)
    world = build(config, measure(train, DataConfig()))
    with RunFolder.create(tmp_path / "run", family="vmc", config={}, replay=["test"], seed=0) as run:
        fit(world, run=run, train_episodes=train, validation_episodes=validation, camera=CAMERA, config=config.train)
    mean = np.mean([to_model(episode.frames[CAMERA]).mean(0).numpy() for episode in train], axis=0).transpose(1, 2, 0)
    protocol = Protocol(context_s=0.2, horizon_s=0.8, report_s=(0.8,), starts_every_s=0.8)
    result = evaluate_open_loop(world, test, camera=CAMERA, mean_frame=mean, protocol=protocol)
    rows = {(row["metric"], row["subject"]): row for row in result.rows()}
    assert rows["psnr_gain_over_copy_last", "model"]["low"] > 1.0
    assert rows["psnr_gain_over_shuffled_actions", "model"]["low"] > 1.0
