"""Training of tokenizers: what a loss is made of, what is shown, which settings are refused."""

from dataclasses import replace
from itertools import product

import pytest
import torch

from armillary.core import Batch, ConfigError, WorldError, seeded
from armillary.data.shape import DataShape
from armillary.tokenizers.train import PRESETS, Config, ModelConfig, TrainedTokenizer, build

TINY = {"channels": 2, "blocks": 1, "num_frames": 5, "linear_path": True}
SHAPE = {"action_size": 1, "action_mean": (0.0,), "action_std": (1.0,), "seconds_per_step": 0.1, "has_rewards": False}


def made(**settings) -> TrainedTokenizer:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return TrainedTokenizer(ModelConfig(**(TINY | settings)))


def batch(count: int = 2, side: int = 16) -> Batch:
    return Batch(frames=torch.rand(count, 5, 3, side, side, generator=seeded(0)), actions=torch.zeros(count, 5, 1))


def test_decibels_are_the_logarithm_of_each_frames_squared_error():
    tokenizer = made().eval()
    loss, frames = tokenizer.loss(batch(), seeded(0)), batch().frames
    squared = (tokenizer.network.decode(tokenizer.network.encode(frames)) - frames).square().mean((2, 3, 4))
    torch.testing.assert_close(loss.total, (squared + 1e-3).log().mean())
    torch.testing.assert_close(loss.parts["psnr"], -10 * squared.log10().mean())
    absolute = made(loss="absolute").eval().loss(batch(), seeded(0)).total
    torch.testing.assert_close(absolute, (tokenizer.network.decode(tokenizer.network.encode(frames)) - frames).abs().mean())


def test_a_gaussian_pays_for_its_nats_and_draws_in_training_alone():
    tokenizer = made(bottleneck="gaussian", divergence_weight=0.5).eval()
    loss = tokenizer.loss(batch(), seeded(0))
    nats = tokenizer.network.posterior(batch().frames).divergence().mean() / (16 * 2 * 2 * 2)
    torch.testing.assert_close(loss.parts["divergence"], 0.5 * nats.detach())
    torch.testing.assert_close(loss.total, loss.parts["divergence"] + loss.parts["reconstruction"])
    assert tokenizer.loss(batch(), seeded(1)).total == loss.total
    tokenizer.train()
    assert len({tokenizer.loss(batch(), seeded(seed)).total.item() for seed in range(4)}) > 1


def test_a_part_of_the_picture_is_shown_in_training_and_all_of_it_in_validation():
    tokenizer, seen = made(crop=8), []
    tokenizer.network.register_forward_pre_hook(lambda *_: None)
    read = tokenizer.network.read
    tokenizer.network.read = lambda frames, memory: seen.append(frames) or read(frames, memory)
    tokenizer.loss(batch(8), seeded(3))
    tokenizer.eval().loss(batch(8), seeded(3))
    assert [frames.shape[-2:] for frames in seen] == [(8, 8), (16, 16)]
    cuts = [batch(8).frames[..., top : top + 8, left : left + 8] for top in range(9) for left in range(9)]
    turns = [
        lambda one, how=how: torch.flip(one.mT if how[3] else one, [axis for axis, yes in zip((3, 2, 0), how, strict=False) if yes])
        for how in product((False, True), repeat=4)
    ]
    found = [[any(torch.equal(seen[0][row], turn(cut[row])) for cut in cuts) for turn in turns] for row in range(8)]
    assert all(sum(row) == 1 for row in found)
    assert len({row.index(True) for row in found}) > 3


def test_what_is_computed_again_gives_the_same_gradients_and_holds_less():
    found, held = [], []
    for recompute in (False, True):
        tokenizer, kept = made(recompute=recompute, channels=16, blocks=3), []
        counted = torch.autograd.graph.saved_tensors_hooks(lambda one, kept=kept: kept.append(one.numel()) or one, lambda one: one)
        with counted:
            loss = tokenizer.loss(batch(), seeded(0)).total
        loss.backward()
        found.append([parameter.grad for parameter in tokenizer.parameters()])
        held.append(sum(kept))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)
    assert held[1] < 0.6 * held[0]


def test_codes_of_vq_move_after_a_step():
    tokenizer = made(bottleneck="vq", num_codes=16)
    before = tokenizer.network.quantiser.vectors.clone()
    loss = tokenizer.loss(batch(), seeded(0))
    assert "commitment" in loss.parts and torch.equal(tokenizer.network.quantiser.vectors, before)
    tokenizer.after_step()
    assert not torch.equal(tokenizer.network.quantiser.vectors, before)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss": "perceptual"}, "decibels, absolute"),
        ({"crop": 12}, "multiple of 8, received 12"),
        ({"divergence_weight": -1.0}, ">= 0, received -1"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        ModelConfig(**(TINY | settings))


def test_lengths_and_pictures_that_do_not_fit_are_refused_before_training():
    with pytest.raises(WorldError, match="1 \\+ a multiple of 4 frames"):
        ModelConfig(**(TINY | {"num_frames": 4}))
    with pytest.raises(WorldError, match="multiples of 8"):
        build(Config(model=ModelConfig(**TINY)), DataShape(height=20, width=16, **SHAPE))


def test_presets_can_be_built():
    for name, preset in PRESETS.items():
        with torch.device("meta"):
            tokenizer = build(preset, DataShape(height=128, width=128, **SHAPE))
        assert tokenizer.config.discrete == name.endswith("discrete")
    assert replace(PRESETS["small"].model, rate="8x16x16").num_latents(17) == 3
