"""Tiny random models in the layout of the released ones, made offline."""

import importlib.util
import json
import os
import string
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from armillary.worlds.cosmos.config import CosmosConfig

os.environ.setdefault("HF_HUB_OFFLINE", "1")
SETTINGS = CosmosConfig(height=32, width=32, num_frames=9, sampling_steps=2, dtype="float32", device="cpu", safety_checker=False)
TEXT_WIDTH = 32
SCHEDULERS = {
    "EDMEulerScheduler": {"sigma_min": 0.002, "sigma_max": 80.0, "sigma_data": 0.5, "final_sigmas_type": "sigma_min"},
    "FlowMatchEulerDiscreteScheduler": {"use_karras_sigmas": True},
    "UniPCMultistepScheduler": {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "solver_order": 2},
}


@pytest.fixture(scope="session")
def settings() -> CosmosConfig:
    return SETTINGS


@pytest.fixture(scope="session")
def released(tmp_path_factory) -> Callable[[str], Path]:
    """The folder of a tiny model of a kind, made once."""
    for needed in ("diffusers", "transformers"):
        if importlib.util.find_spec(needed) is None:
            pytest.skip(f"released models need {needed}")
    made = {}

    def folder(name: str) -> Path:
        if name not in made:
            made[name] = tmp_path_factory.mktemp(name)
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                write_release(made[name], name)
        return made[name]

    return folder


def write_release(folder: Path, name: str) -> None:
    """Every part as its library saves it, and the index."""
    first = name in ("CosmosTextToWorldPipeline", "CosmosVideoToWorldPipeline")
    speaks = _qwen if name.startswith("Cosmos2_5") else _t5
    scheduler = "EDMEulerScheduler" if first else "UniPCMultistepScheduler" if speaks is _qwen else "FlowMatchEulerDiscreteScheduler"
    parts = {
        "transformer": _transformer(name),
        "vae": _cosmos_vae() if first else _wan_vae(),
        "scheduler": _scheduler(scheduler),
        **speaks(),
    }
    index = {"_class_name": name, "_diffusers_version": "0.34.0"}
    for part, made in parts.items():
        made.save_pretrained(folder / part)
        index[part] = [type(made).__module__.split(".")[0], type(made).__name__]
    (folder / "model_index.json").write_text(json.dumps(index))


def settled(module: torch.nn.Module) -> torch.nn.Module:
    """No number as it begins: gates of zero would hide what lies behind them."""
    for parameter in module.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape)
    return module.eval()


def _transformer(name: str) -> torch.nn.Module:
    from diffusers import CosmosTransformer3DModel

    channels = 4 if "Cosmos2" not in name else 16
    later = {"use_crossattn_projection": True, "crossattn_proj_in_channels": 2 * TEXT_WIDTH, "encoder_hidden_states_channels": TEXT_WIDTH}
    return settled(
        CosmosTransformer3DModel(
            in_channels=channels + ("TextTo" not in name),
            out_channels=channels,
            num_attention_heads=2,
            attention_head_dim=16,
            num_layers=2,
            mlp_ratio=2.0,
            text_embed_dim=TEXT_WIDTH,
            adaln_lora_dim=4,
            extra_pos_embed_type=None if "Cosmos2" in name else "learnable",
            **(later if "2_5" in name else {}),
        )
    )


def _cosmos_vae() -> torch.nn.Module:
    from diffusers import AutoencoderKLCosmos

    widths = (8, 8, 8, 8)
    sizes = {"encoder_block_out_channels": widths, "decode_block_out_channels": widths, "num_layers": 1}
    return settled(AutoencoderKLCosmos(latent_channels=4, attention_resolutions=(8,), resolution=64, temporal_compression_ratio=4, **sizes))


def _wan_vae() -> torch.nn.Module:
    from diffusers import AutoencoderKLWan

    return settled(AutoencoderKLWan(base_dim=4, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1))


def _scheduler(name: str):
    import diffusers

    return getattr(diffusers, name)(**SCHEDULERS[name])


def _t5() -> dict:
    from transformers import T5Config, T5EncoderModel, T5TokenizerFast

    words = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0), *((letter, -3.0) for letter in string.ascii_lowercase)]
    sizes = {"d_model": TEXT_WIDTH, "d_ff": 32, "d_kv": 8, "num_heads": 4, "num_layers": 1}
    encoder = T5EncoderModel(T5Config(vocab_size=len(words), **sizes))
    return {"text_encoder": settled(encoder), "tokenizer": T5TokenizerFast(vocab=words, extra_ids=0)}


def _qwen() -> dict:
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2TokenizerFast

    letters = [*string.ascii_letters, *"Ġ.,:-", "<|endoftext|>"]
    tokenizer = Qwen2TokenizerFast(vocab={letter: place for place, letter in enumerate(letters)}, merges=[])
    tokenizer.chat_template = "{% for message in messages %}{{ message.content[0].text }}{% endfor %}"
    text = {"hidden_size": TEXT_WIDTH, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2}
    text |= {"vocab_size": len(letters), "rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]}}
    vision = {
        "depth": 1,
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_heads": 2,
        "out_hidden_size": TEXT_WIDTH,
        "fullatt_block_indexes": [0],
    }
    encoder = Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(text_config=text, vision_config=vision))
    return {"text_encoder": settled(encoder), "tokenizer": tokenizer}
