"""The residual CNN: its block is the equation, and it sees every picture that is laid on the others."""

import pytest
import torch
from torch.nn import functional

from armillary.core import ConfigError
from armillary.nn.residual_cnn import Encoder, ResidualBlock


@torch.no_grad()
def test_a_block_is_its_equation():
    block, x = ResidualBlock(3).double(), torch.randn(2, 3, 5, 4, dtype=torch.float64)
    inner = functional.conv2d(x.clamp_min(0.0), block.first.weight, block.first.bias, padding=1)
    expected = x + functional.conv2d(inner.clamp_min(0.0), block.second.weight, block.second.bias, padding=1)
    torch.testing.assert_close(block(x), expected)


@pytest.mark.parametrize("num_pictures", [1, 2])
@torch.no_grad()
def test_every_picture_and_every_place_is_seen(num_pictures):
    torch.manual_seed(0)
    encoder = Encoder(height=16, width=24, latent_size=5, channels=(4, 8), num_pictures=num_pictures)
    frames = torch.rand(1, 3 * num_pictures, 16, 24)
    before = encoder(frames)
    assert before.shape == (1, 5)
    for channel in range(3 * num_pictures):
        for row, column in ((0, 0), (15, 23), (8, 12)):
            changed = frames.clone()
            changed[0, channel, row, column] = 1.0 - changed[0, channel, row, column].round()
            assert not torch.equal(encoder(changed), before), (channel, row, column)


def striped(angle: float, row: float, column: float) -> torch.Tensor:
    """A grey picture with a square of stripes, turned by `angle`, around a place."""
    y, x = torch.meshgrid(torch.arange(64.0) - row, torch.arange(64.0) - column, indexing="ij")
    along = x * torch.cos(torch.tensor(angle)) + y * torch.sin(torch.tensor(angle))
    inside = (x.abs() < 10) & (y.abs() < 10)
    return torch.where(inside, 0.5 + 0.5 * torch.sin(along), 0.5).expand(1, 3, 64, 64)


@torch.no_grad()
def test_what_is_pooled_knows_how_things_are_turned_and_not_where_they_are():
    torch.manual_seed(0)
    encoder = Encoder(height=64, width=64, latent_size=8, pooled=True).eval()
    encoder.head.weight.zero_()  # of which places have weights of their own
    first, moved, turned = (encoder(striped(*how)) for how in ((0.0, 24, 24), (0.0, 40, 36), (0.8, 24, 24)))
    torch.testing.assert_close(moved, first, atol=1e-4, rtol=0.0)
    assert (turned - first).norm() > 20 * (moved - first).norm() + 1e-3


@torch.no_grad()
def test_what_is_pooled_is_its_equation():
    torch.manual_seed(0)
    encoder, frames = Encoder(height=16, width=16, latent_size=5, channels=(4, 8), pooled=True), torch.rand(6, 3, 16, 16)
    encoder.head.weight.zero_()
    first = encoder.stages[0](2 * frames - 1).flatten(2)
    amounts = torch.cat([first.clamp_min(0).sum(-1) / 16, (first * first).sum(-1) / 16], dim=1)  # 4 x 4 places
    units = (amounts - amounts.mean(0)) / (amounts.var(0, correction=0) + encoder.pooled_norm.eps).sqrt()
    expected = encoder.head.bias + encoder.pooled_head(units)
    torch.testing.assert_close(encoder.train()(frames), expected, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_without_pooling_there_is_nothing_new_to_save_and_in_use_each_picture_is_seen_alone():
    plain, pooled = (Encoder(height=16, width=24, latent_size=5, channels=(4, 8), pooled=pooled).eval() for pooled in (False, True))
    assert {name.split(".")[0] for name in plain.state_dict()} == {"stages", "head"}
    frames = torch.rand(3, 3, 16, 24)
    torch.testing.assert_close(pooled(frames)[:1], pooled(frames[:1]))


def test_sides_that_do_not_divide_are_refused():
    with pytest.raises(ConfigError, match="multiples of 16 for 3 stages, received 16 x 24"):
        Encoder(height=16, width=24, latent_size=5, channels=(4, 8, 8))
