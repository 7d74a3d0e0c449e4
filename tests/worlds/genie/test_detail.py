"""What codes lose of the last real picture comes back where, and only where, later codes say the same."""

import torch

from armillary.core import Prompt, seeded
from armillary.nn.fsq import Fsq
from armillary.worlds.genie.detail import give_back, keep_detail
from tests.worlds.genie.small_genie import small_batch, small_world

CODES = torch.tensor([[[0, 59], [7, 20]]])  # of 60


def test_what_was_lost_comes_back_where_codes_say_the_same():
    quantiser, rng = Fsq((5, 4, 3)), seeded(0)
    real, drawn, later = (torch.rand(1, 3, 8, 8, generator=rng) for _ in range(3))
    detail = keep_detail(CODES, real, drawn, 4)
    assert torch.allclose(give_back(detail, quantiser, CODES, drawn), real, atol=1e-6)
    changed = CODES.clone()
    changed[0, 0, 1] = 0
    shown = give_back(detail, quantiser, changed, later)
    same = torch.ones(8, 8, dtype=torch.bool)
    same[:4, 4:] = False
    assert torch.allclose(shown[..., same], (later + real - drawn)[..., same], atol=1e-6)
    assert torch.equal(shown[..., ~same], later[..., ~same])


@torch.no_grad()
def test_a_dream_that_stays_keeps_the_real_picture_and_one_that_changes_does_not():
    """Untrained codes show nothing of a picture; where none changes it is seen all the same, but for what the decoder adds by its past."""
    frames = small_batch(2, 1).frames
    far = {}
    for detail in (True, False):
        for stays in (1e4, 0.0):
            world = small_world(detail=detail)
            world.dynamics.copied.data.fill_(stays)
            state = world.start(Prompt(batch_size=2, frames=frames), seeded(0))
            for step in range(3):
                state = world.step_latent(state, torch.tensor([step, 1]), seeded(step))
            far[detail, stays > 0] = float((world.render(state)["rgb"] - frames[:, 0]).abs().mean())
    assert far[True, True] < 0.5 * far[False, True]
    assert far[True, False] > 0.8 * far[False, False]


@torch.no_grad()
def test_what_is_observed_is_what_is_kept_from_then_on():
    world, batch = small_world(), small_batch()
    state = world.start(Prompt(batch_size=2, frames=batch.frames[:, :2]), seeded(0))
    stepped = world.step(state, batch.actions[:, 1], seeded(0))
    assert torch.equal(stepped.detail.lost, state.detail.lost), "a dream teaches nothing of what was real"
    seen = world.observe(stepped, batch.actions[:, 1], batch.frames[:, 2], seeded(0))
    assert not torch.equal(seen.detail.lost, state.detail.lost)
