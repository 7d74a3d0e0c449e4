"""The linear path: an untrained tokenizer is a truncated DCT, and codes come and go through it."""

import pytest
import torch

from armillary.core import ConfigError, DataError, seeded
from armillary.evaluate.tokenizer_table import DCT_ZONAL, linear_codes
from armillary.tokenizers.config import TokenizerConfig
from armillary.tokenizers.linear_path import LinearPath
from armillary.tokenizers.network import VideoAutoencoder
from armillary.tokenizers.streaming import decode_chunk, encode_chunk


def fresh(**settings) -> VideoAutoencoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return VideoAutoencoder(TokenizerConfig(channels=2, blocks=1, linear_path=True, **settings)).eval()


def clip(frames: int = 9) -> torch.Tensor:
    """Waves that drift: most of them is kept by low frequencies."""
    time, row, column = torch.meshgrid(torch.arange(frames) / 8, torch.arange(32) / 32, torch.arange(32) / 32, indexing="ij")
    waves = [torch.sin(6 * row + 4 * column + 0.3 * colour + time) for colour in range(3)]
    return 0.5 + 0.4 * torch.stack(waves, dim=1)


@torch.no_grad()
def test_an_untrained_one_gives_back_what_a_truncated_dct_does():
    found = fresh(rate="4x8x8").decode(fresh(rate="4x8x8").encode(clip()[None]))[0]
    code = linear_codes([clip()], frames=4, size=8, channels=16, large=(8, 16))[DCT_ZONAL]
    torch.testing.assert_close(found, code.reconstruct(clip()), atol=2e-6, rtol=0)
    assert (found - clip()).abs().mean() < 0.05


@torch.no_grad()
@pytest.mark.parametrize("rate", ["4x8x8", "8x16x16", "8x8"])
def test_all_numbers_of_a_cell_give_it_back(rate):
    config = TokenizerConfig(rate=rate)
    sides = (config.time_rate, config.space_rate, config.space_rate)
    path = LinearPath((1, *sides[1:]), 3 * sides[1] * sides[2])
    video = torch.rand(2, 3, 4, 32, 48, generator=seeded(0))
    torch.testing.assert_close(path.decode(path.encode(video, begins=True), begins=True), video, atol=1e-5, rtol=0)


@torch.no_grad()
def test_a_stream_equals_the_whole():
    network, video = fresh(rate="4x8x8", bottleneck="fsq", latent_channels=6), clip(17)[None]
    for parameter in network.parameters():
        parameter.data += 0.03 * torch.randn(parameter.shape, generator=seeded(1))
    whole = network.encode(video)
    first, state = encode_chunk(network, video[:, :5])
    second, _ = encode_chunk(network, video[:, 5:], state)
    torch.testing.assert_close(torch.cat([first, second], dim=2), whole, atol=1e-5, rtol=0)
    early, state = decode_chunk(network, whole[:, :, :2])
    late, _ = decode_chunk(network, whole[:, :, 2:], state)
    torch.testing.assert_close(torch.cat([early, late], dim=1), network.decode(whole), atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize(
    ("settings", "num_codes"), [({"bottleneck": "fsq", "levels": (8, 5), "latent_channels": 2}, 40), ({"bottleneck": "vq"}, 4096)]
)
def test_codes_give_the_frames_that_their_latents_give(settings, num_codes):
    network = fresh(**settings)
    codes = network.codes(clip()[None])
    assert codes.shape == (1, 3, 4, 4) and codes.min() >= 0 and codes.max() < num_codes and codes.unique().numel() > 1
    torch.testing.assert_close(network.decode_codes(codes), network.decode(network.encode(clip()[None])), atol=1e-5, rtol=0)
    with pytest.raises(DataError, match=f"between 0 and {num_codes - 1}"):
        network.decode_codes(codes + num_codes)


def test_a_continuous_network_has_no_codes():
    with pytest.raises(ConfigError, match="only bottleneck = fsq or vq has codes"):
        fresh().codes(clip()[None])


def test_more_numbers_than_a_cell_has_are_refused():
    with pytest.raises(ConfigError, match="cannot make 49 numbers of a cell of 4 x 4"):
        LinearPath((1, 4, 4), 49)
    with pytest.raises(ConfigError, match="received 16 latent_channels and levels"):
        TokenizerConfig(bottleneck="fsq")
