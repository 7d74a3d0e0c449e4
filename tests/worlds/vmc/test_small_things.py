"""What lets a V-M-C see small things that move: pixels that changed weigh more, and spots say where."""

import pytest
import torch

from armillary.core import seeded
from armillary.worlds.vmc.losses import LEAST_CHANGE, PIXEL_WEIGHT, pixel_loss
from armillary.worlds.vmc.model import ContextDecoder, Spots
from tests.worlds.vmc.small_vmc import small_batch, small_world


def test_changed_pixels_weigh_more_and_the_rest_as_before():
    context = torch.full((1, 3, 4, 4), 0.5)
    true = context.repeat(2, 1, 1, 1)
    true[1, 0, 0, 0] += 2 * LEAST_CHANGE  # one colour of one pixel of one picture
    true[0, :, 3, 3] += LEAST_CHANGE / 2  # too little to count
    drawn = true + 0.1
    plain = PIXEL_WEIGHT * 0.01
    assert pixel_loss(drawn, true, context, 0.0).item() == pytest.approx(plain, rel=1e-5)
    assert pixel_loss(drawn, true, context, 8.0).item() == pytest.approx(plain * (1 + 8.0 / 32), rel=1e-5)


def test_each_row_is_held_against_its_own_context():
    context = torch.stack([torch.zeros(3, 2, 2), torch.ones(3, 2, 2)])
    true = context.repeat_interleave(2, dim=0)
    assert torch.equal(pixel_loss(true + 0.1, true, context, 9.0), pixel_loss(true + 0.1, true, context, 0.0))


def test_a_spot_is_brightest_at_its_middle():
    spots = Spots(steering_size=2, count=1, rows=17, columns=41)
    with torch.no_grad():
        spots.middle.weight.copy_(torch.eye(2))
        spots.middle.bias.zero_()
        spots.log_width.fill_(-2.0)
    where = torch.tensor([[0.5, -0.25], [0.0, 0.0]])
    drawn = spots(torch.atanh(where)).detach()
    assert drawn.shape == (2, 1, 17, 41)
    for row, (x, y) in enumerate(where.tolist()):
        peak = int(drawn[row, 0].argmax())
        assert (peak % 41, peak // 41) == (round((x + 1) * 20), round((y + 1) * 8))
        assert drawn[row].max() == pytest.approx(1.0, abs=0.1)


def test_without_spots_nothing_is_added():
    sizes = {"height": 64, "width": 64, "latent_size": 4, "memory_size": 3}
    before, after = (ContextDecoder(**sizes, spots=count).state_dict() for count in (0, 5))
    assert not any("spots" in name for name in before)
    assert before.keys() < after.keys()


def test_spots_move_with_the_latent_and_learn():
    world = small_world(spots=3, changed_weight=5.0)
    world.begin_phase("dream")
    world.loss(small_batch(world), seeded(0)).total.backward()
    assert world.vision_decoder.spots.middle.weight.grad.abs().sum() > 0


@pytest.mark.parametrize(("name", "value"), [("spots", -1), ("changed_weight", -1.0)])
def test_negative_settings_are_refused(name, value):
    with pytest.raises(ValueError, match=f"model.{name} must be >= 0, received -1"):
        small_world(**{name: value})
