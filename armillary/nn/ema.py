"""An exponential moving average of weights: steadier than the last step's, and what validation and later use see."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor


class Ema:
    """Keeps `average <- d average + (1 - d) value` beside named tensors.

    The decay grows as `d = min(decay, (1 + n) / (10 + n))` with the number `n` of updates, so that the first values,
    which are near random weights, are soon forgotten.
    """

    def __init__(self, tensors: Mapping[str, Tensor], decay: float):
        if not 0 < decay < 1:
            raise ValueError(f"the decay of an average must lie between 0 and 1, received {decay}")
        self.decay = decay
        self._live = dict(tensors)
        self.averages = {name: tensor.detach().clone() for name, tensor in tensors.items()}

    @torch.no_grad()
    def update(self, count: int) -> None:
        """Take in the present values; `count` updates were made before this one."""
        decay = min(self.decay, (1 + count) / (10 + count))
        for name, average in self.averages.items():
            average.lerp_(self._live[name].detach(), 1 - decay)

    @contextmanager
    def swapped(self) -> Iterator[None]:
        """Within the block the live tensors hold the averages; after it their own values again, to the bit."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for name, average in self.averages.items():
            live = self._live[name]
            kept = live.detach().clone()
            live.copy_(average)
            average.copy_(kept)
