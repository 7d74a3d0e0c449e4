"""Low-rank updates of frozen weights (LoRA, arXiv:2106.09685): W + B A, where A has `rank` rows and B begins as zero.

peft computes them while a run trains. What they add up to is plain algebra, so weights that hold updates are read without peft.
"""

import re
from collections.abc import Collection, Mapping

import torch
from torch import Tensor, nn

from armillary.core import CheckpointError, ConfigError

_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)  # these alone: whoever derives from them may read the weight past the update
_FROZEN, _DOWN, _UP = ".base_layer.", ".lora_A.default.weight", ".lora_B.default.weight"


def add_low_rank(module: nn.Module, rank: int, *, learned: Collection[str], seed: int) -> None:
    """Freeze `module`, but for the tensors named in `learned`, and give its linear and convolutional layers updates of `rank`.

    Frozen parameters become buffers, so that no world's `begin_phase` can wake them; what learns is what is left of `parameters()`.
    Layers with a tensor in `learned`, and those that need no gradient already, get no update. A layer whose smaller side is below
    `rank` gets updates of that side. ConfigError without peft, or where there is nothing to update.
    """
    if rank < 1:
        raise ConfigError(f"the rank of low-rank updates must be at least 1; received {rank}")
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise ConfigError("low-rank updates need peft: pip install 'armillary[lora]', or train without --lora") from error
    ranks = {name: min(rank, *layer.weight.flatten(1).shape) for name, layer in _adaptable(module, learned).items()}
    if not ranks:
        raise ConfigError(f"{type(module).__name__} has no linear or convolutional layer to update; train without --lora")
    # Whole names: of a plain one peft takes every layer whose name ends with it. The scale of an update is lora_alpha / rank: 1
    # everywhere, so that weights and updates alone say what the layer is.
    pattern = {f"^{re.escape(name)}": rank for name, rank in ranks.items()}
    names = "|".join(re.escape(name) for name in ranks)
    config = LoraConfig(r=rank, lora_alpha=rank, target_modules=names, rank_pattern=pattern, alpha_pattern=pattern)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        inject_adapter_in_model(config, module)
    _freeze(module, learned)


def is_update(name: str) -> bool:
    """Whether a tensor of this name is part of a low-rank update.

    >>> is_update("enter.lora_A.default.weight"), is_update("enter.base_layer.weight")
    (True, False)
    """
    return name.endswith((_DOWN, _UP))


def plain_name(name: str) -> str:
    """What a frozen tensor is called in a module without updates.

    >>> plain_name("enter.base_layer.weight")
    'enter.weight'
    """
    return name.replace(_FROZEN, ".")


def merged(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors with every update added to its weight, by the names that layers have without updates. CheckpointError for half of one."""
    whole = {plain_name(name): tensor for name, tensor in tensors.items() if not is_update(name)}
    for name, down in tensors.items():
        if name.endswith(_DOWN):
            layer = name.removesuffix(_DOWN)
            weight, up = whole.get(f"{layer}.weight"), tensors.get(layer + _UP)
            if weight is None or up is None:
                raise CheckpointError(f"the low-rank update of {layer} is not whole; take the file from its run again")
            whole[f"{layer}.weight"] = weight + (up.flatten(1) @ down.flatten(1)).reshape(weight.shape)
    return whole


def _adaptable(module: nn.Module, learned: Collection[str]) -> dict[str, nn.Module]:
    layers = {name: layer for name, layer in module.named_modules() if type(layer) in _LAYERS and layer.weight.requires_grad}
    whole = {name for name, layer in layers.items() if any(f"{name}.{part}" in learned for part, _ in layer.named_parameters())}
    return {name: layer for name, layer in layers.items() if name not in whole and _is_plain(layer)}


def _is_plain(layer: nn.Module) -> bool:
    """Whether peft's update of a layer goes the same way as the layer: it knows no groups, no dilation and no padding but zeros."""
    return isinstance(layer, nn.Linear) or (layer.groups == 1 and set(layer.dilation) == {1} and layer.padding_mode == "zeros")


def _freeze(module: nn.Module, learned: Collection[str]) -> None:
    for prefix, part in module.named_modules():
        for name, parameter in list(part.named_parameters(recurse=False)):
            full = f"{prefix}.{name}" if prefix else name
            if full in learned or is_update(full):
                parameter.requires_grad_(True)
                continue
            delattr(part, name)
            part.register_buffer(name, parameter.detach())
