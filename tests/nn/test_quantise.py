"""What both quantisers promise, and the small sums that they share."""

import math

import pytest
import torch

from armillary.core import ConfigError, DataError, seeded
from armillary.nn.fsq import Fsq
from armillary.nn.quantise import entropy_nats, perplexity, straight_through
from armillary.nn.vector_quantise import VectorQuantiser

QUANTISERS = {"fsq": lambda: Fsq((8, 5, 3)), "vq": lambda: VectorQuantiser(num_codes=37, size=3)}
PLACES = [(), (6,), (4, 5), (2, 4, 5)]


@pytest.fixture(params=QUANTISERS)
def quantiser(request):
    torch.manual_seed(0)
    return QUANTISERS[request.param]()


@pytest.mark.parametrize("places", PLACES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_codes_tell_the_latents_exactly(quantiser, places, dtype):
    z = (2 * torch.randn(3, 3, *places, generator=seeded(1))).to(dtype)
    made = quantiser.quantise(z)
    assert made.z.shape == z.shape and made.z.dtype == dtype
    assert made.codes.shape == (3, *places) and made.codes.dtype == torch.int64
    assert int(made.codes.min()) >= 0 and int(made.codes.max()) < quantiser.num_codes
    told = quantiser.codes_to_z(made.codes)
    assert told.dtype == torch.float32
    torch.testing.assert_close(told.to(dtype), made.z, rtol=0.0, atol=1e-7 if dtype == torch.float64 else 0.0)


def test_every_place_is_quantised_alone(quantiser):
    z = torch.randn(2, 3, 2, 3, 4, generator=seeded(2))
    made = quantiser.quantise(z)
    for b, t, h, w in [(0, 0, 0, 0), (1, 1, 2, 3), (0, 1, 0, 2)]:
        one = quantiser.quantise(z[b, :, t, h, w][None])
        assert int(one.codes) == int(made.codes[b, t, h, w])
        assert torch.equal(one.z[0], made.z[b, :, t, h, w])


def test_quantising_and_looking_change_nothing_in_eval_mode(quantiser):
    quantiser.eval()
    before = {name: value.clone() for name, value in quantiser.state_dict().items()}
    rng, z = seeded(3), torch.randn(4, 3, generator=seeded(4))
    made = quantiser.quantise(z)
    quantiser.observe(z, made.codes, rng)
    quantiser.after_step()
    assert all(torch.equal(value, before[name]) for name, value in quantiser.state_dict().items())
    assert torch.equal(rng.get_state(), seeded(3).get_state())


def test_under_bfloat16_codes_are_those_of_float32(quantiser):
    """Latents that bfloat16 holds exactly: whatever autocast does, no code may change."""
    z = torch.randn(500, 3, generator=seeded(5)).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        made = quantiser.quantise(z)
    assert torch.equal(made.codes, quantiser.quantise(z.float()).codes)


def test_another_number_of_channels_is_refused(quantiser):
    with pytest.raises(ConfigError, match=r"latents of 3 channels on axis 1, received shape \(2, 4, 5\)"):
        quantiser.quantise(torch.zeros(2, 4, 5))


@pytest.mark.parametrize("code", [-1, 120, 10**9])
def test_codes_that_do_not_exist_are_refused(quantiser, code):
    codes = torch.tensor([[0, code]])
    with pytest.raises(DataError, match=rf"between 0 and {quantiser.num_codes - 1}, received .*{code}"):
        quantiser.codes_to_z(codes)


def test_no_codes_are_no_fault(quantiser):
    assert quantiser.codes_to_z(torch.zeros(0, 4, dtype=torch.int64)).shape == (0, 3, 4)


def test_straight_through_has_the_values_of_one_and_the_gradient_of_the_other():
    smooth = torch.randn(50, generator=seeded(6), requires_grad=True)
    values, weight = (smooth.detach() * 1e4).round() / 7, torch.randn(50, generator=seeded(7))
    through = straight_through(values, smooth)
    assert torch.equal(through, values)  # not only nearly
    (through * weight).sum().backward()
    assert torch.equal(smooth.grad, weight)


def test_entropy_and_perplexity_by_hand():
    assert float(entropy_nats(torch.tensor([0, 5, 0]))) == 0.0
    assert float(entropy_nats(torch.tensor([2, 2, 2, 2]))) == pytest.approx(math.log(4))
    assert float(entropy_nats(torch.tensor([1, 3]))) == pytest.approx(0.25 * math.log(4) + 0.75 * math.log(4 / 3))
    assert float(perplexity(torch.tensor([[1, 1, 2], [2, 0, 0]]), 9)) == pytest.approx(3.0)
