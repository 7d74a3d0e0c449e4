"""A Genie world learns from video without actions to move a square, in under a minute: its own actions steer it, a few labels name them."""

from dataclasses import replace

import numpy as np
import torch

from armillary.core import Episode
from armillary.data.shape import DataConfig
from armillary.data.splits import measure
from armillary.evaluate.baselines import average_frame
from armillary.evaluate.controllability import agreement, infer_codes, random_codes, steer
from armillary.evaluate.open_loop import evaluate_open_loop
from armillary.evaluate.result import Protocol
from armillary.train import RunFolder, fit
from armillary.worlds.genie.train import PRESETS, build

CAMERA = "observation.images.view"
PICTURE, SIDE, PIXELS_PER_STEP = 32, 10, 4
WAYS = np.array([(0, 1), (0, -1), (1, 0), (-1, 0)])


def walking_square(index: int, num_steps: int = 24) -> Episode:
    """A white square on grey that steps right, left, down or up (one-hot), within the border and never straight back."""
    draw = np.random.default_rng(index)
    room, last = PICTURE - SIDE + 1, 0
    place, frames = draw.integers(room, size=2), np.full((num_steps, PICTURE, PICTURE, 3), 80, np.uint8)
    ways = np.empty(num_steps, dtype=np.int64)
    for t in range(num_steps):
        frames[t, place[0] : place[0] + SIDE, place[1] : place[1] + SIDE] = 255
        after = place + PIXELS_PER_STEP * WAYS
        open_ways = ((after >= 0) & (after < room)).all(axis=1)
        open_ways[last ^ 1] = False
        ways[t] = last = draw.choice(np.flatnonzero(open_ways))
        place = after[last]
    actions = np.eye(len(WAYS), dtype=np.float32)[ways]
    return Episode(frames={CAMERA: frames}, actions=actions, seconds_per_step=0.1, index=index, content_hash=f"walk {index}")


def test_its_own_actions_steer_it_and_labels_name_them(tmp_path):
    train, test = [walking_square(index) for index in range(80)], [walking_square(index) for index in range(100, 110)]
    widths = {"tokenizer_width": 48, "tokenizer_heads": 2, "action_width": 32, "action_heads": 2, "width": 64, "heads": 2}
    sizes = {"tokenizer_depth": 1, "action_depth": 1, "depth": 2, "levels": (8,) * 8, "context_steps": 2, "num_frames": 4}
    config = PRESETS["default"]
    model = replace(config.model, **widths, **sizes, tokenize_share=0.3, action_share=0.2, label_share=0.06, learning_rate=3e-3)
    config = replace(config, model=model, train=replace(config.train, steps=600, warmup_steps=20, validate_every=0, tensorboard=False))
    torch.manual_seed(0)
    world = build(config, measure(train, DataConfig(height=PICTURE, width=PICTURE)))
    with RunFolder.create(tmp_path / "run", family="genie", config={}, replay=["test"], seed=0) as run:
        fit(world, run=run, train_episodes=train, validation_episodes=[], camera=CAMERA, config=config.train)

    steered = steer(world, test, camera=CAMERA)
    assert steered.delta(1).mean() > 2.0 and (steered.inferred - steered.copy_last)[:, 0].mean() > 2.0

    codes = [infer_codes(world, some, camera=CAMERA) for some in (train[:10], test)]
    truth = [[one.actions[:-1].argmax(1) for one in some] for some in (train[:10], test)]
    told, guessed = (
        agreement((known, truth[0]), (asked, truth[1])).mean() for known, asked in (codes, [random_codes(one, 8) for one in codes])
    )
    assert told > 0.9 and told - guessed > 0.4

    protocol = Protocol(context_s=0.2, horizon_s=0.1, report_s=(0.1,), starts_every_s=0.2)
    result = evaluate_open_loop(world, test, camera=CAMERA, mean_frame=average_frame(train, CAMERA), protocol=protocol)
    rows = {(row["metric"], row["subject"]): row for row in result.rows()}
    assert int(world.labels.count) == 200
    assert rows["psnr_gain_over_copy_last", "model"]["low"] > 0.5
    assert rows["psnr_gain_over_shuffled_actions", "model"]["low"] > 1.0
