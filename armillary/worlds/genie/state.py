"""Where a Genie world is."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from armillary.core import State
from armillary.nn.quantise import Quantiser
from armillary.worlds.genie.detail import Detail
from armillary.worlds.genie.memory import Memory, remember


@dataclass(frozen=True)
class GenieState(State):
    """The last `t` frames, newest last, of which the last `count` are there: pictures, codes, and the latent actions that led to them.

    `known` and `drawn` hold the keys and values that the dynamics and the tokenizer's decoder need of those frames: they follow from the
    rest, and save computing it again. `text` says what goes on from the next step on (UTF-8; of a world that hears).
    `memory` holds what was seen before these frames (of a world that has one), `detail` what codes lost of the last real one.
    """

    pictures: Float[Tensor, "b t 3 h w"]
    codes: Int[Tensor, "b t r c"]
    actions: Int[Tensor, "b t"]
    count: Int[Tensor, " b"]
    known: Float[Tensor, "b l 2 t n u"]
    drawn: Float[Tensor, "b k 2 t n v"]
    text: UInt8[Tensor, "b e"] | None = None
    memory: Memory | None = None
    detail: Detail | None = None

    def there(self) -> Bool[Tensor, "b t"]:
        """Which of the `t` frames are."""
        return are_there(self.count, self.codes.shape[1])

    def remembered(self, quantiser: Quantiser) -> Memory | None:
        """The memory when the window moves on by a frame: what leaves it is remembered, unless it was never there."""
        if self.memory is None:
            return None
        return remember(self.memory, quantiser, self.codes[:, 0], self.count == self.codes.shape[1])

    def then(self, *, picture: Tensor, codes: Tensor, action: Tensor, known: Tensor, drawn: Tensor, memory: Memory | None) -> "GenieState":
        """One frame later; the oldest is dropped."""
        return replace(
            self,
            memory=memory,
            pictures=torch.cat([self.pictures[:, 1:], picture[:, None]], dim=1),
            codes=torch.cat([self.codes[:, 1:], codes[:, None]], dim=1),
            actions=torch.cat([self.actions[:, 1:], action[:, None]], dim=1),
            count=(self.count + 1).clamp_max(self.codes.shape[1]),
            known=torch.cat([self.known[:, :, :, 1:], known], dim=3),
            drawn=torch.cat([self.drawn[:, :, :, 1:], drawn], dim=3),
        )


def are_there(count: Int[Tensor, " b"], steps: int) -> Bool[Tensor, "b t"]:
    """Which of `steps` frames are among the last `count`."""
    return torch.arange(steps, device=count.device) >= steps - count[:, None]
