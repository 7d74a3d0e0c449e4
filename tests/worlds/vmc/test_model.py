"""V's and M's maths against closed forms and naive loops, and their sizes against the paper's table."""

import math

import pytest
import torch
from torch import nn

from armillary.core import seeded
from armillary.worlds.vmc.model import ContextDecoder, Encoder, Gaussian, GlobalDecoder, Memory, Mixture, Tone, draw_noise, warp


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_v_has_as_many_parameters_as_published():
    sizes = {"height": 64, "width": 64, "latent_size": 32}
    assert count(Encoder(**sizes)) + count(GlobalDecoder(**sizes)) == 4_348_547


def test_m_has_as_many_parameters_as_published():
    memory = Memory(latent_size=32, action_size=3, hidden_size=256, num_mixtures=5, residual=False)
    # the paper counts one bias a gate (torch has two, 4 * 256 more) and no reward and done heads (257 each) for CarRacing
    assert count(memory) == 422_368 + 1_024 + 2 * 257


def test_divergence_is_torchs_closed_form():
    mean, log_variance = torch.randn(5, 7, dtype=torch.float64), torch.randn(5, 7, dtype=torch.float64)
    ours = Gaussian(mean, log_variance).divergence()
    normal = torch.distributions.Normal(mean, torch.exp(0.5 * log_variance))
    theirs = torch.distributions.kl_divergence(normal, torch.distributions.Normal(0.0, 1.0)).sum(-1)
    assert torch.allclose(ours, theirs, atol=1e-12)


def random_mixture(*lead: int, scale: float = 1.0) -> Mixture:
    rng = seeded(3)
    weight, mean, log_scale = (torch.randn(*lead, 4, 5, dtype=torch.float64, generator=rng) for _ in range(3))
    return Mixture(torch.log_softmax(weight, -1), mean, scale * log_scale)


def test_density_equals_naive_loops_forward_and_gradient():
    mixture = random_mixture(2)
    leaves = [value.clone().requires_grad_() for value in (mixture.log_weight, mixture.mean, mixture.log_scale)]
    latent = torch.randn(2, 4, dtype=torch.float64, generator=seeded(4))
    ours = Mixture(*leaves).negative_log_likelihood(latent)
    naive_leaves = [value.detach().clone().requires_grad_() for value in leaves]
    rows = []
    for b in range(2):
        for z in range(4):
            density = torch.zeros((), dtype=torch.float64)
            for k in range(5):
                log_weight, mean, log_scale = (leaf[b, z, k] for leaf in naive_leaves)
                sigma = torch.exp(log_scale)
                exponent = -((latent[b, z] - mean) ** 2) / (2 * sigma**2)
                density = density + torch.exp(log_weight) * torch.exp(exponent) / (sigma * math.sqrt(2 * math.pi))
            rows.append(-torch.log(density))
    naive = torch.stack(rows).reshape(2, 4)
    assert torch.allclose(ours, naive, atol=1e-10)
    gradients = torch.autograd.grad(ours.sum(), leaves), torch.autograd.grad(naive.sum(), naive_leaves)
    for mine, theirs in zip(*gradients, strict=True):
        assert torch.allclose(mine, theirs, atol=1e-9)


def test_a_draw_at_temperature_one_has_the_mixtures_moments():
    mixture = random_mixture(1, scale=0.3)
    many = Mixture(*(value.expand(200_000, 4, 5) for value in (mixture.log_weight, mixture.mean, mixture.log_scale)))
    uniform, normal = (noise.double() for noise in draw_noise((200_000, 4), seeded(5)))
    drawn = many.sample(1.0, uniform, normal)
    weight, variance = mixture.log_weight.exp(), torch.exp(2 * mixture.log_scale)
    second = (weight * (variance + mixture.mean**2)).sum(-1)[0]
    assert torch.allclose(drawn.mean(0), mixture.expected()[0], atol=0.02)
    assert torch.allclose(drawn.square().mean(0), second, rtol=0.03, atol=0.02)


def test_low_temperature_goes_to_the_heaviest_component_and_zero_to_the_mean():
    mixture = random_mixture(1000)
    uniform, normal = (noise.double() for noise in draw_noise((1000, 4), seeded(6)))
    heaviest = mixture.mean.gather(-1, mixture.log_weight.argmax(-1, keepdim=True))[..., 0]
    assert (mixture.sample(1e-4, uniform, normal) - heaviest).abs().median() < 0.05
    assert torch.equal(mixture.sample(0.0, uniform, normal), mixture.expected())


def test_a_draw_never_leaves_the_components_at_the_edge_of_uniform():
    mixture = Mixture(torch.log_softmax(torch.zeros(1, 1, 5), -1), torch.arange(5.0).reshape(1, 1, 5), torch.full((1, 1, 5), -7.0))
    edge = torch.full((1, 1), 1.0 - 2**-24)
    assert mixture.sample(1.0, edge, torch.zeros(1, 1)).item() == pytest.approx(4.0)


def test_memory_with_change_starts_where_it_is():
    memory = Memory(latent_size=3, action_size=2, hidden_size=4, num_mixtures=2, residual=True)
    nn.init.zeros_(memory.density.weight)
    nn.init.zeros_(memory.density.bias)
    latent = torch.randn(5, 3)
    assert torch.allclose(memory.mixture(torch.randn(5, 4), latent).expected(), latent)


def test_no_flow_moves_nothing_and_a_whole_pixel_moves_one():
    frames = torch.rand(2, 3, 8, 8)
    assert torch.allclose(warp(frames, torch.zeros(2, 2, 8, 8)), frames, atol=1e-6)
    flow = torch.zeros(2, 2, 8, 8)
    flow[:, 0] = 2.0 / 8  # half the picture is 4 pixels, so this is one pixel in x
    assert torch.allclose(warp(frames, flow)[..., :-1], frames[..., 1:], atol=1e-5)


def test_context_decoder_starts_as_a_copy_and_keeps_windows_apart():
    torch.manual_seed(0)
    decoder = ContextDecoder(height=64, width=64, latent_size=8)
    smooth = torch.linspace(0.2, 0.8, 64).expand(3, 64, 64)  # in a smooth picture a start that moves pixels a little is still a copy
    context, latent = torch.stack([smooth, smooth.mT]), torch.randn(6, 8)
    drawn = decoder(latent, context)
    assert (drawn - context.repeat_interleave(3, 0)).abs().mean() < 0.1
    other = context.clone()
    other[1] = torch.rand(3, 64, 64)
    again = decoder(latent, other)
    assert torch.equal(drawn[:3], again[:3])
    assert not torch.equal(drawn[3:], again[3:])


def test_a_change_of_light_changes_the_dream_by_the_same_light():
    rng = seeded(5)
    sizes = {"height": 64, "width": 64, "latent_size": 8}
    decoder, encoder, plain = (m.double() for m in (ContextDecoder(**sizes), Encoder(**sizes, toneless=True), Encoder(**sizes)))
    nn.init.normal_(decoder.exit.weight, std=0.5, generator=rng)
    context, latent = torch.rand(2, 3, 64, 64, generator=rng).double(), torch.randn(6, 8, generator=rng).double()
    gain, offset = (torch.tensor(v, dtype=torch.float64)[:, None, None] for v in ((0.5, 0.9, 0.7), (0.1, 0.0, 0.2)))
    relit = gain * context + offset
    assert torch.allclose(decoder(latent, relit), gain * decoder(latent, context) + offset, atol=1e-9)
    assert torch.allclose(encoder(relit).mean, encoder(context).mean, atol=1e-9)
    assert not torch.allclose(plain(relit).mean, plain(context).mean, atol=1e-4)


def test_a_picture_of_one_colour_has_a_tone():
    grey = torch.full((1, 3, 64, 64), 0.4)
    tone = Tone.of(grey)
    assert torch.equal(tone.remove(grey), torch.zeros_like(grey))
    assert torch.allclose(tone.give(tone.remove(grey)), grey)


@pytest.mark.parametrize(("build", "side"), [(GlobalDecoder, 96), (ContextDecoder, 72), (Encoder, 32)])
def test_sides_that_do_not_fit_are_refused_with_the_setting_to_change(build, side):
    with pytest.raises(ValueError, match=f"{side} x {side}"):
        build(height=side, width=side, latent_size=8)
