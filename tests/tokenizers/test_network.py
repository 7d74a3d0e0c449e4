"""Lengths, sizes, causality and streaming of the tokenizer's network, at every rate."""

import copy
import functools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from armillary.core import ConfigError, WorldError, seeded
from armillary.tokenizers.config import PRESETS, TokenizerConfig
from armillary.tokenizers.network import VideoAutoencoder
from armillary.tokenizers.streaming import decode_chunk, encode_chunk

RATES = ("4x8x8", "8x8x8", "8x16x16", "8x8", "16x16")


@functools.cache
def made(rate: str, **changed) -> VideoAutoencoder:
    """Random weights at which every part matters: norms and biases are not left as they begin."""
    config = TokenizerConfig(rate=rate, channels=2, latent_channels=3, attention_levels=(1,), blocks=1, **changed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = VideoAutoencoder(config)
        for parameter in network.parameters():
            parameter.data += 0.03 * torch.randn(parameter.shape)
    return network.eval()


def video(frames: int, seed: int = 1) -> torch.Tensor:
    return torch.rand(2, frames, 3, 16, 32, generator=seeded(seed))


@pytest.mark.parametrize("rate", RATES)
@torch.no_grad()
def test_every_legal_length_and_back(rate):
    network = made(rate)
    time, space = network.config.time_rate, network.config.space_rate
    for count in range(4):
        frames = video(1 + count * time)
        latents = network.encode(frames)
        assert latents.shape == (2, 3, 1 + count, 16 // space, 32 // space)
        assert network.config.num_latents(frames.shape[1]) == 1 + count
        assert network.decode(latents).shape == frames.shape


@pytest.mark.parametrize("rate", RATES)
@torch.no_grad()
def test_a_changed_frame_changes_its_own_latent_and_none_before(rate):
    network = copy.deepcopy(made(rate)).double()
    time = network.config.time_rate
    frames = video(1 + 2 * time).double()
    latents = network.encode(frames)
    for frame in range(frames.shape[1]):
        own = (frame + time - 1) // time
        changed = frames.clone()
        changed[:, frame] = 1.0 - changed[:, frame]
        after = network.encode(changed)
        torch.testing.assert_close(after[:, :, :own], latents[:, :, :own], atol=1e-12, rtol=0)
        assert (after[:, :, own] - latents[:, :, own]).abs().max() > 1e-7, frame
        if not network.config.in_time:
            torch.testing.assert_close(after[:, :, own + 1 :], latents[:, :, own + 1 :], atol=1e-12, rtol=0)


@pytest.mark.parametrize("rate", RATES)
@torch.no_grad()
def test_a_changed_latent_changes_no_frame_before_its_own(rate):
    network = copy.deepcopy(made(rate)).double()
    time, latents = network.config.time_rate, torch.randn(1, 3, 4, 2, 2, generator=seeded(2), dtype=torch.float64)
    frames = network.decode(latents)
    for index in range(4):
        changed = latents.clone()
        changed[:, :, index] += 1.0
        after, own = network.decode(changed), max(0, 1 + (index - 1) * time)
        torch.testing.assert_close(after[:, :own], frames[:, :own], atol=1e-12, rtol=0)
        assert (after[:, own] - frames[:, own]).abs().max() > 1e-7


@torch.no_grad()
def test_an_image_is_the_first_frame_of_a_video():
    network, frames = made("8x8x8"), video(17)
    torch.testing.assert_close(network.encode(frames[:, :1]), network.encode(frames)[:, :, :1], atol=1e-6, rtol=0)


@pytest.mark.parametrize("rate", RATES)
@given(sizes=st.lists(st.integers(1, 3), min_size=1, max_size=3))
@settings(max_examples=5)
@torch.no_grad()
def test_chunks_are_the_whole(rate, sizes):
    """`sizes` count latents, the first of which is one frame."""
    network = made(rate)
    time, total = network.config.time_rate, sum(sizes)
    frames = video(1 + (total - 1) * time)
    latents, state, parts = network.encode(frames), None, []
    for chunk in frames.split([1 + (sizes[0] - 1) * time, *(size * time for size in sizes[1:])], dim=1):
        part, state = encode_chunk(network, chunk, state)
        parts.append(part)
    torch.testing.assert_close(torch.cat(parts, dim=2), latents, atol=1e-5, rtol=0)
    state, parts = None, []
    for chunk in latents.split(sizes, dim=2):
        part, state = decode_chunk(network, chunk, state)
        parts.append(part)
    torch.testing.assert_close(torch.cat(parts, dim=1), network.decode(latents), atol=1e-5, rtol=0)


@torch.no_grad()
def test_a_stream_leaves_the_state_that_it_was_given_and_branches():
    network, frames = made("4x8x8"), video(9)
    _, state = encode_chunk(network, frames[:, :5])
    kept = [tensor.clone() for tensor in state.layers]
    expected, _ = encode_chunk(network, frames[:, 5:], state)
    assert all(torch.equal(a, b) for a, b in zip(kept, state.layers, strict=True))
    again, _ = encode_chunk(network, frames[[1], 5:], state.rows([1]))
    torch.testing.assert_close(again, expected[[1]], atol=1e-6, rtol=0)


@torch.no_grad()
def test_illegal_lengths_and_sizes_say_what_is_legal():
    network = made("8x8x8")
    for frames in (0, 2, 8, 16):
        with pytest.raises(WorldError, match=rf"1 \+ a multiple of 8 frames \(1, 9, 17, ...\), received {frames};"):
            network.encode(video(frames))
    with pytest.raises(WorldError, match=r"sides in multiples of 8 .* received 3 channels, 12 x 32"):
        network.encode(video(9)[..., :12, :])
    with pytest.raises(WorldError, match=r"received 4 channels, 16 x 32"):
        network.encode(torch.rand(1, 9, 4, 16, 32))
    with pytest.raises(WorldError, match=r"3 channels, times, .* received \(1, 5, 2, 2, 2\)"):
        network.decode(torch.rand(1, 5, 2, 2, 2))
    with pytest.raises(WorldError, match=r"received \(1, 3, 0, 2, 2\)"):
        network.decode(torch.rand(1, 3, 0, 2, 2))
    _, state = encode_chunk(network, video(9))
    with pytest.raises(WorldError, match=r"a later chunk of a stream .* a multiple of 8 frames \(8, 16, 24, ...\), received 9"):
        encode_chunk(network, video(9), state)
    with pytest.raises(WorldError, match=r"\(2, 16, 16\) cannot follow one of \(2, 16, 32\)"):
        encode_chunk(network, video(8)[..., :16], state)
    with pytest.raises(WorldError, match=r"\(1, 16, 32\) cannot follow one of \(2, 16, 32\)"):
        encode_chunk(network, video(8)[:1], state)
    with pytest.raises(WorldError, match="another network"):
        encode_chunk(made("8x8x8", multipliers=(1, 1, 1)), video(8), state)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rate": "4x8x16"}, "both sides equal"),
        ({"rate": "fast"}, "received 'fast'"),
        ({"rate": "6x8x8"}, "powers of two"),
        ({"rate": "2x8x8"}, "cannot be made of patch = 4"),
        ({"rate": "4x2x2"}, "cannot be made"),
        ({"rate": "16x8x8"}, "cannot be made"),
        ({"rate": "8x32x32"}, "cannot be made"),
        ({"rate": "8x8x8", "multipliers": (2, 4)}, "more multipliers"),
        ({"patch": 3}, "powers of two"),
        ({"bottleneck": "laplace"}, "plain, gaussian"),
        ({"attention_levels": (3,)}, r"0 to 2, received \(3,\)"),
        ({"multipliers": ()}, "at least one"),
        ({"channels": 0}, "1 or more"),
    ],
)
def test_settings_that_do_not_hold_together_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        TokenizerConfig(**settings)


@pytest.mark.parametrize(("name", "millions"), [("small", 1.87), ("medium", 6.85), ("published", 104.7)])
def test_presets_have_their_sizes(name, millions):
    with torch.device("meta"):
        network = VideoAutoencoder(PRESETS[name])
    assert sum(parameter.numel() for parameter in network.parameters()) / 1e6 == pytest.approx(millions, rel=0.01)


def test_every_weight_learns():
    network = made("8x16x16", bottleneck="gaussian")
    posterior = network.posterior(video(17))
    loss = network.decode(posterior.sample(seeded(3))).square().mean() + posterior.divergence().mean()
    gradients = torch.autograd.grad(loss, list(network.parameters()))
    still = [name for (name, _), gradient in zip(network.named_parameters(), gradients, strict=True) if not gradient.abs().max() > 0]
    assert still == []
