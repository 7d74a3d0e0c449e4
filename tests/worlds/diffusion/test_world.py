"""The diffusion world keeps the World contract, steps honestly, chains its chunks, and refuses what it cannot use."""

import pytest
import torch

from armillary.core import ConfigError, Prompt, WorldError, seeded
from armillary.core.check import check_world
from armillary.worlds.diffusion.tone import Tone
from tests.worlds.diffusion.small_diffusion import small_batch, small_config, small_world


def begun(world, batch, frames=2, seed=0):
    prompt = Prompt(batch_size=len(batch), frames=batch.frames[:, :frames], actions=batch.actions[:, : frames - 1])
    return world.start(prompt, seeded(seed))


@pytest.mark.parametrize(("preset", "chunk_steps"), [("default", 2), ("default", 4), ("edm", 2), ("no-guess", 2)])
def test_keeps_the_contract(preset, chunk_steps):
    check_world(small_world(preset, chunk_steps=chunk_steps))


@pytest.mark.parametrize("sampler", ["euler", "heun"])
def test_every_sampler_keeps_the_contract(sampler):
    check_world(small_world(sampler=sampler, context_steps=1, chunk_steps=2))


@torch.no_grad()
def test_a_later_action_never_changes_an_earlier_picture():
    """Over the border between two chunks as well."""
    world = small_world(chunk_steps=2)
    batch = small_batch(world)
    actions = batch.actions.clone()
    before = [world.render(state)["rgb"] for state in world.rollout(begun(world, batch), actions, seeded(7))]
    actions[:, 2] += 1.0
    after = [world.render(state)["rgb"] for state in world.rollout(begun(world, batch), actions, seeded(7))]
    assert all(torch.equal(before[t], after[t]) for t in (0, 1))
    assert not torch.allclose(before[2], after[2])


@torch.no_grad()
def test_a_chunk_follows_a_chunk():
    """After its last step the pictures dreamt last are the context, and the noise is fresh."""
    world = small_world(chunk_steps=3)
    batch = small_batch(world)
    states = [begun(world, batch), *world.rollout(begun(world, batch), batch.actions[:, :4], seeded(7))]
    assert [state.position.tolist() for state in states] == [[0, 0], [1, 1], [2, 2], [3, 3], [1, 1]]
    assert all(torch.equal(state.context, batch.frames[:, :2]) for state in states[:4])
    shown = torch.stack([world.render(state)["rgb"] for state in states[2:4]], dim=1)
    assert torch.allclose(states[4].context, shown, atol=1e-5)
    assert torch.equal(states[3].noise, states[0].noise)
    assert not torch.equal(states[4].noise, states[0].noise)


@torch.no_grad()
def test_the_start_shows_the_last_real_frame_and_branches_share_the_noise():
    world = small_world()
    batch = small_batch(world)
    state = begun(world, batch)
    assert torch.equal(world.render(state)["rgb"], batch.frames[:, 1])
    branches = world.step(state.repeat(2), batch.actions[:, 1].repeat_interleave(2, dim=0), seeded(3))
    pictures = world.render(branches)["rgb"]
    assert torch.allclose(pictures[0], pictures[1], atol=1e-5)
    other = world.render(world.step(begun(world, batch, seed=1), batch.actions[:, 1], seeded(3)))["rgb"]
    assert not torch.allclose(pictures[0], other[0], atol=1e-2)


@torch.no_grad()
def test_observe_starts_a_chunk_that_ends_with_what_was_seen():
    world = small_world()
    batch = small_batch(world)
    seen = world.observe(begun(world, batch), batch.actions[:, 1], batch.frames[:, 2], seeded(0))
    whole = begun(world, batch, frames=3)
    for name, tensor in whole.tensors().items():
        assert torch.allclose(seen.tensors()[name], tensor, atol=1e-6), name
    dreamt = world.step(begun(world, batch), batch.actions[:, 1], seeded(0))
    later = world.observe(dreamt, batch.actions[:, 2], batch.frames[:, 3], seeded(0))
    assert torch.allclose(later.context, torch.stack([world.render(dreamt)["rgb"], batch.frames[:, 3]], dim=1))


@torch.no_grad()
def test_fewer_frames_are_taken_to_have_stood_still():
    world = small_world()
    batch = small_batch(world)
    one = world.start(Prompt(batch_size=2, frames=batch.frames[:, :1]), seeded(0))
    mean = world.standardise.mean.expand(2, 1, -1)
    two = world.start(Prompt(batch_size=2, frames=batch.frames[:, :1].expand(-1, 2, -1, -1, -1), actions=mean), seeded(0))
    assert all(torch.equal(tensor, two.tensors()[name]) for name, tensor in one.tensors().items())


@pytest.mark.parametrize("preset", ["default", "edm", "no-guess"])
def test_each_phase_trains_its_own_part(preset):
    world = small_world(preset)
    batch = small_batch(world)
    drawing = (world.transformer, world.finish, world.embed_action)
    parts = (
        {"diffusion": (world.reader, *drawing)} if preset == "no-guess" else {"guess": (world.reader, world.painter), "diffusion": drawing}
    )
    for phase in world.phases():
        world.begin_phase(phase.name)
        world.zero_grad()
        loss = world.loss(batch, seeded(0))
        loss.total.backward()
        assert bool(torch.isfinite(loss.total))
        for name, modules in parts.items():
            moved = [p for module in modules for p in module.parameters() if p.grad is not None and bool(p.grad.any())]
            total = sum(1 for module in modules for _ in module.parameters())
            assert len(moved) == (total if name == phase.name else 0)


@torch.no_grad()
def test_the_loss_aligns_actions_and_frames():
    """In evaluation nothing is disturbed, so the guess in the loss is the guess that stepping gives for the same frame."""
    world = small_world(frames_per_window=1, chunk_steps=2).eval()
    batch = small_batch(world)
    world.begin_phase("guess")
    state = begun(world, batch)
    errors = []
    for step in (0, 1):
        state = world.step(state, batch.actions[:, 1 + step], seeded(0))
        tone = Tone.of(state.context[:, -1])
        guess, _ = world.painter(tone.remove(state.context), state.read[:, -1:])
        errors.append((guess - tone.remove(batch.frames[:, 2 + step : 3 + step])).square().mean((1, 2, 3, 4)))
    possible = {round(float(torch.stack([errors[i][0], errors[j][1]]).mean()), 4) for i in (0, 1) for j in (0, 1)}
    found = {round(float(world.loss(batch, seeded(seed)).parts["error"]), 4) for seed in range(12)}
    assert found == possible


def test_a_prompt_without_frames_is_refused():
    world = small_world()
    empty = torch.zeros(1, 0, 3, 32, 48)
    with pytest.raises(WorldError, match="the prompt's video has no frames; give at least one"):
        world.start(Prompt(batch_size=1, frames=empty, actions=torch.zeros(1, 0, 3)), seeded(0))


def test_wrong_actions_are_refused():
    world = small_world()
    batch = small_batch(world)
    with pytest.raises(WorldError, match=r"2 context frames need 1 actions of size 3 between them, received \(2, 2, 3\)"):
        world.start(Prompt(batch_size=2, frames=batch.frames[:, :2], actions=batch.actions[:, :2]), seeded(0))
    with pytest.raises(WorldError, match=r"actions must be \(2, 3\), received \(2, 4\)"):
        world.step(begun(world, batch), torch.zeros(2, 4), seeded(0))


def test_what_is_not_finite_is_refused():
    world = small_world()
    batch = small_batch(world)
    state = begun(world, batch)
    with pytest.raises(WorldError, match="the actions hold NaN or infinity"):
        world.step(state, torch.full((2, 3), float("nan")), seeded(0))
    frames = batch.frames.clone()
    frames[0, 0, 0, 0, 0] = float("inf")
    with pytest.raises(WorldError, match="the frames hold NaN or infinity"):
        world.start(Prompt(batch_size=2, frames=frames[:, :2]), seeded(0))
    with pytest.raises(WorldError, match="the frames hold NaN or infinity"):
        world.observe(state, batch.actions[:, 1], frames[:, 0], seeded(0))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sampler": "rk4"}, "model.sampler must be one of euler, heun, adams; received 'rk4'"),
        ({"noising": "ddpm"}, "model.noising must be one of rectified-flow, edm; received 'ddpm'"),
        ({"context_steps": 5, "chunk_steps": 4}, "between 1 and model.chunk_steps"),
        ({"width": 20, "heads": 4}, "even number of at least 6; received 20 and 4"),
        ({"guess_share": 1.0}, "model.guess_share must lie between 0 and 1"),
        ({"sampling_steps": 0}, "model.sampling_steps must be at least 1; received 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        small_config(**changes)
