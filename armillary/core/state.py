"""State: where a world is. Explicit, batched, immutable, so that it can be branched, bookmarked and repeated."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import TypeVar

import torch
from jaxtyping import Int
from torch import Tensor

from armillary.core.errors import WorldError

S = TypeVar("S", bound="State")


@dataclass(frozen=True)
class State:
    """Base of every world's state: a frozen dataclass whose fields are tensors (first axis: batch), States or None.

    A step returns a new state and never writes into the old one.
    """

    @property
    def batch_size(self) -> int:
        """How many worlds this state holds side by side."""
        sizes = {len(tensor) for tensor in self.tensors().values()}
        if len(sizes) != 1:
            raise WorldError(f"{type(self).__name__} must hold tensors of one batch size, found {sorted(sizes)}")
        return sizes.pop()

    def map(self: S, function: Callable[[Tensor], Tensor]) -> S:
        """The state with `function` applied to every tensor in it."""
        changed = {}
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, Tensor):
                changed[f.name] = function(value)
            elif isinstance(value, State):
                changed[f.name] = value.map(function)
        return replace(self, **changed)

    def rows(self: S, index: Int[Tensor, " n"] | Sequence[int] | slice) -> S:
        """The chosen worlds, in that order; an index may repeat (this is how a planner branches)."""
        if not isinstance(index, slice):
            index = torch.as_tensor(index, dtype=torch.long)
        return self.map(lambda tensor: tensor[index if isinstance(index, slice) else index.to(tensor.device)])

    def repeat(self: S, count: int) -> S:
        """Each world `count` times in a row: batch `b` becomes `b * count`."""
        return self.map(lambda tensor: tensor.repeat_interleave(count, dim=0))

    def tensors(self, prefix: str = "") -> dict[str, Tensor]:
        """Every tensor by its dotted name: what is written when a state is saved."""
        found: dict[str, Tensor] = {}
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, Tensor):
                found[prefix + f.name] = value
            elif isinstance(value, State):
                found |= value.tensors(f"{prefix}{f.name}.")
        return found

    def with_tensors(self: S, tensors: dict[str, Tensor], prefix: str = "") -> S:
        """A state of this structure holding other tensors, by the names that `tensors()` gives."""
        changed = {}
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, Tensor):
                if prefix + f.name not in tensors:
                    raise WorldError(f"{type(self).__name__}: tensor {prefix + f.name!r} is missing from {sorted(tensors)}")
                changed[f.name] = tensors[prefix + f.name]
            elif isinstance(value, State):
                changed[f.name] = value.with_tensors(tensors, f"{prefix}{f.name}.")
        return replace(self, **changed)


def concatenate(states: Sequence[S]) -> S:
    """Several states of one structure as one batch."""
    if not states:
        raise ValueError("concatenate needs at least one state, received none")
    parts = [state.tensors() for state in states]
    return states[0].with_tensors({name: torch.cat([part[name] for part in parts]) for name in parts[0]})
