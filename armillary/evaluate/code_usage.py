"""How much of its codes a discrete tokenizer uses, and what they cost in bits."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from armillary.core import ConfigError, DataError
from armillary.nn.quantise import count_codes, entropy_nats, require_codes


@dataclass(frozen=True, kw_only=True)
class CodeUsage:
    """Which of `num_codes` codes were seen at `num_positions` places of a dataset.

    No more codes can be seen than there were places: a share means little without `num_positions`, and shares over different numbers of
    places do not compare. The entropy is that of the counts, which is too low where places are few for the number of codes.
    """

    num_codes: int
    num_positions: int
    num_used: int
    entropy_bits: float

    @property
    def share(self) -> float:
        """Codes used, of those that could have been: of all codes, or of the number of places where that is smaller."""
        return self.num_used / min(self.num_codes, self.num_positions)

    @property
    def uniform_share(self) -> float:
        """What `share` would be on average, had each place drawn its code at random with equal chances.

        As many places as codes give 63 %, three times as many 95 %: fewer than that cannot show that codes lie idle.
        """
        missed = (1.0 - 1.0 / self.num_codes) ** self.num_positions
        return self.num_codes * (1.0 - missed) / min(self.num_codes, self.num_positions)

    @property
    def perplexity(self) -> float:
        """The number of codes that, all as frequent, would have this entropy: 1 to `num_codes`."""
        return 2.0**self.entropy_bits


class CodeCounts:
    """Counts codes over a dataset, in pieces of any shape. `counts` can be summed over processes. ConfigError for less than one code.

    >>> seen = CodeCounts(8)
    >>> seen.update(torch.tensor([[0, 1], [1, 0]]))
    >>> seen.usage()
    CodeUsage(num_codes=8, num_positions=4, num_used=2, entropy_bits=1.0)
    >>> seen.usage().share
    0.5
    """

    def __init__(self, num_codes: int):
        if num_codes < 1:
            raise ConfigError(f"counting codes needs num_codes of 1 or more, received {num_codes}")
        self.num_codes = num_codes
        self.counts: Int[Tensor, " num_codes"] = torch.zeros(num_codes, dtype=torch.int64)

    def update(self, codes: Int[Tensor, "*shape"]) -> None:
        """Count the codes of one more piece. DataError for a code that does not exist."""
        require_codes(codes, self.num_codes)
        self.counts += count_codes(codes, self.num_codes).to(self.counts.device)

    def usage(self) -> CodeUsage:
        """What was seen so far. DataError when that is nothing."""
        total = int(self.counts.sum())
        if not total:
            raise DataError("no code was counted, so none can be said to be used; give `update` the codes of at least one picture")
        return CodeUsage(
            num_codes=self.num_codes,
            num_positions=total,
            num_used=int((self.counts > 0).sum()),
            entropy_bits=float(entropy_nats(self.counts)) / math.log(2.0),
        )


def bits_per_code(num_codes: int) -> float:
    """What one code costs, in bits, where each takes the same room: log2 of their number. ConfigError for less than one code.

    A perfect coder that knows how frequent each code is would need `CodeUsage.entropy_bits`, which is less.

    >>> round(bits_per_code(64_000), 3)
    15.966
    """
    if num_codes < 1:
        raise ConfigError(f"the cost of a code needs num_codes of 1 or more, received {num_codes}")
    return math.log2(num_codes)


def bits_per_pixel(num_codes: int, *, num_positions: int, num_pixels: int) -> float:
    """What `num_positions` codes cost for each of the `num_pixels` pixels (frames x height x width) that they stand for.

    A causal tokenizer makes 1 + T / k layers of codes of 1 + T frames, so the rate depends on the length: count both over a whole video.
    ConfigError for no pixels.

    >>> round(bits_per_pixel(64_000, num_positions=5 * 16 * 16, num_pixels=17 * 128 * 128), 4)  # 4x8x8, 17 frames
    0.0734
    """
    if num_pixels < 1 or num_positions < 0:
        raise ConfigError(
            f"bits a pixel need at least one pixel and no negative number of codes, received {num_pixels} and {num_positions}"
        )
    return bits_per_code(num_codes) * num_positions / num_pixels
