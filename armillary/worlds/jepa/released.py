"""Released V-JEPA 2 weights: a folder (or a hub id) with config.json and safetensors, in the layout of transformers' `VJEPA2Model`."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from armillary.core import CheckpointError, ConfigError, DataError, WorldError
from armillary.core.hub import fetch
from armillary.core.storage import folder_written_whole, read_json, write_json
from armillary.train.checkpoint import read_tensors, write_tensors
from armillary.train.tensors import write_weights
from armillary.worlds.jepa.vit import VisionTransformer, check_picture
from armillary.worlds.jepa.vjepa2 import Sizes, VJepa2

_WEIGHTS, _INDEX = "model.safetensors", "model.safetensors.index.json"
_SHARD = re.compile(r"[A-Za-z0-9_][\w.-]*\.safetensors")
_IGNORED = ("pooler.", "classifier.")  # heads of a fine-tuned classifier

# Ours -> theirs, for whole numbers and numbers that decide the networks.
_SETTINGS = {
    "width": "hidden_size",
    "depth": "num_hidden_layers",
    "heads": "num_attention_heads",
    "mlp_ratio": "mlp_ratio",
    "patch_size": "patch_size",
    "tubelet_size": "tubelet_size",
    "predictor_width": "pred_hidden_size",
    "predictor_depth": "pred_num_hidden_layers",
    "predictor_heads": "pred_num_attention_heads",
    "predictor_mlp_ratio": "pred_mlp_ratio",
    "num_mask_tokens": "pred_num_mask_tokens",
    "bias": "qkv_bias",
}
# What transformers assumes where a config.json is silent: configs hold what differs from this.
_ASSUMED = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "mlp_ratio": 4.0,
    "patch_size": 16,
    "tubelet_size": 2,
    "pred_hidden_size": 384,
    "pred_num_hidden_layers": 12,
    "pred_num_attention_heads": 12,
    "pred_mlp_ratio": 4.0,
    "pred_num_mask_tokens": 10,
    "qkv_bias": True,
}
_FIXED = {"model_type": "vjepa2", "hidden_act": "gelu", "layer_norm_eps": 1e-6, "in_chans": 3}

_BLOCK_PARTS = {
    "attention_norm": "norm1",
    "attention.join": "attention.proj",
    "feed_forward_norm": "norm2",
    "feed_forward.widen": "mlp.fc1",
    "feed_forward.narrow": "mlp.fc2",
}
_PARTS = {
    "encoder.embed": "encoder.embeddings.patch_embeddings.proj",
    "encoder.norm": "encoder.layernorm",
    "predictor.enter": "predictor.embeddings.predictor_embeddings",
    "predictor.norm": "predictor.layernorm",
    "predictor.leave": "predictor.proj",
}
_MASK_TOKENS = ("predictor.mask_tokens", "predictor.embeddings.mask_tokens")
_MIXED = "attention.queries_keys_values"
_SEPARATE = ("attention.query", "attention.key", "attention.value")


@dataclass(frozen=True)
class Release:
    """A folder of released weights, opened: its sizes are known, its tensors are read when asked for."""

    folder: Path
    sizes: Sizes

    def tensors(self) -> dict[str, Tensor]:
        """Encoder and predictor by our names. CheckpointError names what is missing or of another shape."""
        theirs = {}
        for path in _files(self.folder):
            theirs |= {name.removeprefix("vjepa2."): tensor for name, tensor in read_tensors(path).items()}
        theirs = {name: tensor for name, tensor in theirs.items() if not name.startswith(_IGNORED)}
        return _to_ours(theirs, self.sizes, self.folder)

    def fill(self, networks: VJepa2) -> None:
        """Give networks of these sizes the released weights; the target encoder gets the encoder's. ConfigError for other sizes."""
        if networks.sizes != self.sizes:
            unlike = dict(vars(self.sizes).items() - vars(networks.sizes).items())
            wanted = " ".join(f"--model.{name.replace('_', '-')} {value}" for name, value in sorted(unlike.items()))
            raise ConfigError(f"{self.folder} holds a network of other sizes; choose the preset that has them, or give {wanted}")
        tensors = self.tensors()
        for part in ("encoder", "predictor"):
            mine = {name.removeprefix(f"{part}."): tensor for name, tensor in tensors.items() if name.startswith(f"{part}.")}
            write_weights(getattr(networks, part), mine, str(self.folder))
        networks.copy_to_target()


def open_release(source: Path | str) -> Release:
    """The release in a folder, or behind a hub id such as facebook/vjepa2-vitl-fpc64-256 where the hub can be reached.

    Raises CheckpointError when there is none, or when it is another kind of model.
    """
    wanted = ("config.json", "*.safetensors", _INDEX)
    folder = Path(source) if Path(source).is_dir() else fetch(str(source), wanted, example="facebook/vjepa2-vitl-fpc64-256")
    path = folder / "config.json"
    try:
        config = read_json(path)
    except DataError as error:
        raise CheckpointError(f"{folder} is no released model: {error}; give a folder with config.json and {_WEIGHTS}") from error
    return Release(folder, _read_sizes(config, path))


def load_release(source: Path | str) -> VJepa2:
    """The released networks, ready to `encode`. Errors are those of `open_release`."""
    release = open_release(source)
    networks = VJepa2(release.sizes)
    release.fill(networks)
    return networks.eval()


def save_release(networks: VJepa2, folder: Path | str, *, side: int, num_frames: int, encoder: VisionTransformer | None = None) -> None:
    """Write a new folder that transformers' `VJEPA2Model` and `load_release` read.

    `side` and `num_frames` are those of the pictures trained on: square ones, since the layout knows no other. `encoder`
    is the one to give away (default: the target encoder). Raises ConfigError for what the layout cannot say.
    """
    sizes = networks.sizes
    if sizes.rotary != "released":
        raise ConfigError(f"this layout knows only model.rotary = released, the networks have {sizes.rotary!r}; train with released")
    try:
        check_picture(side, side, sizes.patch_size)
    except WorldError as error:
        raise ConfigError(f"side = {side} does not suit the networks: {error}") from error
    given = {f"encoder.{name}": tensor for name, tensor in (encoder or networks.target_encoder).state_dict().items()}
    given |= {f"predictor.{name}": tensor for name, tensor in networks.predictor.state_dict().items()}
    config = {"architectures": ["VJEPA2Model"], "dtype": "float32", "crop_size": side, "frames_per_clip": num_frames, **_FIXED}
    config |= {theirs: getattr(sizes, ours) for ours, theirs in _SETTINGS.items()}
    with folder_written_whole(Path(folder)) as temporary:
        write_tensors(temporary / _WEIGHTS, _to_theirs(given, sizes))
        write_json(temporary / "config.json", config)


def _read_sizes(config: object, path: Path) -> Sizes:
    if not isinstance(config, Mapping) or config.get("model_type") != _FIXED["model_type"]:
        kind = config.get("model_type") if isinstance(config, Mapping) else type(config).__name__
        raise CheckpointError(f"{path} describes a model of type {kind!r}, not vjepa2; give the folder of a V-JEPA 2 model")
    for name, only in _FIXED.items():
        if config.get(name, only) != only:
            raise CheckpointError(f"{path}: {name} must be {only!r}, received {config[name]!r}; such a network is not built here")
    values = {}
    for ours, theirs in _SETTINGS.items():
        value, kind = config.get(theirs, _ASSUMED[theirs]), Sizes.__dataclass_fields__[ours].type
        if isinstance(value, list) and len(set(value)) == 1:  # a patch may be given as two equal sides
            value = value[0]
        if isinstance(value, bool) != (kind is bool) or not isinstance(value, (int, float)):
            raise CheckpointError(f"{path}: {theirs} must be {'true or false' if kind is bool else 'a number'}, received {value!r}")
        values[ours] = kind(value)
    try:
        return Sizes(**values, rotary="released")
    except ValueError as error:
        raise CheckpointError(f"{path} describes a network that cannot be: {error}") from error


def _files(folder: Path) -> list[Path]:
    """The weight files: one, or those that the index names."""
    if not (folder / _INDEX).is_file():
        return [folder / _WEIGHTS]
    index = read_json(folder / _INDEX)
    named = index.get("weight_map") if isinstance(index, Mapping) else None
    if not isinstance(named, Mapping) or not all(isinstance(name, str) and _SHARD.fullmatch(name) for name in named.values()):
        raise CheckpointError(f"{folder / _INDEX} must map tensors to safetensors files beside it; download the model again")
    return [folder / name for name in sorted(set(named.values()))]


def _blocks(sizes: Sizes) -> Iterator[tuple[str, str]]:
    """(ours, theirs) of every block of both networks."""
    for part, depth in (("encoder", sizes.depth), ("predictor", sizes.predictor_depth)):
        for layer in range(depth):
            yield f"{part}.blocks.{layer}", f"{part}.layer.{layer}"


def _kinds(sizes: Sizes) -> tuple[str, ...]:
    return ("weight", "bias") if sizes.bias else ("weight",)


def _to_ours(theirs: dict[str, Tensor], sizes: Sizes, folder: Path) -> dict[str, Tensor]:
    """Renamed; queries, keys and values joined; the patch kernel as a matrix."""

    def take(name: str) -> Tensor:
        if name not in theirs:
            raise CheckpointError(f"{folder} lacks the tensor {name}; download the model again")
        return theirs.pop(name).float()

    found = {f"{ours}.{kind}": take(f"{name}.{kind}") for ours, name in _PARTS.items() for kind in ("weight", "bias")}
    found["encoder.embed.weight"] = found["encoder.embed.weight"].flatten(1)
    found[_MASK_TOKENS[0]] = take(_MASK_TOKENS[1]).flatten(1)
    for ours, name in _blocks(sizes):
        parts = _BLOCK_PARTS.items()
        found |= {f"{ours}.{mine}.{kind}": take(f"{name}.{other}.{kind}") for mine, other in parts for kind in ("weight", "bias")}
        for kind in _kinds(sizes):
            found[f"{ours}.{_MIXED}.{kind}"] = torch.cat([take(f"{name}.{part}.{kind}") for part in _SEPARATE])
    if theirs:
        raise CheckpointError(f"{folder} holds tensors that its config.json does not explain: {', '.join(sorted(theirs)[:5])}")
    return found


def _to_theirs(ours: dict[str, Tensor], sizes: Sizes) -> dict[str, Tensor]:
    """The reverse of `_to_ours`."""

    def take(name: str) -> Tensor:
        return ours.pop(name).detach().cpu().float()

    found = {f"{name}.{kind}": take(f"{mine}.{kind}") for mine, name in _PARTS.items() for kind in ("weight", "bias")}
    kernel = f"{_PARTS['encoder.embed']}.weight"
    found[kernel] = found[kernel].unflatten(1, (_FIXED["in_chans"], sizes.tubelet_size, sizes.patch_size, sizes.patch_size))
    found[_MASK_TOKENS[1]] = take(_MASK_TOKENS[0])[:, None, None]
    for mine, name in _blocks(sizes):
        parts = _BLOCK_PARTS.items()
        found |= {f"{name}.{other}.{kind}": take(f"{mine}.{part}.{kind}") for part, other in parts for kind in ("weight", "bias")}
        for kind in _kinds(sizes):
            separate = take(f"{mine}.{_MIXED}.{kind}").chunk(3)
            found |= {f"{name}.{part}.{kind}": tensor for part, tensor in zip(_SEPARATE, separate, strict=True)}
    assert not ours, f"not written: {sorted(ours)}"
    return {name: tensor.contiguous().clone() for name, tensor in found.items()}
