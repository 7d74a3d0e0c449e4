"""Compiling a training step: the blocks that a network repeats, or the whole step where none is repeated.

Blocks of one kind are compiled once, in a tenth of the time that a whole step of them takes, and run as fast.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from armillary.core import ConfigError

COMPILERS = ("g++", "clang++", "icpx", "cl")


@contextmanager
def compiled(network: nn.Module, call: Callable, device: torch.device) -> Iterator[Callable]:
    """`call`, the repeated blocks of `network` being compiled within the block; raises ConfigError on a CPU without a C++ compiler.

    Afterwards the network is as it was: what is done with it next has other shapes, and would be compiled anew for each.
    """
    require_compiler(device)
    blocks = repeated_blocks(network)
    for block in blocks:
        block.forward = torch.compile(block.forward, dynamic=False)
    try:
        yield call if blocks else torch.compile(call)
    finally:
        for block in blocks:
            del block.forward


def repeated_blocks(network: nn.Module) -> list[nn.Module]:
    """Members of lists of modules that are called and are of one kind and size, the outermost of such lists."""
    blocks: list[nn.Module] = []
    inside: set[nn.Module] = set()
    for part in network.modules():  # a module comes before what is in it
        if part not in inside and isinstance(part, nn.ModuleList) and _repeats(part):
            blocks += part
            inside.update(deep for member in part for deep in member.modules())
    return blocks


def _repeats(members: nn.ModuleList) -> bool:
    forms = {(type(member), *(tuple(weight.shape) for weight in member.parameters())) for member in members}
    return len(members) > 1 and len(forms) == 1 and type(members[0]).forward is not nn.Module.forward


def require_compiler(device: torch.device) -> None:
    """ConfigError on a CPU without a C++ compiler."""
    names = [os.environ["CXX"]] if os.environ.get("CXX") else COMPILERS
    if device.type == "cpu" and not any(shutil.which(name) for name in names):
        raise ConfigError(
            f"train.compile needs a C++ compiler on a CPU, and none of {', '.join(names)} was found: install one (Debian: "
            "`apt install g++`), name yours in the environment variable CXX, or set train.compile=false"
        )
