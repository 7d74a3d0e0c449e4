"""Encoders to build on: from a run, from a release, or random; read once, and never needed again."""

import shutil
from dataclasses import replace

import pytest
import torch

from armillary.core import CheckpointError, ConfigError, seeded
from armillary.core.settings import from_plain, to_plain
from armillary.train.checkpoint import load_weights, write_tensors
from armillary.worlds.jepa.action_conditioned_train import PRESETS, Config, build, complete
from armillary.worlds.jepa.frozen_encoder import encoder_sizes, open_encoder
from armillary.worlds.jepa.released import save_release
from armillary.worlds.jepa.vit import EncoderSizes
from armillary.worlds.jepa.vjepa2 import Sizes, VJepa2
from tests.worlds.jepa.small_action_conditioned import ENCODER, PREDICTOR_OF_VIDEO, SHAPE, small_batch, small_config, video_run


def release(folder) -> VJepa2:
    """Write released weights; what they are of."""
    torch.manual_seed(6)
    networks = VJepa2(Sizes(**ENCODER, **PREDICTOR_OF_VIDEO))
    save_release(networks, folder, side=16, num_frames=2)
    return networks


def same(ours: torch.nn.Module, theirs: torch.nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True))


@pytest.mark.parametrize("kind", ["run", "release"])
def test_the_weights_are_those_of_the_source(kind, tmp_path):
    given = video_run(tmp_path / "given").networks if kind == "run" else release(tmp_path / "given")
    config = complete(small_config(encoder=str(tmp_path / "given"), width=96, heads=3, depth=6))
    assert encoder_sizes(config.model) == EncoderSizes(**ENCODER)
    world = build(config, SHAPE)
    assert not same(world.encoder.vit, given.target_encoder)
    world.begin_phase("predict")
    assert same(world.encoder.vit, given.target_encoder)
    frames = small_batch().frames
    expected = given.targets(given.normalise(frames[:, :1]))
    torch.testing.assert_close(world.encode(frames)[:, 0], expected, atol=1e-6, rtol=0)


def test_a_run_goes_on_and_is_used_after_the_encoder_is_gone(tmp_path):
    video_run(tmp_path / "given")
    config = complete(small_config(encoder=str(tmp_path / "given")))
    world = build(config, SHAPE)
    world.begin_phase("predict")
    write_tensors(tmp_path / "weights.safetensors", world.state_dict())
    shutil.rmtree(tmp_path / "given")
    again = build(from_plain(Config, to_plain(config)), SHAPE)
    load_weights(again, tmp_path / "weights.safetensors")
    again.begin_phase("predict")
    assert same(again, world)
    batch = small_batch()
    assert torch.equal(again.loss(batch, seeded(0)).total, world.loss(batch, seeded(0)).total)
    with pytest.raises(CheckpointError, match="given"):
        build(config, SHAPE).begin_phase("predict")


def test_random_is_what_the_seed_drew(tmp_path):
    config = small_config()
    assert complete(config) == config
    worlds = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        worlds.append(build(config, SHAPE))
        before = {name: tensor.clone() for name, tensor in worlds[-1].encoder.state_dict().items()}
        worlds[-1].begin_phase("predict")
        assert all(torch.equal(tensor, before[name]) for name, tensor in worlds[-1].encoder.state_dict().items())
    assert same(worlds[0].encoder, worlds[1].encoder) and not same(worlds[0].encoder, worlds[2].encoder)


def test_a_relative_folder_is_recorded_as_the_place_it_is(tmp_path, monkeypatch):
    video_run(tmp_path / "given")
    monkeypatch.chdir(tmp_path)
    assert complete(small_config(encoder="given")).model.encoder == str(tmp_path / "given")


def test_what_is_no_encoder_is_refused_before_a_run_is_made(tmp_path):
    with pytest.raises(ConfigError, match=r"model.encoder is empty: give the folder of a finished run of vjepa2.*random"):
        complete(PRESETS["default"])
    video_run(tmp_path / "other", family="vmc")
    with pytest.raises(ConfigError, match=r"a run of vmc, which has no such encoder; give the folder of a finished run of vjepa2"):
        open_encoder(tmp_path / "other")
    video_run(tmp_path / "half", steps=10, done=4)
    with pytest.raises(ConfigError, match=r"stopped after step 4 of 10; finish it with `armillary resume"):
        open_encoder(tmp_path / "half")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match=r"empty holds no encoder.*give the folder of a finished run of vjepa2"):
        open_encoder(tmp_path / "empty")
    with pytest.raises(CheckpointError, match=r"nowhere holds no encoder"):
        open_encoder(tmp_path / "nowhere")


def test_sizes_that_are_not_the_encoders_are_named(tmp_path):
    video_run(tmp_path / "given")
    config = small_config(encoder=str(tmp_path / "given"))
    world = build(replace(config, model=replace(config.model, width=24, depth=2)), SHAPE)
    with pytest.raises(ConfigError, match=r"other sizes; give --model.depth 1 --model.width 12"):
        world.begin_phase("predict")
