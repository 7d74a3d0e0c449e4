"""A Genie world that hears: what it is told changes the next step, in its own row alone, and nothing of what is seen already."""

from dataclasses import replace

import pytest
import torch

from armillary.core import Prompt, WorldError, seeded, to_bytes
from armillary.core.check import check_world
from armillary.worlds.genie.learning import dynamics_loss, earlier_and_own, swap_actions
from armillary.worlds.genie.train import build
from armillary.worlds.genie.world import GenieWorld
from tests.worlds.genie.small_genie import SHAPE, small_batch, small_config, small_world

EVENTS = ("rain", "night")


def hearing_world(**changes) -> GenieWorld:
    torch.manual_seed(0)
    world = build(small_config(text_bytes=8, text_width=8, **changes), replace(SHAPE, captions=EVENTS)).eval()
    for parameter in world.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=1.0 / parameter[0].numel() ** 0.5)
    world.dynamics.copied.data.zero_()
    return world


def start(world, batch, text=None):
    return world.start(Prompt(batch_size=len(batch), frames=batch.frames[:, :3], text=text), seeded(0))


def test_keeps_the_contract():
    world = hearing_world()
    assert world.events == EVENTS
    check_world(world)


@torch.no_grad()
def test_what_is_told_changes_the_next_step_of_its_own_row():
    world, batch = hearing_world(), small_batch()
    state, keys = start(world, batch), torch.tensor([1, 2])
    told = world.prompt(state, ["rain", ""])
    first, other = (world.step_latent(one, keys, seeded(0)) for one in (state, told))
    assert not torch.equal(first.codes[0, -1], other.codes[0, -1])
    assert torch.equal(first.codes[1, -1], other.codes[1, -1])
    lasting = world.step_latent(other, keys, seeded(1))
    assert torch.equal(lasting.text, told.text), "it lasts"


@torch.no_grad()
def test_a_start_with_a_text_is_a_start_told_so():
    world, batch = hearing_world(), small_batch()
    first, other = start(world, batch, ["rain", "night"]), world.prompt(start(world, batch), ["rain", "night"])
    assert all(torch.equal(tensor, other.tensors()[name]) for name, tensor in first.tensors().items())


def test_a_world_that_learned_no_captions_hears_nothing():
    for world in (small_world(), hearing_world(text="none")):
        assert world.events == () and world.dynamics.reader is None
        with pytest.raises(WorldError, match="captions"):
            world.prompt(start(world, small_batch()), ["rain", ""])
    with pytest.raises(WorldError, match="received 1"):
        hearing_world().prompt(start(hearing_world(), small_batch()), ["rain"])


@torch.no_grad()
def test_training_tells_what_playing_tells():
    """A masked frame that is told its caption in a window has the outputs that a step from the window's cache gives."""
    world = hearing_world()
    dynamics, quantiser = world.dynamics, world.tokenizer.quantiser
    z = quantiser.codes_to_z(torch.randint(60, (2, 4, 4, 4), generator=seeded(0)))
    before = torch.cat([torch.zeros_like(z[:, :, :1]), z[:, :, :-1]], dim=2)
    told = dynamics.told(before, torch.tensor([[8, 1, 2, 3]] * 2))
    texts = to_bytes(["", "rain", "", "night", "", "", "", "rain"], 8).unflatten(0, (2, 4))
    hidden = torch.ones(2, 3, 16, dtype=torch.bool)
    memory = dynamics.remember(told, z)
    asked = told[:, 1:] + dynamics.hear(texts[:, 1:])[:, :, None]
    window = dynamics.guess(asked, z[:, :, 1:], hidden, memory, first=1, allowed=earlier_and_own(dynamics, 4))
    last = told[:, 3:] + dynamics.hear(texts[:, 3])[:, None, None]
    assert torch.allclose(window[:, 2:], dynamics.guess(last, z[:, :, 3:], hidden[:, 2:], memory[:, :, :, :3]), atol=1e-5)


@torch.no_grad()
def test_the_loss_is_told_each_frames_own_caption():
    """The first frame is never guessed, so its caption says nothing; a longer text is cut, a shorter one filled up."""
    world = hearing_world()
    world.begin_phase("dynamics")
    plain = small_batch()

    def loss(*texts, length=None):
        rows = [text for row in texts for text in row]
        captions = to_bytes(rows, length).unflatten(0, (2, 5))
        return float(world.loss(replace(plain, captions=captions), seeded(0)).total)

    quiet = [("",) * 5] * 2
    assert loss(*quiet, length=3) == loss(*quiet, length=20) == float(world.loss(plain, seeded(0)).total)
    assert loss(("rain", *("",) * 4), quiet[1]) == pytest.approx(loss(*quiet, length=4))
    assert loss(("", "", "rain", "", ""), quiet[1]) != pytest.approx(loss(*quiet, length=4), abs=1e-6)


def test_the_reader_learns_with_the_dynamics_alone():
    world, batch = hearing_world(), small_batch()
    captions = torch.zeros(2, 5, 8, dtype=torch.uint8)
    world.begin_phase("dynamics")
    dynamics_loss(world.dynamics, world.tokenizer, batch.frames, world.infer(batch.frames), seeded(0), captions).total.backward()
    assert world.dynamics.reader.letters.weight.grad is not None
    world.begin_phase("tokenize")
    assert not world.dynamics.reader.letters.weight.requires_grad


def test_latent_actions_are_swapped_where_anything_is_said_and_nowhere_else():
    inferred = torch.arange(600)[:, None].expand(-1, 4) + 1000 * torch.arange(4)
    captions = torch.zeros(600, 5, 3, dtype=torch.uint8)
    captions[:300, 4] = 1  # the last frame's alone
    swapped = swap_actions(inferred, captions, 0.25, seeded(0))
    assert torch.equal(swapped[300:], inferred[300:])
    assert float((swapped[:300] != inferred[:300]).float().mean()) == pytest.approx(0.25, abs=0.04)
    assert torch.equal(swapped // 1000, inferred // 1000), "of the same step"
    assert torch.equal(swap_actions(inferred, captions, 0.0, seeded(0)), inferred)


@torch.no_grad()
def test_only_training_swaps_latent_actions(monkeypatch):
    """With every latent action another window's, each window is told what the other did."""
    world, batch = hearing_world(swapped_share=1.0), small_batch()
    captions = torch.ones(2, 5, 8, dtype=torch.uint8)
    monkeypatch.setattr(torch, "randperm", lambda count, **_: torch.arange(count).flip(0))
    inferred, told, tell = world.infer(batch.frames), [], world.dynamics.told
    monkeypatch.setattr(world.dynamics, "told", lambda before, actions: told.append(actions[:, 1:]) or tell(before, actions))
    for learns in (True, False):
        dynamics_loss(world.dynamics.train(learns), world.tokenizer, batch.frames, world.infer(batch.frames), seeded(0), captions)
    assert not torch.equal(inferred[0], inferred[1])
    assert torch.equal(told[0], inferred.flip(0)) and torch.equal(told[1], inferred)
