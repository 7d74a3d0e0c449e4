"""Whole tensors in and out of a model, whether it lies on one device or is sharded over several."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

from armillary.core import CheckpointError


@torch.no_grad()
def read_whole(tensor: Tensor) -> Tensor:
    """The tensor as one contiguous CPU copy. Of a sharded one every rank must ask at once."""
    whole = tensor.detach()
    if isinstance(whole, DTensor):
        whole = whole.full_tensor()
    return whole.to("cpu", copy=True, memory_format=torch.contiguous_format)


@torch.no_grad()
def write_whole(target: Tensor, whole: Tensor) -> None:
    """Copy a whole tensor into `target` in place; a sharded target keeps its own part."""
    if isinstance(target, DTensor):
        device = target.to_local().device
        whole = distribute_tensor(whole.to(device), target.device_mesh, target.placements, src_data_rank=None)
    target.copy_(whole)


def whole_weights(module: nn.Module) -> dict[str, Tensor]:
    """Every parameter and persistent buffer by name, as whole CPU tensors."""
    return {name: read_whole(tensor) for name, tensor in module.state_dict().items()}


def write_weights(module: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Copy named tensors into a module in place, all or none. Raises CheckpointError naming what is missing, unexpected or misshapen."""
    targets = module.state_dict()
    faults = [f"missing: {name}" for name in targets if name not in tensors]
    faults += [f"unexpected: {name}" for name in tensors if name not in targets]
    for name in targets.keys() & tensors.keys():
        if targets[name].shape != tensors[name].shape:
            faults.append(f"shape of {name}: the model has {tuple(targets[name].shape)}, the file {tuple(tensors[name].shape)}")
    if faults:
        shown = "\n  ".join(sorted(faults)[:20]) + ("" if len(faults) <= 20 else f"\n  and {len(faults) - 20} more")
        raise CheckpointError(f"{source} holds the weights of another model:\n  {shown}\nbuild the model with the config of its own run")
    for name, target in targets.items():
        write_whole(target, tensors[name])
