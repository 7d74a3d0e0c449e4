"""Parity with transformers' VJEPA2Model on tiny random weights, in both directions; damaged folders say what is wrong."""

import json
import os

import pytest
import torch
from safetensors.torch import load_file, save_file

from armillary.core import CheckpointError, ConfigError, seeded
from armillary.worlds.jepa.masking import BlockMask, Masking, draw_masking
from armillary.worlds.jepa.pretrain import PRESETS
from armillary.worlds.jepa.released import load_release, open_release, save_release
from armillary.worlds.jepa.vjepa2 import Sizes, VJepa2

os.environ.setdefault("HF_HUB_OFFLINE", "1")
transformers = pytest.importorskip("transformers")

SIDE, FRAMES, TOLERANCE = 32, 6, 1e-5
THEIR_SIZES = {
    "crop_size": SIDE, "frames_per_clip": FRAMES, "patch_size": 8, "tubelet_size": 2, "hidden_size": 48, "num_hidden_layers": 3,
    "num_attention_heads": 2, "mlp_ratio": 3.0, "pred_hidden_size": 24, "pred_num_attention_heads": 3, "pred_num_hidden_layers": 2,
    "pred_num_mask_tokens": 4,
}  # fmt: skip
OUR_SIZES = Sizes(width=40, depth=2, heads=2, predictor_width=16, predictor_depth=2, predictor_heads=2)


def their_model(**changed) -> torch.nn.Module:
    """Random weights of a size at which every part matters: biases and mask tokens are not left at zero."""
    model = transformers.VJEPA2Model(transformers.VJEPA2Config(**{**THEIR_SIZES, **changed})).eval()
    shake(model, 1)
    return model


def shake(module: torch.nn.Module, seed: int) -> None:
    rng = seeded(seed)
    for parameter in module.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=rng)


def make_input(frames: int = FRAMES) -> torch.Tensor:
    return torch.rand(2, frames, 3, SIDE, SIDE, generator=seeded(2))


@torch.no_grad()
def compare(ours: VJepa2, theirs: torch.nn.Module, masking: Masking, frames: torch.Tensor) -> None:
    pixels = ours.normalise(frames)
    out = theirs(pixels, context_mask=[masking.visible], target_mask=[masking.hidden])
    assert out.last_hidden_state.std() > 0.1 and out.predictor_output.last_hidden_state.std() > 0.1
    torch.testing.assert_close(ours.encode(frames).flatten(1, 3), out.last_hidden_state, atol=TOLERANCE, rtol=0)
    seen = ours.encoder(pixels).gather(1, masking.visible[..., None].expand(-1, -1, ours.sizes.width))
    predicted = ours.predictor(seen, ours.encoder.grid(frames.shape), masking.visible, masking.hidden)
    torch.testing.assert_close(predicted, out.predictor_output.last_hidden_state, atol=TOLERANCE, rtol=0)


def masking_of(ours: VJepa2, frames: torch.Tensor) -> Masking:
    return draw_masking(BlockMask(blocks=2, area=0.3), ours.encoder.grid(frames.shape), len(frames), seeded(3))


@pytest.mark.parametrize("frames", [FRAMES, 1])
@pytest.mark.parametrize("changed", [{}, {"qkv_bias": False}, {"patch_size": 16}])
def test_their_weights_give_their_answers(tmp_path, frames, changed):
    theirs = their_model(**changed)
    theirs.save_pretrained(tmp_path)
    ours = load_release(tmp_path)
    compare(ours, theirs, masking_of(ours, make_input(frames)), make_input(frames))


def test_shards_and_classifiers_give_their_answers(tmp_path):
    classifier = transformers.VJEPA2ForVideoClassification(transformers.VJEPA2Config(**THEIR_SIZES, num_pooler_layers=1)).eval()
    shake(classifier, 4)
    classifier.save_pretrained(tmp_path, max_shard_size="100KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    ours = load_release(tmp_path)
    compare(ours, classifier.vjepa2, masking_of(ours, make_input()), make_input())


def test_our_weights_give_our_answers_there(tmp_path):
    ours = VJepa2(OUR_SIZES).eval()
    shake(ours.encoder, 5)
    shake(ours.predictor, 6)
    ours.copy_to_target()
    save_release(ours, tmp_path / "given", side=SIDE, num_frames=FRAMES)
    theirs, report = transformers.VJEPA2Model.from_pretrained(tmp_path / "given", output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    compare(ours, theirs.eval(), masking_of(ours, make_input()), make_input())
    again = load_release(tmp_path / "given")
    assert all(torch.equal(again.state_dict()[name], tensor) for name, tensor in ours.state_dict().items())


def test_the_target_encoder_is_the_one_given_away(tmp_path):
    ours = VJepa2(OUR_SIZES)
    shake(ours.encoder, 7)
    save_release(ours, tmp_path / "given", side=SIDE, num_frames=FRAMES)
    assert torch.equal(load_release(tmp_path / "given").encoder.embed.weight, ours.target_encoder.embed.weight)
    save_release(ours, tmp_path / "other", side=SIDE, num_frames=FRAMES, encoder=ours.encoder)
    assert torch.equal(load_release(tmp_path / "other").encoder.embed.weight, ours.encoder.embed.weight)


def test_published_presets_have_the_sizes_of_released_models(tmp_path):
    """Meta's vitl, vith and vitg configs, as transformers writes them; a silent config.json means its defaults."""
    published = {
        "vit-l": {},
        "vit-h": {"hidden_size": 1280, "num_hidden_layers": 32},
        "vit-g": {"hidden_size": 1408, "num_hidden_layers": 40, "num_attention_heads": 22, "mlp_ratio": 4.363636363636363},
    }
    for preset, differing in published.items():
        (tmp_path / "config.json").write_text(json.dumps({"model_type": "vjepa2", **differing}))
        assert open_release(tmp_path).sizes == PRESETS[preset].model.sizes()


@pytest.fixture
def folder(tmp_path):
    their_model().save_pretrained(tmp_path)
    return tmp_path


def edit(folder, **changes) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model_type": "llama"}, "'llama', not vjepa2"),
        ({"hidden_act": "relu"}, "hidden_act must be 'gelu'"),
        ({"hidden_size": "wide"}, "hidden_size must be a number, received 'wide'"),
        ({"num_attention_heads": 5}, "cannot be.*48 and 5"),
        ({"num_hidden_layers": 4}, r"lacks the tensor encoder.layer.3"),
        ({"num_hidden_layers": 2}, "does not explain: encoder.layer.2"),
        ({"mlp_ratio": 2.0}, "shape of"),
    ],
)
def test_a_config_that_does_not_fit_says_so(folder, changes, words):
    edit(folder, **changes)
    with pytest.raises(CheckpointError, match=words):
        load_release(folder)


def test_missing_and_cut_off_files_say_so(folder):
    weights = folder / "model.safetensors"
    tensors = load_file(weights)
    del tensors["predictor.proj.bias"]
    save_file(tensors, weights)
    with pytest.raises(CheckpointError, match=r"lacks the tensor predictor.proj.bias"):
        load_release(folder)
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"model.safetensors cannot be read"):
        load_release(folder)
    (folder / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"is no released model.*config.json"):
        load_release(folder)


@pytest.mark.parametrize("name", ["../model.safetensors", "/etc/passwd", "weights.bin"])
def test_an_index_cannot_lead_out_of_the_folder(folder, name):
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    with pytest.raises(CheckpointError, match="beside it"):
        load_release(folder)


def test_neither_a_folder_nor_a_hub_that_answers(monkeypatch):
    with pytest.raises(CheckpointError, match="neither a folder nor a hub id"):
        open_release("no such folder")
    hub = pytest.importorskip("huggingface_hub")

    def refuse(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr(hub, "snapshot_download", refuse)
    with pytest.raises(CheckpointError, match=r"could not be fetched from the hub \(no route to host\)"):
        open_release("facebook/vjepa2-vitl-fpc64-256")


def test_a_hub_id_is_fetched_where_the_hub_answers(monkeypatch, folder):
    hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setattr(hub, "snapshot_download", lambda name, **_: str(folder))
    assert open_release("somebody/vjepa2").sizes.width == 48


def test_what_the_layout_cannot_say_is_not_written(tmp_path):
    exact = VJepa2(Sizes(**{**vars(OUR_SIZES), "rotary": "exact"}))
    with pytest.raises(ConfigError, match="rotary = released"):
        save_release(exact, tmp_path / "given", side=SIDE, num_frames=FRAMES)
    with pytest.raises(ConfigError, match="side = 30"):
        save_release(VJepa2(OUR_SIZES), tmp_path / "given", side=30, num_frames=FRAMES)
    with pytest.raises(ConfigError, match=r"--model\.width 48"):
        save_release(VJepa2(Sizes(**{**vars(OUR_SIZES), "width": 48})), tmp_path / "wider", side=SIDE, num_frames=FRAMES)
        open_release(tmp_path / "wider").fill(VJepa2(OUR_SIZES))
    assert not (tmp_path / "given").exists()
