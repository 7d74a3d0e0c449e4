"""Parity with diffusers' CosmosTransformer3DModel on tiny random weights, in both directions; other folders say what is wrong."""

import json
import os
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from armillary.core import CheckpointError, ConfigError, seeded
from armillary.worlds.video_diffusion.cosmos_weights import (
    INDEX,
    WEIGHTS,
    cosmos_config,
    cosmos_tensors,
    load_cosmos,
    read_cosmos_config,
    save_cosmos,
)
from armillary.worlds.video_diffusion.model import Layout, Text, TransformerConfig, VideoTransformer
from armillary.worlds.video_diffusion.rotary import frame_ticks

os.environ.setdefault("HF_HUB_OFFLINE", "1")
TOLERANCE = 1e-5
SMALL = TransformerConfig(
    channels=6, out=4, width=32, depth=2, heads=2, rank=4, mlp_ratio=2.0, text_width=10, stretch=(2.0, 1.0, 1.5), limits=(6, 4, 5)
)


def settled(network: torch.nn.Module) -> torch.nn.Module:
    """Every number settled and far from its first value, so that no part is silent."""
    for parameter in network.parameters():
        parameter.data = 0.3 * torch.randn(parameter.shape, generator=seeded(parameter.numel()))
    return network.eval()


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=seeded(seed))


def layout(frames: int, rate: float | None) -> Layout:
    nothing = torch.zeros(0)
    return Layout(frame_ticks(frames, rate), torch.arange(frames), nothing, nothing.long())


@pytest.fixture(scope="module")
def cosmos() -> type:
    return pytest.importorskip("diffusers", reason="parity needs diffusers").CosmosTransformer3DModel


@pytest.mark.parametrize("per_frame", [False, True])
@pytest.mark.parametrize(("rate", "limits"), [(30.0, (6, 4, 5)), (None, ())])
@torch.no_grad()
def test_their_weights_give_their_numbers(cosmos, tmp_path, per_frame, rate, limits):
    """At one level a row and one a frame, with a frame rate and without, with learned places and without, mask channels and all."""
    theirs = settled(
        cosmos(**{name: value for name, value in cosmos_config(replace(SMALL, limits=limits)).items() if name != "_class_name"})
    )
    theirs.save_pretrained(tmp_path)
    ours = load_cosmos(tmp_path)
    latents, masks, text = drawn(2, 4, 5, 6, 8), drawn(2, 2, 5, 6, 8, seed=1), drawn(2, 7, 10, seed=2)
    readable = torch.arange(7) < torch.tensor([[7], [3]])
    level = 10 * torch.rand(2, 5, generator=seeded(3)) if per_frame else 10 * torch.rand(2, 1, generator=seeded(3)).expand(2, 5)
    timestep = level[:, None, :, None, None] if per_frame else level[:, 0]
    expected = theirs(latents, timestep, text, attention_mask=readable, fps=rate, condition_mask=masks, return_dict=False)[0]
    found, _ = ours(torch.cat([latents, masks], dim=1), level, layout(5, rate), text=Text(text, readable))
    assert torch.allclose(found, expected, atol=TOLERANCE, rtol=TOLERANCE)
    assert not torch.allclose(
        found, ours(torch.cat([latents, masks], dim=1), level, layout(5, 15.0), text=Text(text, readable))[0], atol=1e-3
    )


@torch.no_grad()
def test_our_weights_give_our_numbers_there(cosmos, tmp_path):
    ours = settled(VideoTransformer(SMALL))
    save_cosmos(ours, tmp_path / "saved")
    theirs = cosmos.from_pretrained(tmp_path / "saved").eval()
    cells, text, level = drawn(1, 6, 3, 4, 4), drawn(1, 2, 10, seed=1), torch.rand(1, 3, generator=seeded(2))
    expected = theirs(cells, level[:, None, :, None, None], text, fps=24, return_dict=False)[0]
    found, _ = ours(cells, level, layout(3, 24.0), text=Text(text))
    assert torch.allclose(found, expected, atol=TOLERANCE, rtol=TOLERANCE)
    assert read_cosmos_config(json.loads((tmp_path / "saved" / "config.json").read_text())) == SMALL


def test_weights_in_several_files_are_joined(tmp_path):
    network = settled(VideoTransformer(SMALL))
    save_cosmos(network, tmp_path / "one")
    tensors = load_file(tmp_path / "one" / WEIGHTS)
    folder = tmp_path / "two"
    folder.mkdir()
    (folder / "config.json").write_text((tmp_path / "one" / "config.json").read_text())
    place = {name: f"part-{index % 2}.safetensors" for index, name in enumerate(sorted(tensors))}
    for file in set(place.values()):
        save_file({name: tensor for name, tensor in tensors.items() if place[name] == file}, folder / file)
    (folder / INDEX).write_text(json.dumps({"weight_map": place}))
    read = load_cosmos(folder).state_dict()
    assert all(torch.equal(tensor, read[name]) for name, tensor in network.state_dict().items())
    (folder / INDEX).write_text(json.dumps({"weight_map": {"a": "../one/x.safetensors"}}))
    with pytest.raises(CheckpointError, match="names of files beside it"):
        load_cosmos(folder)


def test_a_padding_mask_is_a_channel_more():
    theirs = cosmos_config(SMALL) | {"concat_padding_mask": True}
    assert read_cosmos_config(theirs).channels == SMALL.channels + 1


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"_class_name": "UNet"}, "a model of type 'UNet', not CosmosTransformer3DModel"),
        ({"img_context_dim_in": 8}, "img_context_dim_in ask for parts that are not built here"),
        ({"patch_size": [2, 2, 2]}, r"patch_size must be like \[1, 2, 2\], received \[2, 2, 2\]"),
        ({"num_layers": -1}, "num_layers must be like 28, received -1"),
        ({"rope_scale": [1.0]}, "rope_scale must be like"),
        ({"concat_padding_mask": "yes"}, "must be true or false, received 'yes'"),
        ({"extra_pos_embed_type": "sine"}, "must be null or 'learnable', received 'sine'"),
    ],
)
def test_other_settings_are_refused(changed, message):
    with pytest.raises(ConfigError, match=message):
        read_cosmos_config(cosmos_config(SMALL) | changed)


def test_weights_that_do_not_fit_are_refused(tmp_path):
    save_cosmos(VideoTransformer(SMALL), tmp_path / "saved")
    tensors = cosmos_tensors(VideoTransformer(SMALL))
    del tensors["proj_out.weight"]
    save_file(tensors | {"other": torch.zeros(1)}, tmp_path / "saved" / WEIGHTS)
    with pytest.raises(CheckpointError, match=r"proj_out.weight is missing; other is unknown"):
        load_cosmos(tmp_path / "saved")
    with pytest.raises(CheckpointError, match="is no released transformer"):
        load_cosmos(tmp_path)


def test_what_their_layout_cannot_say_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="action_size = 3"):
        save_cosmos(VideoTransformer(replace(SMALL, action_size=3)), tmp_path / "saved")
