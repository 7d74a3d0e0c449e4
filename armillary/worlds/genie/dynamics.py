"""The dynamics: the next frame's codes all at once, from the frames before and latent actions (MaskGIT, arXiv:2202.04200; Genie, 2.1).

A code is told by its digits: with FSQ the level of each channel, with VQ the code itself. They are guessed side by side, given everything
else (factorised tokens, as in Open-MAGVIT2, arXiv:2409.04410), so a code book of billions costs no more than its levels.

Two kinds of frames pass through the same transformer. Known ones (`remember`) leave keys and values for later frames. Masked ones
(`guess`) carry only some of their codes, see the known frames before them, and say the rest. In training every frame of a window is both,
so that what is learned is what is done when playing, where the known frames' keys and values are a cache. A text, which says what goes
on, is told to masked frames alone: what went on before is seen in the known ones.
"""

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor, nn
from torch.nn import functional

from armillary.nn.byte_reader import ByteReader
from armillary.nn.fsq import Fsq
from armillary.nn.quantise import Quantiser
from armillary.nn.st_transformer import STTransformer
from armillary.worlds.genie.config import ModelConfig

COPIED_AT_FIRST = 2.0  # logit of the digit at the same place a frame before: most of a picture stays
EMBEDDING_STD = 0.3
TEXT_STD = 0.1


class Dynamics(nn.Module):
    """p(digits of the masked codes | codes that are known, frames before, latent actions)."""

    def __init__(self, config: ModelConfig, quantiser: Quantiser, grid: tuple[int, int], *, hears: bool = False):
        super().__init__()
        width = config.width
        self.config, self.grid, self.unknown = config, grid, config.num_actions
        self.levels = digit_counts(quantiser)
        self.around = nn.Conv2d(quantiser.size, width, 3, padding=1)
        self.own = nn.Linear(quantiser.size, width)
        self.masked = nn.Parameter(EMBEDDING_STD * torch.randn(width))
        self.action = nn.Embedding(config.num_actions + 1, width)
        self.transformer = STTransformer(grid=grid, past_frames=config.context_steps, width=width, depth=config.depth, heads=config.heads)
        self.heads = nn.Linear(width, len(self.levels) * max(self.levels))
        valid = torch.arange(max(self.levels)) < torch.tensor(self.levels)[:, None]
        self.register_buffer("valid", valid, persistent=False)  # digits may have different numbers of values
        self.copied = nn.Parameter(torch.full((len(self.levels),), COPIED_AT_FIRST))
        self.reader = ByteReader(config.text_width, config.text_bytes) if hears else None
        if hears:
            self.heard = nn.Linear(config.text_width, width)
            nn.init.normal_(self.heard.weight, std=TEXT_STD)
        if config.memory_frames:
            self.recalled = nn.Conv2d(config.memory_frames * (quantiser.size + 1), width, 3, padding=1)
            self.as_recalled = nn.Linear(width, config.memory_frames)
            for start in (self.as_recalled.weight, self.as_recalled.bias):  # it begins without a memory
                nn.init.zeros_(start)
        nn.init.normal_(self.action.weight, std=EMBEDDING_STD)
        nn.init.normal_(self.heads.weight, std=0.02)
        nn.init.zeros_(self.heads.bias)

    def told(self, before: Float[Tensor, "b d t r c"], actions: Int[Tensor, "b t"]) -> Float[Tensor, "b t n w"]:
        """What every token of a frame is told: the action that led there (`unknown` where nobody knows) and what lay around its place
        a frame before (zeros where there was none)."""
        around = self.around(before.transpose(1, 2).flatten(0, 1)).flatten(2).mT.unflatten(0, actions.shape)
        return around + self.action(actions)[:, :, None]

    def hear(self, text: UInt8[Tensor, "*lead k"]) -> Float[Tensor, "*lead w"]:
        """What texts add to what every masked token of a frame is told; equal texts are read once."""
        texts, which = text.flatten(0, -2).unique(dim=0, return_inverse=True)
        return self.heard(self.reader(texts).mean(dim=1))[which].unflatten(0, text.shape[:-1])

    def recall(self, z: Float[Tensor, "b t f d r c"], there: Bool[Tensor, "b t f"]) -> Float[Tensor, "b t n w"]:
        """What the latents of recalled frames, those that are `there`, add to what every masked token around their place is told."""
        seen = there[..., None, None, None].to(z.dtype)
        stacked = torch.cat([z * seen, seen.expand(-1, -1, -1, -1, *z.shape[4:])], dim=3)
        return self.recalled(stacked.flatten(0, 1).flatten(1, 2)).flatten(2).mT.unflatten(0, there.shape[:2])

    def remember(
        self,
        told: Float[Tensor, "b t n w"],
        z: Float[Tensor, "b d t r c"],
        memory: Float[Tensor, "b l 2 m n w"] | None = None,
        there: Bool[Tensor, "b k"] | None = None,
    ) -> Float[Tensor, "b l 2 t n w"]:
        """The keys and values of frames whose codes are known; `there`: which remembered ones, then which of these, are looked at."""
        return self.transformer(told + self.own(_by_place(z)), memory, there=there)[1]

    def guess(
        self,
        told: Float[Tensor, "b t n w"],
        z: Float[Tensor, "b d t r c"],
        hidden: Bool[Tensor, "b t n"],
        memory: Float[Tensor, "b l 2 m n w"],
        *,
        first: int | None = None,
        allowed: Bool[Tensor, "#b t k"] | None = None,
        there: Bool[Tensor, "b k"] | None = None,
    ) -> Float[Tensor, "b t n w"]:
        """The output at every place of frames from time `first` on (left out: after the memory), the `hidden` codes not being looked at."""
        own = torch.where(hidden[..., None], self.masked.to(told.dtype), self.own(_by_place(z)))
        return self.transformer(told + own, memory, first=first, allowed=allowed, there=there)[0]

    def logits(
        self,
        outputs: Float[Tensor, "*lead w"],
        before: Int[Tensor, "*lead g"],
        recalled: tuple[Int[Tensor, "*lead f g"], Bool[Tensor, "*lead f"]] | None = None,
    ) -> Float[Tensor, "*lead g k"]:
        """Of every value of every digit, minus infinity where it has no such value.

        `before`: the digits at that place a frame before; `recalled`: those there in recalled frames, and which of these are.
        """
        found = self.heads(outputs).float().unflatten(-1, self.valid.shape)
        copied = self.copied[:, None] * functional.one_hot(before, found.shape[-1])
        if recalled is not None:
            digits, there = recalled
            strength = self.as_recalled(outputs).float() * there
            found = found + torch.einsum("...f,...fgk->...gk", strength, functional.one_hot(digits, found.shape[-1]).float())
        return (found + copied).masked_fill(~self.valid, -torch.inf)


def digit_counts(quantiser: Quantiser) -> list[int]:
    """How many values each digit of a code has: FSQ's levels, or all codes of a learned code book."""
    return quantiser.levels.tolist() if isinstance(quantiser, Fsq) else [quantiser.num_codes]


def to_digits(codes: Int[Tensor, "*lead"], levels: list[int]) -> Int[Tensor, "*lead g"]:
    """The digits of codes, the fastest first.

    >>> to_digits(torch.tensor([13]), [8, 5]).tolist()
    [[5, 1]]
    """
    digits = []
    for count in levels:
        digits.append(codes % count)
        codes = codes // count
    return torch.stack(digits, dim=-1)


def from_digits(digits: Int[Tensor, "*lead g"], levels: list[int]) -> Int[Tensor, "*lead"]:
    """The codes of digits.

    >>> from_digits(torch.tensor([[5, 1]]), [8, 5]).tolist()
    [13]
    """
    codes = torch.zeros_like(digits[..., 0])
    for digit in reversed(range(len(levels))):
        codes = codes * levels[digit] + digits[..., digit]
    return codes


def _by_place(z: Float[Tensor, "b d t r c"]) -> Float[Tensor, "b t n d"]:
    return z.permute(0, 2, 3, 4, 1).flatten(2, 3)
