"""Noise that does not depend on how many processes share the batch.

A loss draws its noise from the generator it is handed, for the rows it sees. When a rank sees rows `i:j` of the whole
batch, its noise must be rows `i:j` of the noise for the whole batch: then one process and eight do the same sums.
"""

from collections.abc import Callable

import torch
from torch import Generator, Tensor
from torch.overrides import TorchFunctionMode

_BY_SHAPE = {torch.randn, torch.rand}
_BY_SHAPE_AFTER_LIMITS = {torch.randint, torch.normal}
_IN_PLACE = {
    Tensor.normal_,
    Tensor.uniform_,
    Tensor.exponential_,
    Tensor.random_,
    Tensor.log_normal_,
    Tensor.cauchy_,
    Tensor.geometric_,
}
_BY_PROBABILITY = {torch.bernoulli, torch.multinomial, Tensor.bernoulli, Tensor.multinomial}


class ShardedNoise(TorchFunctionMode):
    """Within the block, draws from `rng` whose first axis is a multiple of the rank's rows are drawn for the whole batch.

    `first:last` are this rank's rows of a batch of `whole` rows, and `gather` joins every rank's tensor along the first
    axis. Draws of another first axis (one number for the whole batch, say) are the same on every rank.
    """

    def __init__(self, rng: Generator, *, first: int, last: int, whole: int, gather: Callable[[Tensor], Tensor]):
        super().__init__()
        self._rng, self._first, self._last, self._whole, self._gather = rng, first, last, whole, gather

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if kwargs.get("generator") is not self._rng:
            return function(*args, **kwargs)
        if function in _IN_PLACE:
            target = args[0]
            whole = target.new_empty(self._widened(target.shape))
            return target.copy_(self._mine(function(whole, *args[1:], **kwargs), target.shape))
        if function in _BY_PROBABILITY or (function is torch.normal and isinstance(args[0], Tensor)):
            gathered = [self._gather(value) if isinstance(value, Tensor) else value for value in args]
            return self._mine(function(*gathered, **kwargs), args[0].shape)
        if function in _BY_SHAPE:
            shape = _shape(args or (kwargs.pop("size"),))
            return self._mine(function(self._widened(shape), **kwargs), shape)
        if function in _BY_SHAPE_AFTER_LIMITS:
            limits, size = (args, kwargs.pop("size")) if "size" in kwargs else (args[:-1], args[-1])
            shape = tuple(size)
            return self._mine(function(*limits, self._widened(shape), **kwargs), shape)
        return function(*args, **kwargs)

    def _multiple(self, shape) -> int:
        """How many rows of noise each row of the batch has; 0 when the noise does not follow the batch."""
        rows = self._last - self._first
        return shape[0] // rows if len(shape) and shape[0] and shape[0] % rows == 0 else 0

    def _widened(self, shape) -> tuple[int, ...]:
        multiple = self._multiple(shape)
        return (multiple * self._whole, *shape[1:]) if multiple else tuple(shape)

    def _mine(self, whole: Tensor, shape) -> Tensor:
        multiple = self._multiple(shape)
        return whole[multiple * self._first : multiple * self._last] if multiple else whole


def _shape(args) -> tuple[int, ...]:
    return tuple(args[0]) if isinstance(args[0], (tuple, list)) else tuple(args)
