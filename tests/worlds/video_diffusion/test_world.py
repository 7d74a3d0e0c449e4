"""The video diffusion world keeps the World contract, steps honestly, chains its chunks, and refuses what it cannot use."""

from dataclasses import replace

import pytest
import torch

from armillary.core import ConfigError, Prompt, WorldError, seeded, to_bytes
from armillary.core.check import check_world
from armillary.worlds.video_diffusion.config import ModeWeights
from armillary.worlds.video_diffusion.state import film
from tests.worlds.video_diffusion.small_video import SHAPE, small_batch, small_config, small_world


def begun(world, batch, frames=2, seed=0):
    prompt = Prompt(batch_size=len(batch), frames=batch.frames[:, :frames], actions=batch.actions[:, : frames - 1])
    return world.start(prompt, seeded(seed))


@pytest.mark.parametrize(
    ("preset", "changes"),
    [("default", {"chunk_steps": 2}), ("default", {"causal": False, "context_steps": 1, "chunk_steps": 2}), ("edm", {"chunk_steps": 2})],
)
def test_keeps_the_contract(preset, changes):
    check_world(small_world(preset, **changes))


@pytest.mark.parametrize("causal", [True, False])
@torch.no_grad()
def test_a_later_action_never_changes_an_earlier_picture(causal):
    """Over the border between two chunks as well."""
    world = small_world(chunk_steps=2, causal=causal)
    batch = small_batch(world, 2)
    actions = batch.actions.clone()
    before = [world.render(state)["rgb"] for state in world.rollout(begun(world, batch), actions, seeded(7))]
    actions[:, 2] += 1.0
    after = [world.render(state)["rgb"] for state in world.rollout(begun(world, batch), actions, seeded(7))]
    assert all(torch.equal(before[t], after[t]) for t in (0, 1))
    assert not torch.allclose(before[2], after[2], atol=1e-4)


@torch.no_grad()
def test_a_chunk_stepped_is_the_chunk_drawn_whole():
    """In a causal order each picture of a rollout is a frame of the last one's film, from the first frame given on, unchanged."""
    world = small_world()
    batch = small_batch(world, 2)
    states = world.rollout(begun(world, batch), batch.actions[:, 1:5], seeded(7))
    shown = film(world.chunks, states[-1], 2, 4)
    assert torch.equal(shown[:, :2], batch.frames[:, :2])
    for step, state in enumerate(states):
        assert torch.allclose(world.render(state)["rgb"], shown[:, 2 + step], atol=1e-4)


@torch.no_grad()
def test_a_chunk_follows_a_chunk():
    """After its last step the pictures dreamt last are the context, noisy by the level that says so, and the noise is fresh."""
    world = small_world(chunk_steps=3)
    batch = small_batch(world, 2)
    states = [begun(world, batch), *world.rollout(begun(world, batch), batch.actions[:, 1:5], seeded(7))]
    assert [state.position.tolist() for state in states] == [[0, 0], [1, 1], [2, 2], [3, 3], [1, 1]]
    assert all(torch.equal(state.context, batch.frames[:, :2]) and not state.augment.any() for state in states[:4])
    shown = torch.stack([world.render(state)["rgb"] for state in states[2:4]], dim=1)
    assert torch.allclose(states[4].context, shown, atol=1e-4)
    assert states[4].augment.tolist() == [pytest.approx(0.02)] * 2
    assert torch.equal(states[4].between, world.standardise(batch.actions[:, 3:4])) and bool(states[4].known.all())
    assert torch.equal(states[3].noise, states[0].noise) and not torch.equal(states[4].noise, states[0].noise)


@torch.no_grad()
def test_the_start_shows_the_last_real_frame_and_branches_share_the_noise():
    world = small_world()
    batch = small_batch(world, 2)
    state = begun(world, batch)
    assert torch.equal(world.render(state)["rgb"], batch.frames[:, 1])
    branches = world.step(state.repeat(2), batch.actions[:, 1].repeat_interleave(2, dim=0), seeded(3))
    pictures = world.render(branches)["rgb"]
    assert torch.allclose(pictures[0], pictures[1], atol=1e-5)
    other = world.render(world.step(begun(world, batch, seed=1), batch.actions[:, 1], seeded(3)))["rgb"]
    assert not torch.allclose(pictures[0], other[0], atol=1e-2)


@torch.no_grad()
def test_observe_starts_a_chunk_that_ends_with_what_was_seen():
    world = small_world(context_steps=3)
    batch = small_batch(world, 2)
    whole = begun(world, batch, frames=3)
    assert torch.equal(world.observe(begun(world, batch), batch.actions[:, 1], batch.frames[:, 2], seeded(0)).context, whole.context)
    seen = world.observe(begun(world, batch, frames=3), batch.actions[:, 2], batch.frames[:, 3], seeded(0)).tensors()
    later = begun(world, batch, frames=4).tensors()
    assert all(torch.equal(seen[name], tensor) for name, tensor in later.items())
    dreamt = world.step(begun(world, batch, frames=3), batch.actions[:, 2], seeded(0))
    after = world.observe(dreamt, batch.actions[:, 3], batch.frames[:, 4], seeded(0))
    expected = torch.stack([batch.frames[:, 2], world.render(dreamt)["rgb"], batch.frames[:, 4]], dim=1)
    assert torch.allclose(after.context, expected, atol=1e-5)
    assert torch.equal(after.between, world.standardise(batch.actions[:, 2:4]))


@torch.no_grad()
def test_one_frame_is_a_context_too_and_unknown_actions_are_hidden():
    """Nothing stands in for what is not there: neither what fills the state's shape nor what was done before."""
    world = small_world(context_steps=3)
    batch = small_batch(world, 2)
    state = world.start(Prompt(batch_size=2, frames=batch.frames[:, :1]), seeded(0))
    other = replace(state, context=state.context.index_fill(1, torch.tensor([0, 1]), 0.7), between=state.between + 1.0)
    pictures = [world.render(world.step(one, batch.actions[:, 0], seeded(0)))["rgb"] for one in (state, other)]
    assert state.count.tolist() == [1, 1] and not state.known.any() and torch.equal(*pictures)
    unknown = world.start(Prompt(batch_size=2, frames=batch.frames[:, :3]), seeded(0))
    told = begun(world, batch, frames=3)
    shown = [world.render(world.step(one, batch.actions[:, 2], seeded(0)))["rgb"] for one in (unknown, told)]
    assert not torch.allclose(*shown, atol=1e-4)


@torch.no_grad()
def test_imagine_goes_on_from_anything():
    world = small_world()
    batch = small_batch(world, 2)
    prompt = Prompt(batch_size=2, frames=batch.frames[:, :2], actions=batch.actions[:, :1], text=["left", "up"])
    assert world.imagine(prompt, seeded(0)).shape == (2, 4, 3, 16, 24)
    assert world.imagine(Prompt(text=["a", "b", "c"]), seeded(0), steps=9).shape == (3, 9, 3, 16, 24)
    acted = world.imagine(prompt, seeded(0), actions=batch.actions[:, 1:6])
    assert acted.shape[1] == 5 and torch.equal(acted, world.imagine(prompt, seeded(0), actions=batch.actions[:, 1:6]))
    other = batch.actions[:, 1:6].clone()
    other[:, 2] += 1.0
    changed = world.imagine(prompt, seeded(0), actions=other)
    assert torch.allclose(acted[:, :2], changed[:, :2], atol=1e-5) and not torch.allclose(acted[:, 2], changed[:, 2], atol=1e-4)
    alone = world.imagine(Prompt(frames=batch.frames[:1, :2], actions=batch.actions[:1, :1], text=["left"]), seeded(0))
    assert alone.shape == (1, 4, 3, 16, 24)


@torch.no_grad()
def test_actions_are_found_between_frames_and_drawn_after_them():
    world = small_world()
    frames = small_batch(world, 2).frames
    video = torch.cat([frames, frames.flip(1), frames], dim=1)  # 18 frames: three pieces of six that share their ends, and more
    found = world.inverse_dynamics(video, seeded(0))
    assert found.shape == (2, 17, 3)
    short = world.inverse_dynamics(video[:, :6], seeded(0))
    assert torch.allclose(found[:, :5], short, atol=1e-5)
    prompt = Prompt(batch_size=2, frames=frames[:, :2])
    acts = world.act(prompt, seeded(0))
    assert acts.shape == (2, 4, 3) and not torch.allclose(acts, world.act(replace(prompt, frames=frames[:, 2:4]), seeded(0)), atol=1e-3)


def test_loss_reaches_every_part_and_every_share_of_the_batch():
    world = small_world(image_share=0.25, modes=ModeWeights(forward_dynamics=0.5, inverse_dynamics=0.5, policy=0.5))
    batch = small_batch(world, 16)
    world.begin_phase("diffusion")
    loss = world.loss(batch, seeded(0))
    loss.total.backward()
    expected = 0.75 * loss.parts["video"] + 0.75 * 0.3 * loss.parts["actions"] + 0.25 * loss.parts["image"]
    assert torch.allclose(loss.total, expected) and all(part > 0 for part in loss.parts.values())
    assert [name for name, one in world.named_parameters() if one.grad is None or not one.grad.any()] == []


@torch.no_grad()
def test_texts_dropped_from_training_are_as_empty_ones():
    world = small_world(text_dropout=0.999999)
    batch = small_batch(world)
    other = replace(batch, text=to_bytes(["quite another"] * 4))
    assert torch.equal(world.loss(batch, seeded(0)).total, world.loss(other, seeded(0)).total)
    told = small_world(text_dropout=0.0)
    assert not torch.equal(told.loss(batch, seeded(0)).total, told.loss(other, seeded(0)).total)


def test_what_does_not_fit_is_refused():
    world = small_world()
    batch = small_batch(world, 2)
    state, prompt = begun(world, batch), Prompt(batch_size=2, frames=batch.frames[:, :2])
    with pytest.raises(WorldError, match=r"actions must be \(2, 3\), received \(2, 4\)"):
        world.step(state, torch.zeros(2, 4), seeded(0))
    with pytest.raises(WorldError, match="the actions hold NaN or infinity"):
        world.step(state, torch.full((2, 3), float("nan")), seeded(0))
    with pytest.raises(WorldError, match=r"observations must be \(2, 3, 16, 24\), received \(2, 3, 8, 8\)"):
        world.observe(state, batch.actions[:, 1], torch.zeros(2, 3, 8, 8), seeded(0))
    with pytest.raises(WorldError, match=r"must be b t \(3, 16, 24\), received \(2, 0, 3, 16, 24\)"):
        world.start(replace(prompt, frames=batch.frames[:, :0]), seeded(0))
    with pytest.raises(WorldError, match="from frames, from a text or from both; the prompt has neither"):
        world.imagine(Prompt(), seeded(0))
    with pytest.raises(WorldError, match="actions lead on from a frame"):
        world.imagine(Prompt(text=["a"]), seeded(0), actions=torch.zeros(1, 4, 3))
    with pytest.raises(WorldError, match=r"actions must be 2 x steps x 3, received \(2, 4, 2\)"):
        world.imagine(prompt, seeded(0), actions=torch.zeros(2, 4, 2))
    with pytest.raises(WorldError, match="give at least 2, received 1"):
        world.inverse_dynamics(batch.frames[:, :1], seeded(0))
    with pytest.raises(WorldError, match="this world starts from frames; the prompt lacks frames"):
        world.act(Prompt(text=["a"]), seeded(0))
    for call in (lambda one: one.act(prompt, seeded(0)), lambda one: one.inverse_dynamics(batch.frames, seeded(0))):
        with pytest.raises(WorldError, match="was not trained for"):
            call(small_world(modes=ModeWeights(policy=0.0, inverse_dynamics=0.0)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sampler": "rk4"}, "model.sampler must be one of euler, heun, adams; received 'rk4'"),
        ({"noising": "ddpm"}, "model.noising must be one of rectified-flow, edm; received 'ddpm'"),
        ({"text": "bert"}, "model.text must be one of bytes, t5, clip, none; received 'bert'"),
        ({"context_steps": 5, "chunk_steps": 4}, "at most model.chunk_steps"),
        ({"width": 20, "heads": 4}, "even number of at least 6; received 20 and 4"),
        ({"image_share": 1.0}, "model.image_share must be at least 0 and below 1; received 1.0"),
        ({"sampling_steps": 0}, "model.sampling_steps must be 1 or more; received 0"),
        ({"shift": 0.0}, "model.shift must be above 0"),
        ({"field_of_view_deg": 180.0}, "model.field_of_view_deg must be at least 0 and below 180"),
        ({"tokenizer": "run", "context_steps": 2}, r"1 \+ a multiple of 4 and model.chunk_steps a multiple; received 2 and 4"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        small_config(**changes)


def test_pictures_that_patches_do_not_divide_are_refused():
    with pytest.raises(ConfigError, match="picture sides must be multiples of 8"):
        small_world(shape=replace(SHAPE, width=20))
