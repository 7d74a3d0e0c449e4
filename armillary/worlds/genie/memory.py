"""Memory beyond the window: of every view that has left it the latest look is kept, as codes, and those most like now are looked at again.

A frame that leaves the window belongs to a view that is kept already, if so few of its places differ from the first look at that view that
nothing but the things in it can have moved; then it replaces the latest look. Else it is a view of its own. So what is kept grows with the
places that were seen, not with time, and when there is no more room the view that was not seen for longest is forgotten. Frames looked up
by likeness to condition what is drawn next are as in WorldMem (arXiv:2504.12369) and Context as Memory (arXiv:2506.03141), where the
camera's place says what is alike; here the codes do. Keeping a frame where the view has changed enough is what keyframes are in SLAM.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from armillary.core import State
from armillary.nn.quantise import Quantiser
from armillary.worlds.genie.alike import differ, places

NEW_VIEW = 0.2  # of a frame's places: with more that differ it is another view


@dataclass(frozen=True)
class Memory(State):
    """The codes of the latest `looks` at up to `m` views and of the `first` ones; newest last, `count` of them there."""

    looks: Int[Tensor, "b m r c"]
    first: Int[Tensor, "b m r c"]
    count: Int[Tensor, " b"]

    def there(self) -> Bool[Tensor, "b m"]:
        """Which of the `m` views are."""
        length = self.looks.shape[1]
        return torch.arange(length, device=self.count.device) >= length - self.count[:, None]


def no_memory(codes: Int[Tensor, "b r c"], length: int) -> Memory:
    """Room for `length` views of frames like these."""
    nothing = codes.new_zeros(len(codes), length, *codes.shape[1:])
    return Memory(looks=nothing, first=nothing, count=codes.new_zeros(len(codes)))


def remember(memory: Memory, quantiser: Quantiser, codes: Int[Tensor, "b r c"], leaves: Bool[Tensor, " b"]) -> Memory:
    """The memory after frames have left the window of the rows that `leaves` names."""
    changed = differ(quantiser, codes[:, None], memory.first).float().mean(dim=-1).masked_fill(~memory.there(), torch.inf)
    nearest, least = changed.argmin(dim=1), changed.amin(dim=1)
    known = least < NEW_VIEW
    length = memory.looks.shape[1]
    gone = torch.where(known, nearest, 0)  # what makes room: the earlier look at this view, or the oldest
    order = torch.arange(length - 1, device=codes.device).expand(len(codes), -1)
    order = order + (order >= gone[:, None])
    rows = torch.arange(len(codes), device=codes.device)
    first = torch.where(known[:, None, None], memory.first[rows, nearest], codes)
    moved = Memory(
        looks=torch.cat([memory.looks[rows[:, None], order], codes[:, None]], dim=1),
        first=torch.cat([memory.first[rows[:, None], order], first[:, None]], dim=1),
        count=(memory.count + ~known).clamp_max(length),
    )
    pairs = {name: (tensor, moved.tensors()[name]) for name, tensor in memory.tensors().items()}
    return memory.with_tensors({name: torch.where(leaves.view(-1, *[1] * (old.ndim - 1)), new, old) for name, (old, new) in pairs.items()})


def recall(
    memory: Memory, quantiser: Quantiser, now: Int[Tensor, "b r c"], count: int
) -> tuple[Int[Tensor, "b f r c"], Bool[Tensor, "b f"]]:
    """(the latest looks at the `count` views most like the frame `now`, the most like it first; which of them are there)."""
    far = (places(quantiser, now[:, None]) - places(quantiser, memory.looks)).square().sum(dim=(2, 3))
    order = far.masked_fill(~memory.there(), torch.inf).argsort(dim=1, stable=True)[:, :count]
    return memory.looks[torch.arange(len(now), device=now.device)[:, None], order], memory.there().gather(1, order)


def recall_in_window(
    quantiser: Quantiser, codes: Int[Tensor, "b s r c"], *, first: int, context: int, count: int, length: int, remembers: Bool[Tensor, " b"]
) -> tuple[Int[Tensor, "b t f r c"], Bool[Tensor, "b t f"]]:
    """What is recalled when each of the frames `first` + 1 ... of a recording is drawn, as when playing: of the frames that have left the
    window of `context` frames by then. Rows that do not `remember` have nothing in memory, as at a start."""
    memory, found = no_memory(codes[:, 0], min(length, codes.shape[1])), []
    for now in range(codes.shape[1] - 1):
        if now >= context:
            memory = remember(memory, quantiser, codes[:, now - context], remembers)
        if now >= first:
            found.append(recall(memory, quantiser, codes[:, now], count))
    return torch.stack([looks for looks, _ in found], dim=1), torch.stack([there for _, there in found], dim=1)
