"""Temperature and top-p on distributions that are known."""

import pytest
import torch

from armillary.core import ConfigError, seeded
from armillary.nn.token_sampling import check_sampling, choose, gumbel_noise, nucleus

SHARES = torch.tensor([0.1, 0.4, 0.2, 0.3])
COUNT = 40_000


def shares_drawn(temperature: float, top_p: float) -> torch.Tensor:
    noise = gumbel_noise((COUNT, 4), seeded(0))
    drawn = choose(SHARES.log().expand(COUNT, 4), noise, temperature=temperature, top_p=top_p)
    return torch.bincount(drawn, minlength=4) / COUNT


@pytest.mark.parametrize(
    ("temperature", "top_p", "expected"),
    [
        (1.0, 1.0, [0.1, 0.4, 0.2, 0.3]),
        (0.5, 1.0, [1 / 30, 16 / 30, 4 / 30, 9 / 30]),
        (1.0, 0.7, [0.0, 4 / 7, 0.0, 3 / 7]),
        (1.0, 0.71, [0.0, 4 / 9, 2 / 9, 3 / 9]),
        (1.0, 0.01, [0.0, 1.0, 0.0, 0.0]),
        (0.5, 0.8, [0.0, 16 / 25, 0.0, 9 / 25]),  # the nucleus is that of the distribution at this temperature
    ],
)
def test_draws_follow_the_distribution(temperature, top_p, expected):
    found = shares_drawn(temperature, top_p)
    assert torch.allclose(found, torch.tensor(expected), atol=0.012)  # five deviations of a share of 0.4
    assert ((found > 0) == (torch.tensor(expected) > 0)).all()


def test_without_noise_the_likeliest_is_taken():
    assert choose(SHARES.log()[None], None, temperature=0.0, top_p=1.0).tolist() == [1]


def test_the_nucleus_is_found_in_each_row():
    logits = torch.stack([SHARES, SHARES.flip(0)]).log()
    kept = nucleus(logits, 0.75).isfinite()
    assert kept.tolist() == [[False, True, True, True], [True, True, True, False]]


@pytest.mark.parametrize(("temperature", "top_p", "said"), [(-1.0, 1.0, "temperature"), (1.0, 0.0, "top_p"), (1.0, 1.5, "top_p")])
def test_settings_that_mean_nothing_are_refused(temperature, top_p, said):
    with pytest.raises(ConfigError, match=said):
        check_sampling(temperature, top_p)
