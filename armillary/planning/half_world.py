"""A world of 16-bit numbers beside a world: imagining in it is faster where a processor multiplies them faster."""

import copy

import torch
from torch import Tensor, nn

from armillary.core import ConfigError, World


class HalfWorld:
    """Keeps a bfloat16 copy of the last world that it was asked for, and its weights up to date."""

    def __init__(self):
        self._world: World | None = None
        self._copy: nn.Module | None = None
        self._numbers: list[Tensor] = []  # of the world; to list them anew for every batch of candidates takes longer than to look at them
        self._versions: list[int] = []

    @torch.no_grad()
    def of(self, world: World) -> World:
        """The copy. ConfigError for a world that has no weights."""
        if not isinstance(world, nn.Module):
            raise ConfigError(
                f"planner.precision bf16 is for worlds that have weights, which {type(world).__name__} has not; use planner.precision fp32"
            )
        if self._world is not world:
            self._world, self._copy = world, copy.deepcopy(world).bfloat16().requires_grad_(False)
            self._numbers, self._versions = _numbers(world), []
        versions = [one._version for one in self._numbers]
        if versions != self._versions:
            for mine, theirs in zip(_numbers(self._copy), self._numbers, strict=True):
                mine.copy_(theirs)
            self._versions = versions
        return self._copy


def to_half(numbers: Tensor) -> Tensor:
    """float32 becomes bfloat16, all else stays."""
    return numbers.bfloat16() if numbers.dtype == torch.float32 else numbers


def to_single(numbers: Tensor) -> Tensor:
    """bfloat16 becomes float32, all else stays."""
    return numbers.float() if numbers.dtype == torch.bfloat16 else numbers


def _numbers(module: nn.Module) -> list[Tensor]:
    return [*module.parameters(), *module.buffers()]
