"""A tokenizer of another run: read once, never trained, and not needed again."""

import shutil
from dataclasses import replace

import pytest
import torch

from armillary.core import CheckpointError, ConfigError, Episode, seeded
from armillary.core.settings import from_plain, to_plain
from armillary.tokenizers import train as tokenizers
from armillary.train import RunFolder, fit
from armillary.train.checkpoint import load_weights, write_tensors
from armillary.worlds.autoregressive.train import Config, build, complete
from tests.worlds.autoregressive.small_autoregressive import SHAPE, small_batch, small_config

CAMERA = "view"
SIZES = {"rate": "8x8", "channels": 4, "multipliers": (2, 4), "bottleneck": "fsq", "latent_channels": 2, "levels": (5, 5)}


def tokenizer_run(folder, *, family: str = "tokenizer", steps: int = 1):
    """A run of `steps` steps that has done one; its network."""
    config = tokenizers.PRESETS["default"]
    model = replace(config.model, **SIZES, num_frames=1, batch_size=2)
    config = replace(config, model=model, train=replace(config.train, steps=1, validate_every=0, tensorboard=False, workers=0))
    recorded = {"config": to_plain(replace(config, train=replace(config.train, steps=steps))), "shape": to_plain(SHAPE)}
    frames = (small_batch().frames.movedim(2, -1).flatten(0, 1) * 255).byte().numpy()
    episode = Episode(frames={CAMERA: frames}, actions=torch.zeros(len(frames), 3).numpy(), seconds_per_step=0.1)
    module = tokenizers.build(config, SHAPE)
    with RunFolder.create(folder, family=family, config=recorded, replay=["test"], seed=0) as run:
        fit(module, run=run, train_episodes=[episode], validation_episodes=[], camera=CAMERA, config=config.train)
    return module.network


def test_it_is_read_once_and_never_trained(tmp_path):
    given = tokenizer_run(tmp_path / "given")
    config = complete(small_config(tokenizer=str(tmp_path / "given")))
    assert config.model.network() == given.config
    world, frames = build(config, SHAPE), small_batch().frames
    world.begin_phase("tokenize")
    assert torch.equal(world.tokenizer.codes(frames), given.codes(frames))
    world.loss(small_batch(), seeded(0)).total.backward()
    assert all(parameter.grad is None for parameter in world.tokenizer.parameters())
    assert all(parameter.grad is not None for parameter in world.detail.parameters())
    write_tensors(tmp_path / "weights.safetensors", world.state_dict())
    shutil.rmtree(tmp_path / "given")
    again = build(from_plain(Config, to_plain(config)), SHAPE)
    load_weights(again, tmp_path / "weights.safetensors")
    again.begin_phase("predict")
    assert torch.equal(again.tokenizer.codes(frames), given.codes(frames))
    with pytest.raises(CheckpointError, match="given"):
        build(config, SHAPE).begin_phase("tokenize")


def test_what_is_no_finished_tokenizer_is_refused(tmp_path):
    tokenizer_run(tmp_path / "other", family="vmc")
    tokenizer_run(tmp_path / "begun", steps=9)
    with pytest.raises(ConfigError, match="a run of vmc"):
        complete(small_config(tokenizer=str(tmp_path / "other")))
    with pytest.raises(ConfigError, match="stopped after step 1 of 9"):
        complete(small_config(tokenizer=str(tmp_path / "begun")))
    with pytest.raises(CheckpointError, match="nowhere"):
        complete(small_config(tokenizer=str(tmp_path / "nowhere")))


def test_sizes_that_are_not_its_own_are_refused(tmp_path):
    tokenizer_run(tmp_path / "given")
    world = build(small_config(tokenizer=str(tmp_path / "given")), SHAPE)
    with pytest.raises(ConfigError, match=r"--model.latent-channels 2 .*--model.levels"):
        world.begin_phase("predict")
