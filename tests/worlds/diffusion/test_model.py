"""The transformer looks at the context and at its own frame alone; the guess moves pixels; tone and looks do what they say."""

import pytest
import torch

from armillary.core import seeded
from armillary.worlds.diffusion.finish import FEATURES, FLOW_UNIT, Finish, from_opponent, opponent
from armillary.worlds.diffusion.guess import moved
from armillary.worlds.diffusion.looks import OtherLooks
from armillary.worlds.diffusion.model import DiffusionTransformer
from armillary.worlds.diffusion.tone import Tone


def small_transformer():
    torch.manual_seed(0)
    network = DiffusionTransformer(height=16, width_pixels=24, channels=4, out=3, patch=8, width=24, depth=2, heads=2, rank=4)
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():
                parameter.normal_(std=0.2)
    return network


def inputs(frames=3):
    rng = seeded(0)
    return {
        "frames": torch.randn(2, frames, 4, 16, 24, generator=rng),
        "level": torch.rand(2, frames, generator=rng),
        "action": torch.randn(2, frames, 24, generator=rng),
        "times_s": torch.arange(1, frames + 1).expand(2, -1) * 0.1,
    }


CONTEXT = torch.randn(2, 2, 4, 16, 24, generator=seeded(5))
CONTEXT_TIMES = torch.tensor([[-0.1, 0.0]]).expand(2, -1)


@torch.no_grad()
def test_a_frame_drawn_alone_is_the_frame_drawn_among_others():
    network, given = small_transformer(), inputs()
    memory = network.remember(CONTEXT, CONTEXT_TIMES)
    together = network(**given, memory=memory)
    for f in range(3):
        alone = network(**{name: value[:, f : f + 1] for name, value in given.items()}, memory=memory)
        assert torch.allclose(alone[:, 0], together[:, f], atol=1e-5)


@pytest.mark.parametrize("changed", ["frames", "level", "action", "times_s", "context", "context_times"])
@torch.no_grad()
def test_everything_it_is_told_is_listened_to(changed):
    network, given = small_transformer(), inputs()
    before = network(**given, memory=network.remember(CONTEXT, CONTEXT_TIMES))
    context, times = CONTEXT + 1.0 * (changed == "context"), CONTEXT_TIMES - 0.3 * (changed == "context_times")
    given = {name: value + 0.2 * (name == changed) for name, value in given.items()}
    after = network(**given, memory=network.remember(context, times))
    assert not torch.allclose(before, after, atol=1e-4)


@torch.no_grad()
def test_seconds_count_and_not_when_the_clock_began():
    network, given = small_transformer(), inputs()
    before = network(**given, memory=network.remember(CONTEXT, CONTEXT_TIMES))
    given["times_s"] = given["times_s"] + 2.0
    assert torch.allclose(before, network(**given, memory=network.remember(CONTEXT, CONTEXT_TIMES + 2.0)), atol=1e-3)


def test_fresh_weights_leave_the_guess_alone():
    """The last layer begins as nothing, so the clean rest is taken to be zero."""
    rest = Finish()(torch.randn(2, FEATURES + 2, 16, 24), *(torch.randn(2, 3, 16, 24) for _ in range(4)))
    assert rest.shape == (2, 3, 16, 24) and not rest.any()


@torch.no_grad()
def test_the_finish_can_take_pixels_from_where_the_flow_points():
    """Its sixth last inputs say how a moved pixel differs from the guess, in spreads: read out alone, they give the moved frame back."""
    finish = Finish(width=3)
    for layer in (finish.enter, finish.middle, finish.leave):
        layer.weight.zero_()
        layer.bias.zero_()
    for colour in range(3):
        finish.enter.weight[colour, FEATURES + 3 + colour, 1, 1] = 1.0
        finish.leave.weight[colour, colour, 1, 1] = 1.0
    finish.enter.bias.fill_(50.0)  # so high that SiLU is the identity
    finish.leave.bias.fill_(-50.0)
    last, guess = torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8)
    spread = torch.full((1, 3, 8, 8), -0.5)
    drawn = torch.zeros(1, FEATURES + 2, 8, 8)
    drawn[:, FEATURES] = 2.0 / 8 / FLOW_UNIT  # one pixel to the right
    rest = finish(drawn, torch.zeros(1, 3, 8, 8), last, guess, spread)
    found = guess + from_opponent(torch.exp(spread) * rest)
    assert torch.allclose(found[..., :-1], last[..., 1:], atol=1e-4)


def test_opponent_colours_are_a_rotation_in_which_grey_has_no_hue():
    pictures = torch.randn(2, 3, 4, 4)
    turned = opponent(pictures)
    assert torch.allclose(from_opponent(turned), pictures, atol=1e-6)
    assert torch.allclose(turned.square().sum(1), pictures.square().sum(1), atol=1e-5)
    grey = opponent(torch.full((3, 2, 2), 0.5))
    assert torch.allclose(grey, torch.tensor([0.5 * 3**0.5, 0.0, 0.0])[:, None, None].expand(3, 2, 2), atol=1e-6)


def test_picture_sides_must_hold_whole_patches():
    with pytest.raises(ValueError, match="multiples of the patch, received 20 x 24 and 8"):
        DiffusionTransformer(height=20, width_pixels=24, channels=4, out=3, patch=8, width=24, depth=1, heads=2)


def test_pixels_move_by_the_flow():
    """A flow of one pixel to the right, in halves of the picture, takes each pixel from its right neighbour."""
    pictures = torch.rand(1, 3, 4, 8)
    flow = torch.zeros(1, 2, 4, 8)
    flow[:, 0] = 2.0 / 8
    assert torch.allclose(moved(pictures, flow)[..., :-1], pictures[..., 1:], atol=1e-5)
    assert torch.allclose(moved(pictures, torch.zeros_like(flow)), pictures, atol=1e-6)


def test_tone_is_what_light_changes():
    """Light that multiplies and adds leaves the toneless picture as it is, and comes back with the tone."""
    video = torch.rand(2, 3, 3, 16, 16)
    gain, offset = torch.tensor([0.5, 0.7, 0.9])[:, None, None], torch.tensor([0.1, 0.0, 0.05])[:, None, None]
    lit = gain * video + offset
    tone, other = Tone.of(video[:, -1]), Tone.of(lit[:, -1])
    assert torch.allclose(tone.remove(video), other.remove(lit), atol=1e-4)
    assert torch.allclose(other.give(tone.remove(video)), lit, atol=1e-5)
    assert bool(torch.isfinite(Tone.of(torch.ones(1, 3, 8, 8)).remove(torch.ones(1, 1, 3, 8, 8))).all())


def test_looks_change_whole_windows_or_none():
    looks, frames = OtherLooks(32, 32), torch.rand(16, 1, 3, 32, 32).expand(16, 3, 3, 32, 32)
    assert torch.equal(looks(frames, 0.0, seeded(0)), frames)
    changed = looks(frames, 1.0, seeded(0))
    assert ((changed - frames).abs().mean((1, 2, 3, 4)) > 1e-3).float().mean() > 0.9
    assert torch.allclose(changed, changed[:, :1].expand_as(changed), atol=1e-6)
    assert changed.min() >= 0.0 and changed.max() <= 1.0


def test_what_stands_still_is_learned_and_exchanged():
    """A bright square in another corner each time, on grey: the median is grey, and only there another picture appears."""
    looks, rng = OtherLooks(32, 32), seeded(0)
    for _ in range(200):
        frames = torch.full((4, 1, 3, 32, 32), 0.3)
        for row, (y, x) in enumerate(torch.randint(0, 24, (4, 2), generator=rng).tolist()):
            frames[row, :, :, y : y + 8, x : x + 8] = 1.0
        looks.learn(frames)
    assert torch.allclose(looks.still, torch.full_like(looks.still, 0.3), atol=0.03)
    moves = looks._moves(frames)
    assert float(moves[frames[:, :, :1] == 1.0].min()) > 0.6  # softer at the corners
    assert float(moves.mean()) < 0.25
