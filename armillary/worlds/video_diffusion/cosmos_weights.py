"""Released Cosmos transformers: a folder with config.json and safetensors, in the layout of diffusers' `CosmosTransformer3DModel`."""

import re
from collections.abc import Mapping
from pathlib import Path

import safetensors
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from armillary.core import CheckpointError, ConfigError, DataError
from armillary.core.storage import folder_written_whole, read_json, write_json
from armillary.worlds.video_diffusion.model import TransformerConfig, VideoTransformer

WEIGHTS = "diffusion_pytorch_model.safetensors"
INDEX = f"{WEIGHTS}.index.json"
_CLASS = "CosmosTransformer3DModel"
# What diffusers assumes where a config.json is silent.
_ASSUMED = {
    "in_channels": 16,
    "out_channels": 16,
    "num_attention_heads": 32,
    "attention_head_dim": 128,
    "num_layers": 28,
    "mlp_ratio": 4.0,
    "text_embed_dim": 1024,
    "adaln_lora_dim": 256,
    "max_size": [128, 240, 240],
    "patch_size": [1, 2, 2],
    "rope_scale": [2.0, 1.0, 1.0],
    "concat_padding_mask": True,
    "extra_pos_embed_type": "learnable",
}
_ABSENT = ("use_crossattn_projection", "controlnet_block_every_n", "img_context_dim_in")  # parts that are not built here

# Our names become theirs by these substitutions, each in its turn.
_RENAMED = [
    (re.compile(pattern), theirs)
    for pattern, theirs in (
        (r"^enter\.", "patch_embed.proj."),
        (r"^places\.time$", "learnable_pos_embed.pos_emb_t"),
        (r"^places\.row$", "learnable_pos_embed.pos_emb_h"),
        (r"^places\.column$", "learnable_pos_embed.pos_emb_w"),
        (r"^level\.widen\.", "time_embed.t_embedder.linear_1."),
        (r"^level\.tell\.", "time_embed.t_embedder.linear_2."),
        (r"^level\.norm\.scale$", "time_embed.norm.weight"),
        (r"^final_norm\.", "norm_out."),
        (r"^leave\.", "proj_out."),
        (r"^blocks\.", "transformer_blocks."),
        (r"\.self_norm\.", ".norm1."),
        (r"\.text_norm\.", ".norm2."),
        (r"\.feed_norm\.", ".norm3."),
        (r"\.down\.", ".linear_1."),
        (r"^norm_out\.down\.", "norm_out.linear_1."),
        (r"\.up\.", ".linear_2."),
        (r"\.self_attention\.", ".attn1."),
        (r"\.text_attention\.", ".attn2."),
        (r"\.queries\.", ".to_q."),
        (r"\.keys\.", ".to_k."),
        (r"\.values\.", ".to_v."),
        (r"\.query_norm\.scale$", ".norm_q.weight"),
        (r"\.key_norm\.scale$", ".norm_k.weight"),
        (r"\.join\.", ".to_out.0."),
        (r"\.feed_forward\.widen\.", ".ff.net.0.proj."),
        (r"\.feed_forward\.narrow\.", ".ff.net.2."),
    )
]


def load_cosmos(folder: Path | str) -> VideoTransformer:
    """The released network in a folder. CheckpointError when there is none, or one that is not built here.

    Its cells have the channels of the latents, then (in video-to-world networks) the mask of given frames, and last the padding mask,
    all of it zero where pictures fill their canvas.
    """
    folder = Path(folder)
    try:
        config = read_cosmos_config(read_json(folder / "config.json"))
        tensors = _tensors(folder)
    except (DataError, ConfigError, OSError, safetensors.SafetensorError) as error:
        raise CheckpointError(f"{folder} is no released transformer: {error}; give a folder with config.json and {WEIGHTS}") from error
    with torch.device("meta"):
        network = VideoTransformer(config)
    network.to_empty(device="cpu")
    fill_from_cosmos(network, tensors, str(folder))
    return network.eval()


def save_cosmos(network: VideoTransformer, folder: Path | str) -> None:
    """Write a new folder that diffusers' `CosmosTransformer3DModel` and `load_cosmos` read. ConfigError for what the layout cannot say."""
    config = cosmos_config(network.config)
    with folder_written_whole(Path(folder)) as temporary:
        save_file(cosmos_tensors(network), temporary / WEIGHTS)
        write_json(temporary / "config.json", config)


def read_cosmos_config(given: object) -> TransformerConfig:
    """Our settings for the content of their config.json. ConfigError when it is another kind of model or not built here."""
    if not isinstance(given, Mapping) or given.get("_class_name", _CLASS) != _CLASS:
        kind = given.get("_class_name") if isinstance(given, Mapping) else type(given).__name__
        raise ConfigError(f"config.json describes a model of type {kind!r}, not {_CLASS}")
    if built := [name for name in _ABSENT if given.get(name)]:
        raise ConfigError(f"config.json: {', '.join(built)} ask for parts that are not built here")
    theirs = {name: given.get(name, assumed) for name, assumed in _ASSUMED.items()}
    for name, value in theirs.items():
        _check(name, value, _ASSUMED[name])
    time, patch, other = theirs["patch_size"]
    if time != 1 or patch != other:
        raise ConfigError(
            f"config.json: patch_size must be like [1, 2, 2], received {theirs['patch_size']}; such a network is not built here"
        )
    learned = theirs["extra_pos_embed_type"] == "learnable"
    sides = [size // part for size, part in zip(theirs["max_size"], theirs["patch_size"], strict=True)]
    return TransformerConfig(
        channels=theirs["in_channels"] + bool(theirs["concat_padding_mask"]),
        out=theirs["out_channels"],
        width=theirs["num_attention_heads"] * theirs["attention_head_dim"],
        depth=theirs["num_layers"],
        heads=theirs["num_attention_heads"],
        patch=patch,
        rank=theirs["adaln_lora_dim"],
        mlp_ratio=float(theirs["mlp_ratio"]),
        text_width=theirs["text_embed_dim"],
        stretch=tuple(float(scale) for scale in theirs["rope_scale"]),
        limits=tuple(sides) if learned else (),
    )


def cosmos_config(config: TransformerConfig) -> dict[str, object]:
    """The content of their config.json for a network of ours; a padding mask counts among its channels.

    ConfigError for what the layout cannot say.
    """
    if config.action_size or config.views > 1 or config.causal or not config.text_width:
        raise ConfigError(
            f"this layout knows networks that read a text, without actions, several views or a causal order; received action_size = "
            f"{config.action_size}, views = {config.views}, causal = {config.causal}, text_width = {config.text_width}; "
            f"keep such a network in our own checkpoints"
        )
    patch = (1, config.patch, config.patch)
    limits = [side * part for side, part in zip(config.limits, patch, strict=True)] if config.limits else _ASSUMED["max_size"]
    return {
        "_class_name": _CLASS,
        "in_channels": config.channels,
        "out_channels": config.out,
        "num_attention_heads": config.heads,
        "attention_head_dim": config.width // config.heads,
        "num_layers": config.depth,
        "mlp_ratio": config.mlp_ratio,
        "text_embed_dim": config.text_width,
        "adaln_lora_dim": config.rank,
        "max_size": limits,
        "patch_size": list(patch),
        "rope_scale": list(config.stretch),
        "concat_padding_mask": False,
        "extra_pos_embed_type": "learnable" if config.limits else None,
    }


def cosmos_tensors(network: VideoTransformer) -> dict[str, Tensor]:
    """Every weight under their name, as float32 on the CPU."""
    return {_their_name(ours): tensor.detach().cpu().float().contiguous() for ours, tensor in network.state_dict().items()}


@torch.no_grad()
def fill_from_cosmos(network: VideoTransformer, theirs: Mapping[str, Tensor], source: str) -> None:
    """Give a network the weights that have their names. CheckpointError, and nothing changed, where some lack, fit nowhere or misfit."""
    targets = {_their_name(ours): tensor for ours, tensor in network.state_dict().items()}
    faults = [f"{name} is missing" for name in targets if name not in theirs]
    faults += [f"{name} is unknown" for name in theirs if name not in targets]
    faults += [
        f"{name} is {tuple(theirs[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in targets.items()
        if name in theirs and theirs[name].shape != tensor.shape
    ]
    if faults:
        shown = "; ".join(faults[:3]) + (f" and {len(faults) - 3} more" if len(faults) > 3 else "")
        raise CheckpointError(f"{source}: the weights do not fit the settings: {shown}")
    for name, tensor in targets.items():
        tensor.copy_(theirs[name])


def _their_name(ours: str) -> str:
    for pattern, theirs in _RENAMED:
        ours = pattern.sub(theirs, ours)
    return ours


def _tensors(folder: Path) -> dict[str, Tensor]:
    """Of one file, or of the several that an index names. DataError for an index that names a file outside of the folder."""
    if not (folder / INDEX).exists():
        return load_file(folder / WEIGHTS)
    index = read_json(folder / INDEX)
    files = sorted(set(index.get("weight_map", {}).values())) if isinstance(index, Mapping) else []
    if not files or any(not isinstance(name, str) or Path(name).name != name for name in files):
        raise DataError(f"{INDEX} must map weights to names of files beside it, found {files[:3]}")
    return {name: tensor for file in files for name, tensor in load_file(folder / file).items()}


def _check(name: str, value: object, assumed: object) -> None:
    """ConfigError unless a setting is of the kind that diffusers assumes."""
    if name == "extra_pos_embed_type":
        if value not in (None, "learnable"):
            raise ConfigError(f"config.json: {name} must be null or 'learnable', received {value!r}")
        return
    if isinstance(assumed, bool):
        if not isinstance(value, bool):
            raise ConfigError(f"config.json: {name} must be true or false, received {value!r}")
        return
    numbers, wanted = (value, assumed) if isinstance(assumed, list) else ([value], [assumed])
    kinds = (int, float) if isinstance(wanted[0], float) else int
    right = isinstance(numbers, list) and len(numbers) == len(wanted)
    if not right or any(isinstance(one, bool) or not isinstance(one, kinds) or one <= 0 for one in numbers):
        raise ConfigError(f"config.json: {name} must be like {assumed!r}, received {value!r}")
