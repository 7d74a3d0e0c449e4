"""Parity with diffusers' AutoencoderKLCosmos on tiny random weights, in both directions; other folders say what is wrong."""

import json
import os
from collections.abc import Callable

import pytest
import torch
from safetensors.torch import load_file, save_file

from armillary.core import CheckpointError, ConfigError, seeded
from armillary.tokenizers.config import PRESETS, TokenizerConfig
from armillary.tokenizers.cosmos_weights import WEIGHTS, cosmos_config, cosmos_tensors, load_cosmos, read_cosmos_config, save_cosmos
from armillary.tokenizers.network import VideoAutoencoder

os.environ.setdefault("HF_HUB_OFFLINE", "1")
TOLERANCE = 1e-5


def made(**changed) -> VideoAutoencoder:
    settings = {"rate": "8x8x8", "channels": 4, "latent_channels": 3, "attention_levels": (1,), "blocks": 1, **changed}
    return settled(VideoAutoencoder, TokenizerConfig(**settings))


def settled(build: Callable[..., torch.nn.Module], *arguments, **settings) -> torch.nn.Module:
    """A network whose every number is settled, norms and biases not as they begin."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build(*arguments, **settings)
        for parameter in network.parameters():
            parameter.data += 0.02 * torch.randn(parameter.shape)
    return network.eval()


@pytest.fixture(scope="module")
def cosmos() -> type:
    return pytest.importorskip("diffusers", reason="parity needs diffusers").AutoencoderKLCosmos


@pytest.mark.parametrize("frames", [1, 17])
@pytest.mark.parametrize("rate", ["4x8x8", "8x8x8", "8x16x16"])
@torch.no_grad()
def test_their_weights_give_their_numbers(cosmos, tmp_path, rate, frames):
    settings = cosmos_config(TokenizerConfig(rate=rate, channels=4, latent_channels=3, attention_levels=(0, 1), blocks=2))
    theirs = settled(cosmos, **{name: value for name, value in settings.items() if name != "_class_name"})
    theirs.save_pretrained(tmp_path)
    ours, video = load_cosmos(tmp_path), torch.rand(2, frames, 3, 16, 32, generator=seeded(2))
    compare(ours, theirs, video, TOLERANCE)
    compare(ours.double(), theirs.double(), video.double(), TOLERANCE / 10)  # theirs has float32's root of a half in its wavelets


def compare(ours: VideoAutoencoder, theirs: torch.nn.Module, video: torch.Tensor, tolerance: float) -> None:
    """Within the tolerance, in units of their deviation where that is above 1."""
    expected = theirs.encode(2 * video.transpose(1, 2) - 1).latent_dist.mode()
    drawn = theirs.decode(expected).sample
    for mine, their in ((ours.encode(video), expected), (2 * ours.decode(expected).transpose(1, 2) - 1, drawn)):
        assert their.std() > 0.05
        torch.testing.assert_close(mine, their, atol=tolerance * max(1.0, their.std().item()), rtol=0)


@torch.no_grad()
def test_diffusers_reads_ours(cosmos, tmp_path):
    ours = made()
    save_cosmos(ours, tmp_path / "vae")
    theirs = cosmos.from_pretrained(tmp_path / "vae").eval()
    video = torch.rand(1, 9, 3, 16, 16, generator=seeded(3))
    expected = theirs.encode(2 * video.transpose(1, 2) - 1).latent_dist.mode()
    torch.testing.assert_close(ours.encode(video), expected, atol=TOLERANCE, rtol=0)


def test_the_published_preset_is_what_diffusers_assumes(cosmos):
    with torch.device("meta"):
        theirs, ours = cosmos(), VideoAutoencoder(read_cosmos_config({}))
    assert ours.config == TokenizerConfig(rate="8x8x8", channels=PRESETS["published"].channels)
    theirs = {name: tensor.shape for name, tensor in theirs.state_dict().items()}
    assert sum(p.numel() for p in ours.parameters()) == sum(shape.numel() for shape in theirs.values())


def test_a_round_trip_keeps_every_weight(tmp_path):
    network = made()
    save_cosmos(network, tmp_path / "vae")
    again = load_cosmos(tmp_path / "vae")
    assert again.config == network.config
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in network.state_dict().items())


def test_weights_that_do_not_fit_are_named(tmp_path):
    save_cosmos(made(), tmp_path / "vae")
    path = tmp_path / "vae" / WEIGHTS
    tensors = load_file(path)
    tensors["encoder.strange"] = tensors.pop("quant_conv.bias")
    tensors["post_quant_conv.bias"] = torch.zeros(7)
    save_file(tensors, path)
    with pytest.raises(CheckpointError) as error:
        load_cosmos(tmp_path / "vae")
    for words in (
        "3 tensors",
        "encoder.strange is unknown",
        "quant_conv.bias is missing",
        "post_quant_conv.bias has the shape (7,), not (3,)",
    ):
        assert words in str(error.value)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"_class_name": "AutoencoderKL"}, "'AutoencoderKL', not AutoencoderKLCosmos"),
        ({"patch_type": "rearrange"}, "patch_type must be 'haar', received 'rearrange'"),
        ({"latent_channels": "16"}, "latent_channels must be like 16, received '16'"),
        ({"attention_resolutions": 32}, r"attention_resolutions must be like \[32\], received 32"),
        ({"decode_block_out_channels": [4, 4, 4, 4]}, "decode_block_out_channels .* not built here"),
        ({"encoder_block_out_channels": []}, "no released tokenizer"),
        ({"temporal_compression_ratio": 16}, "cannot be made"),
        ({"patch_size": 0}, "patch_size must be like 4"),
    ],
)
def test_another_model_is_refused(tmp_path, changed, message):
    save_cosmos(made(), tmp_path / "vae")
    path = tmp_path / "vae" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))
    with pytest.raises(CheckpointError, match=message):
        load_cosmos(tmp_path / "vae")


def test_a_missing_or_torn_folder_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"config.json does not exist; give a folder with config.json and"):
        load_cosmos(tmp_path / "nothing")
    save_cosmos(made(), tmp_path / "vae")
    (tmp_path / "vae" / WEIGHTS).write_bytes(b"torn")
    with pytest.raises(CheckpointError, match="no released tokenizer"):
        load_cosmos(tmp_path / "vae")


@pytest.mark.parametrize("changed", [{"bottleneck": "gaussian"}, {"rate": "8x8"}])
def test_what_the_layout_cannot_say_is_refused(changed):
    with pytest.raises(ConfigError, match="plain networks of video without a linear path only"):
        cosmos_config(TokenizerConfig(**changed))


def test_names_are_theirs():
    names = set(cosmos_tensors(made(rate="8x16x16")))
    assert {
        "encoder.conv_in.conv_s.weight",
        "encoder.down_blocks.1.temp_attentions.0.to_out.0.bias",
        "encoder.down_blocks.0.downsamplers.0.conv2.weight",
        "decoder.up_blocks.1.upsamplers.0.conv1.weight",
        "decoder.mid_block.resnets.1.norm2.norm.weight",
        "post_quant_conv.bias",
    } <= names
    assert not any("levels" in name or "space" in name or "first" in name for name in names)
