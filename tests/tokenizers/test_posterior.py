"""The gaussian bottleneck against torch's distributions and its own draws."""

import pytest
import torch

from armillary.core import ConfigError, seeded
from armillary.tokenizers.config import TokenizerConfig
from armillary.tokenizers.network import VideoAutoencoder
from armillary.tokenizers.posterior import Posterior


def test_the_divergence_is_the_closed_form():
    encoded = torch.randn(2, 6, 2, 3, 4, generator=seeded(0), dtype=torch.float64)
    posterior = Posterior.of(encoded)
    normal = torch.distributions.Normal(encoded[:, :3], (encoded[:, 3:] / 2).exp())
    standard = torch.distributions.Normal(torch.zeros_like(normal.mean), 1.0)
    expected = torch.distributions.kl_divergence(normal, standard).sum(dim=(1, 2, 3, 4))
    torch.testing.assert_close(posterior.divergence(), expected)


def test_draws_have_the_mean_and_the_variance():
    encoded = torch.stack([torch.full((20_000,), 2.0), torch.full((20_000,), 1.4)]).reshape(1, 2, 20_000, 1, 1)
    drawn = Posterior.of(encoded).sample(seeded(1))
    assert drawn.mean().item() == pytest.approx(2.0, abs=0.05)
    assert drawn.var().log().item() == pytest.approx(1.4, abs=0.05)
    assert torch.equal(drawn, Posterior.of(encoded).sample(seeded(1)))


def test_a_log_variance_is_kept_within_what_its_exponential_can_be():
    posterior = Posterior.of(torch.tensor([0.0, 0.0, -1e3, 1e3]).reshape(1, 4, 1, 1, 1))
    assert posterior.log_variance.flatten().tolist() == [-30.0, 20.0]
    assert torch.isfinite(posterior.divergence()).all()


@torch.no_grad()
def test_encode_is_the_mean_and_a_plain_network_has_no_posterior():
    frames = torch.rand(1, 5, 3, 16, 16, generator=seeded(2))
    gaussian = VideoAutoencoder(TokenizerConfig(channels=2, bottleneck="gaussian"))
    assert torch.equal(gaussian.encode(frames), gaussian.posterior(frames).mean)
    with pytest.raises(ConfigError, match="only bottleneck = gaussian has a variance, this network has plain"):
        VideoAutoencoder(TokenizerConfig(channels=2)).posterior(frames)
