"""Finite scalar quantisation (FSQ, arXiv:2309.15505): each channel is rounded to a few levels, and the codes are all their combinations."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from armillary.core import ConfigError
from armillary.nn.quantise import Quantised, Quantiser, require_codes, straight_through

MARGIN = 1e-3  # the bound reaches this share beyond the outermost levels, so that they can be reached
MOST_LEVELS = 1000  # with more, the margin would round to a level that does not exist
MOST_CODES = 2**62  # codes are int64


class Fsq(Quantiser):
    """One channel for each entry of `levels`; channel i takes `levels[i]` values in [-1, 1]. Nothing to learn, and no code can be lost.

    A code is the number whose digits are the levels, the first channel being the fastest: (8, 8, 8, 5, 5, 5) gives 64,000 codes. The
    paper advises at least 5 levels a channel. ConfigError for levels that make no codes.

    >>> fsq = Fsq((8, 5))
    >>> fsq.codes_to_z(torch.tensor([0, 7, 39])).tolist()
    [[-1.0, -1.0], [0.75, -1.0], [0.75, 1.0]]
    """

    def __init__(self, levels: Sequence[int]):
        if not levels or not all(2 <= count <= MOST_LEVELS for count in levels) or math.prod(levels) > MOST_CODES:
            raise ConfigError(
                f"levels must be one whole number from 2 to {MOST_LEVELS} a channel, with a product of at most 2^62; "
                f"received {tuple(levels)}; (8, 8, 8, 5, 5, 5) makes 64,000 codes"
            )
        super().__init__(num_codes=math.prod(levels), size=len(levels))
        place_values = [math.prod(levels[:channel]) for channel in range(len(levels))]
        # Known from the settings, so not kept with the weights.
        self.register_buffer("levels", torch.tensor(levels), persistent=False)
        self.register_buffer("place_values", torch.tensor(place_values), persistent=False)

    def bound(self, z: Float[Tensor, "*lead d"]) -> Float[Tensor, "*lead d"]:
        """The smooth value that is rounded: from -L // 2 to (L - 1) // 2, zero at zero. Channels come last here.

        An even number of levels has none in the middle: the tanh is moved down by half a level, and its argument so that zero stays zero.
        """
        half_range = (self.levels.to(z.dtype) - 1) * (1 + MARGIN) / 2
        offset = torch.where(self.levels % 2 == 0, 0.5, 0.0).to(z.dtype)
        return torch.tanh(z + torch.atanh(offset / half_range)) * half_range - offset

    def quantise(self, z: Float[Tensor, "b d *places"]) -> Quantised:
        self.require_size(z)
        # At least float32: in bfloat16 the steps of the tanh are as large as the levels of a fine channel.
        bounded = self.bound(z.movedim(1, -1).to(torch.promote_types(z.dtype, torch.float32)))
        rounded = bounded.detach().round()
        values = straight_through(rounded, bounded) / (self.levels // 2)
        codes = ((rounded.long() + self.levels // 2) * self.place_values).sum(-1)
        return Quantised(z=values.movedim(-1, 1).to(z.dtype), codes=codes, losses={})

    def codes_to_z(self, codes: Int[Tensor, "b *places"]) -> Float[Tensor, "b d *places"]:
        require_codes(codes, self.num_codes)
        digits = codes[..., None] // self.place_values % self.levels
        half = self.levels // 2
        return ((digits - half).float() / half).movedim(-1, 1)
