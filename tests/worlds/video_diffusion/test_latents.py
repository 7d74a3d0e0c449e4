"""With a tokenizer of another run: read once, never trained, and a chunk of its latents is stepped as honestly as pixels are."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from armillary.core import ConfigError, Episode, Prompt, WorldError, seeded
from armillary.core.check import check_world
from armillary.core.settings import from_plain, to_plain
from armillary.tokenizers import train as tokenizers
from armillary.train import RunFolder, fit
from armillary.train.checkpoint import load_weights, write_tensors
from armillary.worlds.video_diffusion.train import Config, build, complete
from tests.worlds.video_diffusion.small_video import SHAPE, small_batch, small_config

CAMERA = "view"
SIZES = {"rate": "4x8x8", "channels": 2, "multipliers": (2, 2), "blocks": 1, "latent_channels": 4}
CHUNK = {"patch": 1, "context_steps": 5, "chunk_steps": 8}


def tokenizer_run(folder, **changes):
    """A run of one step; its network."""
    config = tokenizers.PRESETS["default"]
    model = replace(config.model, **(SIZES | changes), num_frames=5, crop=0, batch_size=2)
    config = replace(config, model=model, train=replace(config.train, steps=1, validate_every=0, tensorboard=False, workers=0))
    frames = np.random.default_rng(0).integers(0, 256, (12, SHAPE.height, SHAPE.width, 3), np.uint8)
    episode = Episode(frames={CAMERA: frames}, actions=np.zeros((12, 3), np.float32), seconds_per_step=0.1)
    module = tokenizers.build(config, SHAPE)
    recorded = {"config": to_plain(config), "shape": to_plain(SHAPE)}
    with RunFolder.create(folder, family="tokenizer", config=recorded, replay=["test"], seed=0) as run:
        fit(module, run=run, train_episodes=[episode], validation_episodes=[], camera=CAMERA, config=config.train)
    return module.network


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer") / "run"
    return folder, tokenizer_run(folder)


def latent_world(folder, shape=SHAPE, **changes):
    torch.manual_seed(0)
    world = build(complete(small_config(tokenizer=str(folder), **(CHUNK | changes))), shape)
    with torch.no_grad():
        for parameter in world.denoiser.parameters():
            if not parameter.any():
                parameter.normal_(std=0.2)
    world.begin_phase("diffusion")
    return world


def test_it_is_read_once_and_never_trained(given, tmp_path):
    folder, network = given
    shutil.copytree(folder, tmp_path / "run")
    world = latent_world(tmp_path / "run")
    shutil.rmtree(tmp_path / "run")
    world.begin_phase("diffusion")
    batch = small_batch(world)
    latents = network.encode(batch.frames)
    loss = world.loss(batch, seeded(0))
    loss.total.backward()
    assert torch.allclose(world.space.mean, latents.mean((0, 2, 3, 4)), atol=1e-4)
    assert torch.allclose(world.space.std, latents.std((0, 2, 3, 4), correction=0).clamp_min(1e-3), rtol=1e-3)
    before = world.space.mean.clone()
    world.loss(replace(batch, frames=1.0 - batch.frames), seeded(0))
    assert torch.equal(world.space.mean, before)
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in world.space.tokenizer.parameters())
    assert torch.allclose(world.space.to_frames(world.space.to_cells(batch.frames)), network.decode(latents).clamp(0, 1), atol=1e-4)
    write_tensors(tmp_path / "weights.safetensors", dict(world.state_dict()))
    again = build(from_plain(Config, to_plain(complete_config(world))), SHAPE)
    load_weights(again, tmp_path / "weights.safetensors")
    assert bool(again.space.is_filled) and torch.equal(again.space.std, world.space.std)


def complete_config(world) -> Config:
    """The settings of a world that is there, without asking the tokenizer's folder."""
    return Config(model=world.config)


def test_keeps_the_contract(given):
    check_world(latent_world(given[0], chunk_steps=4, context_steps=1))


@torch.no_grad()
def test_a_picture_inside_a_cell_knows_no_later_action(given):
    """Four frames share a cell: each is drawn with the actions up to it, the rest of its cell's being hidden."""
    world = latent_world(given[0])
    batch = small_batch(world, 2)
    prompt = Prompt(batch_size=2, frames=batch.frames[:, :5], actions=batch.actions[:, :4])
    actions = batch.actions.clone()
    before = [world.render(state)["rgb"] for state in world.rollout(world.start(prompt, seeded(0)), actions[:, 4:10], seeded(1))]
    actions[:, 6] += 1.0
    after = [world.render(state)["rgb"] for state in world.rollout(world.start(prompt, seeded(0)), actions[:, 4:10], seeded(1))]
    assert [torch.equal(left, right) for left, right in zip(before, after, strict=True)] == [True, True, False, False, False, False]


@torch.no_grad()
def test_contexts_have_legal_lengths(given):
    """1 + a multiple of 4 frames: of three one is used until there are five; chunks chain, and pieces are filled up."""
    world = latent_world(given[0])
    batch = small_batch(world, 2)
    counts = [int(world.start(Prompt(batch_size=2, frames=batch.frames[:, :n]), seeded(0)).count[0]) for n in (1, 3, 5, 9)]
    assert counts == [1, 3, 5, 5]
    state = world.start(Prompt(batch_size=2, frames=batch.frames[:, :3]), seeded(0))
    assert torch.equal(world.render(state)["rgb"], batch.frames[:, 2])
    last = world.start(Prompt(batch_size=2, frames=batch.frames[:, 2:3]), seeded(0))
    pictures = [world.render(world.step(one, batch.actions[:, 0], seeded(0)))["rgb"] for one in (state, last)]
    assert torch.allclose(*pictures, atol=1e-4)
    states = world.rollout(state, batch.actions[:, :9], seeded(0))
    assert states[-1].count.tolist() == [5, 5] and states[-1].position.tolist() == [1, 1]
    assert world.imagine(Prompt(text=["a"]), seeded(0), steps=15).shape == (1, 15, 3, 16, 24)
    assert world.inverse_dynamics(batch.frames[:, :7], seeded(0)).shape == (2, 6, 3)
    seen = world.observe(states[0], batch.actions[:, 0], batch.frames[:, 0], seeded(0))
    assert seen.count.tolist() == [5, 5] and torch.equal(seen.context[:, :3], batch.frames[:, :3])


def test_others_are_refused(given, tmp_path):
    tokenizer_run(tmp_path / "codes", bottleneck="fsq", levels=(5, 5, 5, 5))
    with pytest.raises(ConfigError, match=r"makes codes \(bottleneck fsq\); diffusion needs plain or gaussian latents"):
        latent_world(tmp_path / "codes")
    with pytest.raises(ConfigError, match=r"1 \+ a multiple of 4"):
        latent_world(given[0], context_steps=4)
    with pytest.raises(ConfigError, match=r"multiples of 16 \(model.patch 2 x 8 pixels a cell\)"):
        latent_world(given[0], patch=2)
    with pytest.raises(WorldError, match="rate 4x8x8"):
        world = latent_world(given[0])
        world.space.to_cells(torch.zeros(1, 3, 3, 16, 24))
