"""Codes drawn anew: the codes are the given tokenizer's, a film is drawn in pieces, and what was lost is learned."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from armillary.core import Batch, ConfigError, DataError, WorldError, seeded, to_model
from armillary.evaluate.video import psnr
from armillary.worlds.small.record import CAMERA, record_episodes
from armillary.worlds.video_diffusion.code_decoder import CodeDecoder, ModelConfig
from armillary.worlds.video_diffusion.code_decoder_train import Config, build, complete
from tests.worlds.video_diffusion.small_video import SHAPE
from tests.worlds.video_diffusion.test_latents import tokenizer_run

CODES = {"bottleneck": "fsq", "latent_channels": 3, "levels": (5, 4, 3)}
SIZES = {"width": 24, "depth": 2, "heads": 2, "rank": 4, "patch": 8, "sampling_steps": 2, "batch_size": 2}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A discrete tokenizer of single frames, one of four at once, and a continuous one of four at once."""
    folder = tmp_path_factory.mktemp("tokenizers")
    tokenizer_run(folder / "frames", rate="8x8", **CODES)
    tokenizer_run(folder / "clips", **CODES)
    tokenizer_run(folder / "latents")
    return folder


def decoder_of(runs, codes: str, **changes) -> CodeDecoder:
    torch.manual_seed(0)
    config = complete(Config(model=ModelConfig(**(SIZES | {"codes": str(runs / codes), "num_frames": 5} | changes))))
    decoder = build(config, SHAPE)
    with torch.no_grad():
        for parameter in decoder.transformer.parameters():
            if not parameter.any():
                parameter.normal_(std=0.2)
    decoder.begin_phase("diffusion")
    return decoder.eval()


def frames_of(count: int = 5) -> torch.Tensor:
    return torch.rand(2, count, 3, SHAPE.height, SHAPE.width, generator=seeded(3))


@pytest.mark.parametrize("codes", ["frames", "clips"])
@pytest.mark.parametrize("tokenizer", ["", "latents"])
def test_every_kind_of_codes_becomes_pixels_and_latents(runs, codes, tokenizer):
    space = {"tokenizer": str(runs / tokenizer), "patch": 1} if tokenizer else {}
    decoder = decoder_of(runs, codes, **space)
    told = decoder.tokenizer.codes(frames_of(9))
    assert told.shape[1] == (9 if codes == "frames" else 3)
    drawn = decoder.decode(told, seeded(0))
    assert drawn.shape == frames_of(9).shape and drawn.min() >= 0 and drawn.max() <= 1
    assert torch.equal(drawn, decoder.decode(told, seeded(0)))
    assert not torch.equal(drawn, decoder.decode(told, seeded(1)))


def test_a_film_is_drawn_in_pieces_that_know_nothing_of_one_another(runs):
    decoder = decoder_of(runs, "frames")
    told = decoder.tokenizer.codes(frames_of(10))
    other = told.clone()
    other[:, 7] = (other[:, 7] + 1) % decoder.tokenizer.discrete().num_codes
    first, second = (decoder.decode(codes, seeded(0)) for codes in (told, other))
    assert torch.equal(first[:, :5], second[:, :5])
    assert not torch.equal(first[:, 5], second[:, 5])


def test_codes_of_another_tokenizer_are_known_for_others(runs):
    decoder, other = decoder_of(runs, "frames"), decoder_of(runs, "clips")
    assert decoder.reads(decoder_of(runs, "frames").tokenizer)
    assert not decoder.reads(other.tokenizer)
    strange = decoder_of(runs, "frames").tokenizer
    with torch.no_grad():
        strange.encoder.project.weight[0, 0] += 1e-3
    assert not decoder.reads(strange)


def test_wrong_codes_and_settings(runs):
    decoder = decoder_of(runs, "frames")
    with pytest.raises(WorldError, match="2 rows, 3 columns"):
        decoder.decode(torch.zeros(1, 2, 3, 3, dtype=torch.long), seeded(0))
    with pytest.raises(DataError, match="codes must lie between"):
        decoder.decode(torch.full((1, 2, 2, 3), 60), seeded(0))
    with pytest.raises(ConfigError, match=r"give --model.codes RUN"):
        build(Config(), SHAPE)
    with pytest.raises(ConfigError, match="makes no codes"):
        build(complete(Config(model=ModelConfig(codes=str(runs / "latents")))), SHAPE)
    with pytest.raises(ConfigError, match=r"1 \+ a multiple of 4"):
        build(complete(Config(model=ModelConfig(codes=str(runs / "clips"), num_frames=4))), SHAPE)
    with pytest.raises(ConfigError, match="makes codes"):
        build(complete(Config(model=ModelConfig(codes=str(runs / "frames"), tokenizer=str(runs / "clips")))), SHAPE)


def test_only_the_transformer_learns(runs):
    decoder = decoder_of(runs, "frames").train()
    batch = Batch(frames=frames_of(), actions=torch.zeros(2, 5, 3), seconds_per_step=0.1)
    decoder.loss(batch, seeded(0)).total.backward()
    assert all(parameter.grad is not None for parameter in decoder.transformer.enter.parameters())
    assert not any(parameter.requires_grad for parameter in decoder.tokenizer.parameters())


def test_what_codes_lose_is_learned(tmp_path):
    """Codes of a discrete cosine transform with coarse levels, of the pusher: held-out pictures are nearer the truth."""
    tokenizer_run(tmp_path / "codes", rate="8x8", linear_path=True, bottleneck="fsq", latent_channels=5, levels=(8, 5, 5, 3, 3))
    model = ModelConfig(codes=str(tmp_path / "codes"), width=48, depth=2, heads=2, rank=8, num_frames=2, learning_rate=3e-3)
    torch.manual_seed(0)
    decoder = build(complete(Config(model=model)), replace(SHAPE, height=32, width=32))
    decoder.begin_phase("diffusion")
    episodes = record_episodes(num_episodes=12, num_steps=24, size=32)
    frames = to_model(np.stack([episode.frames[CAMERA] for episode in episodes]))
    optimizer = torch.optim.AdamW(decoder.transformer.parameters(), lr=model.learning_rate)
    rng = seeded(0)
    for step in range(160):
        for group in optimizer.param_groups:
            group["lr"] = model.learning_rate * (1.0 - step / 160)
        start = torch.randint(0, 23, (16,), generator=rng)
        chosen = frames[torch.randint(0, 10, (16,), generator=rng)[:, None], start[:, None] + torch.arange(2)]
        optimizer.zero_grad()
        decoder.loss(Batch(frames=chosen, actions=torch.zeros(16, 2, 3), seconds_per_step=0.1), rng).total.backward()
        optimizer.step()
    decoder.eval()
    real, codes = frames[10:].flatten(0, 1), decoder.tokenizer.codes(frames[10:])
    with torch.no_grad():
        plain = decoder.tokenizer.decode_codes(codes).clamp(0, 1).flatten(0, 1)
    samples = torch.stack([decoder.decode(codes, seeded(seed)).flatten(0, 1) for seed in range(4)])
    gain = float((psnr(samples.mean(0), real) - psnr(plain, real)).mean())
    assert gain > 1.0
