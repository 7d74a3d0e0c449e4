"""A rank's noise is its rows of the noise that one process would draw."""

import pytest
import torch

from armillary.core import seeded
from armillary.train.noise import ShardedNoise

PROBABILITIES = torch.rand(6, 5, generator=seeded(1))
DRAWS = {
    "randn of integers": lambda rows, own, rng: torch.randn(rows, 3, generator=rng),
    "randn of a shape": lambda rows, own, rng: torch.randn((rows, 2, 3), generator=rng),
    "randn by keyword": lambda rows, own, rng: torch.randn(size=(rows, 2), generator=rng),
    "rand, several to a row": lambda rows, own, rng: torch.rand(rows * 4, 2, generator=rng),
    "randint from zero": lambda rows, own, rng: torch.randint(9, (rows, 3), generator=rng),
    "randint between": lambda rows, own, rng: torch.randint(-4, 9, (rows,), generator=rng),
    "randint by keyword": lambda rows, own, rng: torch.randint(-4, 9, size=(rows,), generator=rng),
    "normal of numbers": lambda rows, own, rng: torch.normal(1.0, 2.0, (rows, 2), generator=rng),
    "normal of tensors": lambda rows, own, rng: torch.normal(own, torch.ones_like(own), generator=rng),
    "in place": lambda rows, own, rng: torch.empty(rows, 3).uniform_(1.0, 2.0, generator=rng),
    "in place, normal": lambda rows, own, rng: torch.empty(rows, 3).normal_(generator=rng),
    "bernoulli": lambda rows, own, rng: torch.bernoulli(own, generator=rng),
    "multinomial": lambda rows, own, rng: torch.multinomial(own, 2, generator=rng),
    "a method": lambda rows, own, rng: own.multinomial(2, generator=rng),
}


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize("ranks", [2, 3])
def test_rows_of_all_ranks_are_the_draw_of_one(name, ranks):
    draw, share = DRAWS[name], 6 // ranks
    alone = seeded(7)
    expected, after = draw(6, PROBABILITIES, alone), torch.rand(4, generator=alone)
    found, ends = [], []
    for rank in range(ranks):
        rng, first, last = seeded(7), rank * share, (rank + 1) * share
        whole = {id(own := PROBABILITIES[first:last]): PROBABILITIES}

        def gather(tensor, whole=whole):
            return whole.get(id(tensor), torch.ones(6, 5))

        with ShardedNoise(rng, first=first, last=last, whole=6, gather=gather):
            found.append(draw(share, own, rng))
        ends.append(torch.rand(4, generator=rng))
    assert torch.equal(torch.cat(found), expected)
    assert all(torch.equal(end, after) for end in ends)


def test_one_number_for_the_whole_batch_is_the_same_everywhere():
    with ShardedNoise(rng := seeded(3), first=3, last=6, whole=6, gather=lambda tensor: tensor):
        assert torch.equal(torch.rand((), generator=rng), torch.rand((), generator=seeded(3)))


def test_other_randomness_is_left_alone():
    other = seeded(5)
    with ShardedNoise(seeded(3), first=0, last=3, whole=6, gather=lambda tensor: tensor):
        assert torch.equal(torch.randn(3, 2, generator=other), torch.randn(3, 2, generator=seeded(5)))
