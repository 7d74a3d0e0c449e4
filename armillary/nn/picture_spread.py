"""How far a pattern's coefficient is expected to spread over real pictures: what brings inputs of very different size near unit deviation.

Pixels of real pictures in [-1, 1] are alike the nearer they are. With the covariance 0.99^d, d being the distance in pixels and a frame
counting as half a pixel, the coefficients of Haar's bands and of the DCT are met within a factor of about 1.5 on 88 pieces of real video
(docs/LOG.md). The two differences of colour spread a tenth as far as brightness does.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

LIKENESS, FRAME, COLOUR_SPREAD = 0.99, 0.5, 0.1


def expected_spread(patterns: Float[Tensor, "k n"], shape: Sequence[int]) -> Float[Tensor, " k"]:
    """The deviation of each pattern's coefficient, in float64; a pattern has a number for every place of a block of `shape` (t h w).

    >>> expected_spread(torch.full((1, 64), 1 / 64), (1, 8, 8)) > expected_spread(torch.eye(64)[:1] - torch.eye(64)[1:2], (1, 8, 8))
    tensor([True])
    """
    places = torch.cartesian_prod(*(torch.arange(size, dtype=torch.float64) for size in shape)).reshape(-1, len(shape))
    places[:, 0] *= FRAME
    covariance = LIKENESS ** torch.cdist(places, places)
    patterns = patterns.double()
    return (patterns @ covariance * patterns).sum(1).sqrt()
