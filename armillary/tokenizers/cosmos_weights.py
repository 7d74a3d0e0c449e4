"""Released Cosmos tokenizers: a folder with config.json and safetensors, in the layout of diffusers' `AutoencoderKLCosmos`."""

import re
from collections.abc import Mapping
from pathlib import Path

import safetensors
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from armillary.core import CheckpointError, ConfigError, DataError
from armillary.core.storage import folder_written_whole, read_json, write_json
from armillary.tokenizers.config import TokenizerConfig
from armillary.tokenizers.network import VideoAutoencoder

WEIGHTS = "diffusion_pytorch_model.safetensors"
_CLASS = "AutoencoderKLCosmos"
_RESOLUTION = 1024  # their attention is chosen by the side that a level has in pictures of this side
# What diffusers assumes where a config.json is silent.
_ASSUMED = {
    "in_channels": 3,
    "out_channels": 3,
    "latent_channels": 16,
    "encoder_block_out_channels": [128, 256, 512, 512],
    "decode_block_out_channels": [256, 512, 512, 512],
    "attention_resolutions": [32],
    "resolution": _RESOLUTION,
    "num_layers": 2,
    "patch_size": 4,
    "patch_type": "haar",
    "spatial_compression_ratio": 8,
    "temporal_compression_ratio": 8,
}
_FIXED = ("in_channels", "out_channels", "patch_type")

# Our names become theirs by these substitutions, each in its turn.
_RENAMED = [
    (re.compile(pattern), theirs)
    for pattern, theirs in (
        (r"^encoder\.project\.", "quant_conv."),
        (r"^decoder\.project\.", "post_quant_conv."),
        (r"^(encoder|decoder)\.norm\.", r"\1.norm_out.norm."),
        (r"^(encoder|decoder)\.enter\.", r"\1.conv_in."),
        (r"^(encoder|decoder)\.leave\.", r"\1.conv_out."),
        (r"\.step\.mix\.", ".step.conv3."),
        (r"^(encoder.*)\.step\.space\.", r"\1.step.conv1."),
        (r"^(encoder.*)\.step\.time\.", r"\1.step.conv2."),
        (r"^(decoder.*)\.step\.time\.", r"\1.step.conv1."),
        (r"^(decoder.*)\.step\.space\.", r"\1.step.conv2."),
        (r"^encoder(.*)\.step\.", r"encoder\1.downsamplers.0."),
        (r"^decoder(.*)\.step\.", r"decoder\1.upsamplers.0."),
        (r"^encoder\.levels\.", "encoder.down_blocks."),
        (r"^decoder\.levels\.", "decoder.up_blocks."),
        (r"\.middle\.first\.", ".mid_block.resnets.0."),
        (r"\.middle\.second\.", ".mid_block.resnets.1."),
        (r"\.middle\.attentions\.", ".mid_block.attentions.0."),
        (r"\.blocks\.", ".resnets."),
        (r"\.attentions\.(\d+)\.time\.", r".temp_attentions.\1."),
        (r"\.attentions\.(\d+)\.space\.", r".attentions.\1."),
        (r"attentions\.(\d+)\.norm\.", r"attentions.\1.norm.norm."),
        (r"\.attention\.join\.", ".to_out.0."),
        (r"\.first_norm\.", ".norm1.norm."),
        (r"\.second_norm\.", ".norm2.norm."),
        (r"\.first\.", ".conv1."),
        (r"\.second\.", ".conv2."),
        (r"\.shortcut\.", ".conv_shortcut."),
        (r"\.space\.", ".conv_s."),
        (r"\.time\.", ".conv_t."),
    )
]
_MIXED, _SEPARATE = ".attention.queries_keys_values.", (".to_q.", ".to_k.", ".to_v.")


def load_cosmos(folder: Path | str) -> VideoAutoencoder:
    """The released network in a folder, ready to encode. CheckpointError when there is none, or one that is not built here."""
    folder = Path(folder)
    try:
        config = read_cosmos_config(read_json(folder / "config.json"))
        tensors = load_file(folder / WEIGHTS)
    except (DataError, ConfigError, OSError, safetensors.SafetensorError) as error:
        raise CheckpointError(f"{folder} is no released tokenizer: {error}; give a folder with config.json and {WEIGHTS}") from error
    network = VideoAutoencoder(config)
    fill_from_cosmos(network, tensors, str(folder))
    return network.eval()


def save_cosmos(network: VideoAutoencoder, folder: Path | str) -> None:
    """Write a new folder that diffusers' `AutoencoderKLCosmos` and `load_cosmos` read. ConfigError for what the layout cannot say."""
    config = cosmos_config(network.config)
    with folder_written_whole(Path(folder)) as temporary:
        save_file(cosmos_tensors(network), temporary / WEIGHTS)
        write_json(temporary / "config.json", config)


def read_cosmos_config(given: object) -> TokenizerConfig:
    """Our settings for the content of their config.json. ConfigError when it is another kind of model or not built here."""
    if not isinstance(given, Mapping) or given.get("_class_name", _CLASS) != _CLASS:
        kind = given.get("_class_name") if isinstance(given, Mapping) else type(given).__name__
        raise ConfigError(f"config.json describes a model of type {kind!r}, not {_CLASS}")
    theirs = {name: given.get(name, assumed) for name, assumed in _ASSUMED.items()}
    for name, value in theirs.items():
        assumed = _ASSUMED[name]
        if name in _FIXED and value != assumed:
            raise ConfigError(f"config.json: {name} must be {assumed!r}, received {value!r}; such a network is not built here")
        numbers = value if isinstance(assumed, list) else [value]
        if name not in _FIXED and not (isinstance(numbers, list) and all(type(number) is int and number > 0 for number in numbers)):
            raise ConfigError(f"config.json: {name} must be like {assumed!r}, received {value!r}")
    first, *widths = theirs["encoder_block_out_channels"] or [1]
    side = theirs["resolution"] // theirs["patch_size"]
    space = theirs["spatial_compression_ratio"]
    config = TokenizerConfig(
        rate=f"{theirs['temporal_compression_ratio']}x{space}x{space}",
        channels=first,
        multipliers=tuple(width // first for width in widths),
        blocks=theirs["num_layers"],
        latent_channels=theirs["latent_channels"],
        patch=theirs["patch_size"],
        attention_levels=tuple(level for level in range(len(widths)) if side >> level in theirs["attention_resolutions"]),
    )
    for name in ("encoder_block_out_channels", "decode_block_out_channels"):
        if cosmos_config(config)[name] != theirs[name]:
            raise ConfigError(f"config.json: {name} = {theirs[name]} are not whole multiples as here; such a network is not built here")
    return config


def cosmos_config(config: TokenizerConfig) -> dict[str, object]:
    """The content of their config.json for a network of ours. ConfigError for what the layout cannot say."""
    if config.bottleneck != "plain" or config.linear_path or not config.in_time:
        raise ConfigError(
            f"this layout knows plain networks of video without a linear path only, received bottleneck = {config.bottleneck}, "
            f"linear_path = {config.linear_path}, rate = {config.rate}; "
            f"keep such a network in our own checkpoints"
        )
    widths = [config.channels * multiplier for multiplier in config.multipliers]
    return {
        "_class_name": _CLASS,
        **_ASSUMED,
        "latent_channels": config.latent_channels,
        "encoder_block_out_channels": [config.channels, *widths],
        "decode_block_out_channels": [*widths, widths[-1]],
        "attention_resolutions": [_RESOLUTION // config.patch >> level for level in config.attention_levels],
        "num_layers": config.blocks,
        "patch_size": config.patch,
        "spatial_compression_ratio": config.space_rate,
        "temporal_compression_ratio": config.time_rate,
        "latents_mean": None,
        "latents_std": None,
    }


def cosmos_tensors(network: VideoAutoencoder) -> dict[str, Tensor]:
    """Every weight under their name, as float32 on the CPU: queries, keys and values apart, matrices as kernels of 1 x 1 x 1."""
    found = {}
    for ours, tensor in network.state_dict().items():
        names = _their_names(ours)
        for name, part in zip(names, tensor.detach().cpu().float().chunk(len(names)), strict=True):
            found[name] = (part[..., None, None, None] if part.ndim == 2 else part).clone(memory_format=torch.contiguous_format)
    return found


@torch.no_grad()
def fill_from_cosmos(network: VideoAutoencoder, theirs: Mapping[str, Tensor], source: str) -> None:
    """Give a network the weights that have their names. CheckpointError, and nothing changed, where some lack, fit nowhere or misfit."""
    targets = network.state_dict()
    wanted = {name: part for ours, tensor in targets.items() for name, part in _parts(ours, tensor).items()}
    faults = [f"{name} is missing" for name in wanted if name not in theirs]
    faults += [f"{name} is unknown" for name in theirs if name not in wanted]
    for name in wanted.keys() & theirs.keys():
        if theirs[name].shape not in (wanted[name].shape, (*wanted[name].shape, 1, 1, 1)):
            faults.append(f"{name} has the shape {tuple(theirs[name].shape)}, not {tuple(wanted[name].shape)}")
    if faults:
        shown = "; ".join(sorted(faults)[:5])
        raise CheckpointError(f"{source}: {len(faults)} tensors do not fit the network ({shown}); give the weights of its own config.json")
    for name, part in wanted.items():
        part.copy_(theirs[name].reshape(part.shape))


def _parts(ours: str, tensor: Tensor) -> dict[str, Tensor]:
    """Views of one of our tensors under their names."""
    names = _their_names(ours)
    return dict(zip(names, tensor.chunk(len(names)), strict=True))


def _their_names(ours: str) -> tuple[str, ...]:
    for pattern, theirs in _RENAMED:
        ours = pattern.sub(theirs, ours)
    return tuple(ours.replace(_MIXED, part) for part in _SEPARATE) if _MIXED in ours else (ours,)
