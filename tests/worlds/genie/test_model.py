"""The parts of Genie: patches, digits, latent actions with their remedies, masked prediction, decoding in passes, and the map of keys."""

import math

import pytest
import torch
from torch.nn import functional

from armillary.core import seeded
from armillary.worlds.genie import decoding
from armillary.worlds.genie.dynamics import from_digits, to_digits
from armillary.worlds.genie.labels import ActionMap
from armillary.worlds.genie.latent_actions import LatentActionModel, variance_hinge
from armillary.worlds.genie.learning import LEAST_HIDDEN, dynamics_loss, earlier_and_own, hide
from armillary.worlds.genie.patches import from_patches, to_patches
from armillary.worlds.genie.recolour import recolour, repaint
from tests.worlds.genie.small_genie import small_batch, small_config, small_world


def test_patches_are_cut_and_joined():
    frames = torch.rand(2, 3, 3, 16, 24)
    patches = to_patches(frames, 8)
    assert torch.equal(patches[1, 2, 4], frames[1, 2, :, 8:16, 8:16].flatten())
    assert torch.equal(from_patches(patches, (2, 3), 8), frames)


def test_digits_are_the_levels_of_fsq():
    world = small_world()
    quantised = world.tokenizer.quantiser.quantise(torch.randn(2, 3, 1, 4, 4))
    levels = world.dynamics.levels
    digits = to_digits(quantised.codes, levels)
    half = torch.tensor([count // 2 for count in levels])
    assert torch.equal((digits - half) / half, quantised.z.movedim(1, -1))
    assert torch.equal(from_digits(digits, levels), quantised.codes)


@torch.no_grad()
def test_codes_and_pictures_never_know_what_comes_later():
    world, batch = small_world(), small_batch()
    changed = batch.frames.clone()
    changed[:, 3:] = 1 - changed[:, 3:]
    tokenizer = world.tokenizer
    codes, other = tokenizer.codes(batch.frames), tokenizer.codes(changed)
    assert torch.equal(codes[:, :3], other[:, :3]) and not torch.equal(codes, other)
    drawn, redrawn = (tokenizer.draw(tokenizer.quantiser.codes_to_z(one))[0] for one in (codes, other))
    assert torch.equal(drawn[:, :3], redrawn[:, :3]) and not torch.allclose(drawn[:, 3], redrawn[:, 3])
    assert torch.equal(world.infer(batch.frames)[:, :2], world.infer(changed)[:, :2])


@torch.no_grad()
def test_a_latent_action_knows_the_frame_that_it_leads_to():
    model, frames = small_world().actor, small_batch().frames
    changed = frames.clone()
    changed[:, 2] = changed[:, 2].flip(-1)
    first, second = model.read(model.shrink(frames)), model.read(model.shrink(changed))
    assert torch.equal(first[:, :, 0], second[:, :, 0]) and not torch.allclose(first[:, :, 1], second[:, :, 1])


@torch.no_grad()
def test_the_decoder_of_latent_actions_sees_no_frame_that_it_draws():
    model, frames = small_world().actor, small_batch().frames
    small, actions, kept = model.shrink(frames), torch.randn(2, 8, 4, generator=seeded(0)), torch.zeros(2, dtype=torch.bool)
    changed = small.clone()
    changed[:, 2] += 1.0
    first, second = model.foretell(small[:, :-1], actions, kept), model.foretell(changed[:, :-1], actions, kept)
    assert torch.equal(first[:, :2], second[:, :2]), "frames 1 and 2 are drawn before frame 2 is seen"
    acted = actions.clone()
    acted[:, :, 1] += 1.0
    third = model.foretell(small[:, :-1], acted, kept)
    assert torch.equal(first[:, 0], third[:, 0]) and not torch.allclose(first[:, 1], third[:, 1])


@torch.no_grad()
def test_a_dropped_past_is_not_seen_and_the_latest_frame_is():
    model, frames = small_world().actor, small_batch().frames
    small, actions = model.shrink(frames)[:, :-1], torch.randn(2, 8, 4, generator=seeded(0))
    dropped, changed = torch.tensor([True, False]), small.clone()
    changed[:, 0] += 1.0
    first, second = model.foretell(small, actions, dropped), model.foretell(changed, actions, dropped)
    assert torch.equal(first[0, 1:], second[0, 1:]) and not torch.allclose(first[1, 1], second[1, 1])
    assert not torch.allclose(first[0, 0], second[0, 0])


@torch.no_grad()
@pytest.mark.parametrize(("down", "right"), [(0, 0), (1, -1), (-1, 1)])
def test_moving_pixels_is_moving_the_picture(down, right):
    model = small_world().actor
    model.stays.zero_()
    small = torch.rand(1, 2, 3, 16, 16)
    logits = torch.full((1, 2, 16, 9), -1e4)
    logits[..., (down + 1) * 3 + right + 1] = 0.0
    moved = model._moved(small, logits)
    inside = (..., slice(1, -1), slice(1, -1))
    assert torch.allclose(moved[inside], small.roll((-down, -right), (3, 4))[inside])


@torch.no_grad()
def test_what_moved_is_matched_where_it_was():
    model, before = small_world().actor, torch.rand(1, 1, 3, 16, 16)
    matches = model._matches(before, before.roll((1, 1), (3, 4)))
    inner = matches.unflatten(2, (4, 4))[:, :, 1:-1, 1:-1]
    assert bool((inner.argmax(-1) == 0).all()), "one up and one to the left"


def test_the_remedies_can_be_switched_off():
    frames = small_batch().frames
    for changes, parts in (({}, {"next_frame", "commitment", "variance"}), ({"variance_weight": 0.0}, {"next_frame", "commitment"})):
        model = LatentActionModel(small_config(**changes).model, (4, 4))
        assert model.loss(frames, seeded(0))[0].keys() == parts
    plain = small_world(change_weight=0.0, drop_past=0.0).actor.train()
    small = plain.shrink(frames)
    z = plain.quantiser.quantise(plain.read(small)).z
    drawn = plain.foretell(small[:, :-1], z, torch.zeros(2, dtype=torch.bool))
    assert torch.allclose(plain.loss(frames, seeded(0))[0]["next_frame"], functional.mse_loss(drawn, small[:, 1:]))


def test_the_variance_hinge_is_the_lack_of_deviation():
    assert float(variance_hinge(torch.zeros(4, 2, 3))) == pytest.approx(0.99)
    spread = torch.tensor([-2.0, 2.0]).reshape(2, 1, 1).expand(2, 1, 3)
    assert float(variance_hinge(spread)) == 0.0
    half = torch.tensor([-0.5, 0.5]).reshape(2, 1, 1).expand(2, 1, 3)
    assert float(variance_hinge(torch.cat([spread, half], dim=1))) == pytest.approx(0.25, abs=1e-4)


@pytest.mark.parametrize("passes", [1, 4])
def test_all_of_a_frame_is_hidden_as_often_as_in_play_else_at_least_half(passes: int):
    shares = hide(torch.Size((4, 400, 400)), passes, seeded(0)).float().mean(-1)
    assert float((shares == 1).float().mean()) == pytest.approx(1 / passes, abs=0.03)
    if passes > 1:
        partly = shares[shares < 1]
        assert partly.min() > LEAST_HIDDEN - 0.1 and partly.mean() == pytest.approx(0.75, abs=0.02)


@torch.no_grad()
def test_a_hidden_code_is_not_looked_at_nor_a_later_one():
    """The answer is kept from the question: neither a frame's own hidden codes nor any later frame changes a guess."""
    world = small_world()
    dynamics, quantiser = world.dynamics, world.tokenizer.quantiser
    codes = torch.randint(60, (2, 4, 4, 4), generator=seeded(0))
    hidden = torch.ones(2, 3, 16, dtype=torch.bool)
    hidden[:, 1, :8] = False

    def outputs(codes):
        z = quantiser.codes_to_z(codes)
        before = torch.cat([torch.zeros_like(z[:, :, :1]), z[:, :, :-1]], dim=2)
        told = dynamics.told(before, torch.zeros(2, 4, dtype=torch.long))
        return dynamics.guess(told[:, 1:], z[:, :, 1:], hidden, dynamics.remember(told, z), first=1, allowed=earlier_and_own(dynamics, 4))

    first = outputs(codes)
    late, answer, shown = codes.clone(), codes.clone(), codes.clone()
    late[:, 3] = (late[:, 3] + 7) % 60
    assert torch.equal(first, outputs(late)), "the last frame is only an answer"
    answer[:, 2, 2:] = (answer[:, 2, 2:] + 7) % 60
    assert torch.equal(first[:, :2], outputs(answer)[:, :2]), "nor is what is hidden of frame 2"
    shown[:, 2, :2] = (shown[:, 2, :2] + 7) % 60
    assert not torch.allclose(first[:, 1], outputs(shown)[:, 1]), "what is shown of it is seen"


@torch.no_grad()
def test_training_asks_what_playing_asks():
    """Guessing a frame in a window gives the logits that a step from the window's cache gives."""
    world = small_world()
    dynamics, quantiser = world.dynamics, world.tokenizer.quantiser
    z = quantiser.codes_to_z(torch.randint(60, (2, 4, 4, 4), generator=seeded(0)))
    before = torch.cat([torch.zeros_like(z[:, :, :1]), z[:, :, :-1]], dim=2)
    told = dynamics.told(before, torch.tensor([[8, 1, 2, 3]] * 2))
    hidden = torch.ones(2, 3, 16, dtype=torch.bool)
    memory = dynamics.remember(told, z)
    window = dynamics.guess(told[:, 1:], z[:, :, 1:], hidden, memory, first=1, allowed=earlier_and_own(dynamics, 4))
    cached = dynamics.guess(told[:, 3:], z[:, :, 3:], hidden[:, 2:], memory[:, :, :, :3])
    assert torch.allclose(window[:, 2:], cached, atol=1e-5)


def test_the_loss_of_a_sure_right_answer_is_nothing():
    """Logits that copy and a video that stands still."""
    world, batch = small_world(), small_batch()
    world.dynamics.heads.weight.data.zero_()
    world.dynamics.copied.data.fill_(50.0)
    world.tokenizer.encoder.blocks[0].time.join.weight.data.zero_()
    still = batch.frames[:, :1].expand(-1, 5, -1, -1, -1)
    found = dynamics_loss(world.dynamics, world.tokenizer, still, world.infer(still), seeded(0))
    assert float(found.total.detach()) == pytest.approx(0.0, abs=1e-4) and float(found.parts["right"]) == 1.0
    moving = dynamics_loss(world.dynamics, world.tokenizer, batch.frames, world.infer(batch.frames), seeded(0))
    assert float(moving.total.detach()) > 1.0


@torch.no_grad()
def test_what_happens_counts_more_than_what_stays():
    """Of a world that guesses a copy, with logit 2: by hand, each code's mean over its digits, weighed if any of them changed."""
    batch, likely = small_batch(), 2.0
    world = small_world(happens_weight=3.0, passes=1)
    world.dynamics.heads.weight.data.zero_()
    world.dynamics.copied.data.fill_(likely)
    digits = to_digits(world.tokenizer.codes(batch.frames).flatten(2), world.dynamics.levels)
    same = digits[:, 1:] == digits[:, :-1]
    choices = torch.tensor(world.dynamics.levels)
    each = ((choices - 1 + math.exp(likely)).log() - likely * same).mean(-1)
    weight = torch.where(same.all(-1), 1.0, 4.0)
    assert 0 < same.all(-1).float().mean() < 1
    found = dynamics_loss(world.dynamics, world.tokenizer, batch.frames, world.infer(batch.frames), seeded(0))
    assert float(found.total) == pytest.approx(float((each * weight).sum() / weight.sum()), rel=1e-4)


@torch.no_grad()
def test_windows_may_be_known_as_the_dynamics_itself_draws_them():
    """A world that only copies draws the frame before last: where two frames take turns, that is the right one, from the third frame on."""
    frames = small_batch().frames
    taking_turns = torch.stack([frames[:, moment % 2] for moment in range(5)], dim=1)
    right = {}
    for share in (0.0, 1.0):
        world = small_world(guessed_share=share).train()
        world.dynamics.copied.data.fill_(50.0)
        world.tokenizer.encoder.blocks[0].time.join.weight.data.zero_()
        found = dynamics_loss(world.dynamics, world.tokenizer, taking_turns, world.infer(taking_turns), seeded(0))
        right[share] = float(found.parts["right_by_copying"])
        judged = dynamics_loss(world.dynamics.eval(), world.tokenizer, taking_turns, world.infer(taking_turns), seeded(0))
        assert float(judged.parts["right_by_copying"]) == pytest.approx(right[0.0])
    assert right[1.0] > 0.7 + 0.3 * right[0.0]


@torch.no_grad()
@pytest.mark.parametrize("passes", [1, 2, 4])
def test_codes_are_drawn_in_as_many_passes_as_asked_and_those_that_stay_stay(passes, monkeypatch):
    world, batch = small_world(passes=passes, temperature=0.0), small_batch()
    guesses, hidden, guess = [], [], world.dynamics.guess

    def watched(told, z, mask, memory, **options):
        hidden.append(mask[0, 0].clone())
        guesses.append(z[0, :, 0].clone())
        return guess(told, z, mask, memory, **options)

    monkeypatch.setattr(world.dynamics, "guess", watched)
    from armillary.core import Prompt

    state = world.start(Prompt(batch_size=2, frames=batch.frames[:, :3]), seeded(0))
    after = world.step_latent(state, torch.tensor([1, 2]), seeded(0))
    assert len(hidden) == passes and bool(hidden[0].all())
    left = [int(one.sum()) for one in hidden]
    assert left == {1: [16], 2: [16, 11], 4: [16, 14, 11, 6]}[passes], "a cosine schedule"
    final = world.tokenizer.quantiser.codes_to_z(after.codes[:1, None, -1])[0, :, 0]
    for mask, z in zip(hidden[1:], guesses[1:], strict=True):
        shown = ~mask.unflatten(0, (4, 4))
        assert torch.equal(z[:, shown], final[:, shown])


def test_the_surest_guesses_are_the_likeliest():
    world = small_world(temperature=0.0)
    logits = torch.zeros(1, 1, 2, 3, 5)
    logits[0, 0, 1, :, 2] = 4.0
    digits, sure = decoding._choose(logits.masked_fill(~world.dynamics.valid, -torch.inf), world.config, seeded(0))
    assert digits[0, 0, 1].tolist() == [2, 2, 2] and sure[0, 0, 1] > sure[0, 0, 0]


def test_keys_are_mapped_to_what_they_did():
    """One-hot keys, of which two do the same: a table of counts, learned from a few labelled steps."""
    truth = torch.tensor([3, 0, 3, 5])
    keys = torch.randint(4, (60,), generator=seeded(0))
    labels = ActionMap(4, 8, 40)
    labels.keep(functional.one_hot(keys, 4).float(), truth[keys])
    optimizer = torch.optim.Adam(labels.parameters(), lr=0.1)
    for _ in range(40):
        optimizer.zero_grad()
        labels.loss().backward()
        optimizer.step()
    assert int(labels.count) == 40 and torch.equal(labels(torch.eye(4)), truth)


def test_other_colours_are_the_same_picture_in_other_colours():
    frames = torch.rand(64, 2, 3, 4, 4)
    assert torch.equal(recolour(frames, 0.0, seeded(0)), frames)
    changed = recolour(frames, 0.5, seeded(0))
    same = (changed == frames).flatten(1).all(1)
    assert 0.3 < same.float().mean() < 0.75
    for row in (~same).nonzero().flatten().tolist():
        known = torch.cat([frames[row], 1 - frames[row]], dim=1)
        for colour in range(3):
            assert (known == changed[row, :, colour : colour + 1]).all(dim=(0, 2, 3)).any(), (
                "one of the colours or its complement, throughout"
            )


def test_repainted_windows_have_other_colours_throughout():
    """Every colour is replaced by one, wherever and whenever in a window it is; windows by different ones."""
    frames = torch.randint(2, (64, 2, 3, 4, 4), generator=seeded(0)).float()  # eight colours
    assert torch.equal(repaint(frames, 0.0, seeded(0)), frames)
    changed = repaint(frames, 0.5, seeded(0))
    assert changed.min() >= 0 and changed.max() <= 1
    same = (changed == frames).flatten(1).all(1)
    assert 0.3 < same.float().mean() < 0.75
    palettes = []
    for row in (~same).nonzero().flatten().tolist():
        before, after = (some[row].movedim(1, -1).flatten(0, 2) for some in (frames, changed))
        colours = [after[(before == colour).all(dim=1)] for colour in torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 3)]
        assert all(torch.allclose(some, some[:1].expand_as(some), atol=1e-6) for some in colours if len(some))
        palettes.append(torch.cat(colours).unique(dim=0))
    assert len(palettes) > 10 and torch.stack([palette.std(dim=0).mean() for palette in palettes]).median() > 0.2, "things stay apart"
    means = torch.stack([palette.mean(dim=0) for palette in palettes])
    assert (torch.cdist(means, means) + torch.eye(len(means))).min() > 0, "each in colours of its own"
