"""V-M-C keeps the World contract and its losses train what their phase says."""

from dataclasses import replace

import pytest
import torch

from armillary.core import Prompt, WorldError, seeded
from armillary.core.check import check_world
from tests.worlds.vmc.small_vmc import small_batch, small_world


@pytest.mark.parametrize("preset", ["default", "published"])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_keeps_the_contract(preset, temperature):
    check_world(small_world(preset, temperature=temperature))


def dream(world, batch, actions):
    steps = world.config.context_steps
    state = world.start(Prompt(batch_size=2, frames=batch.frames[:, :steps], actions=batch.actions[:, : steps - 1]), seeded(0))
    return world.rollout(state, actions, seeded(7))


@torch.no_grad()
def test_a_later_action_never_changes_an_earlier_state():
    world = small_world(temperature=1.0)
    batch = small_batch(world)
    actions = batch.actions[:, :4].clone()
    before = dream(world, batch, actions)
    actions[:, 2] += 1.0
    after = dream(world, batch, actions)
    assert torch.equal(before[1].latent, after[1].latent)
    assert not torch.equal(before[2].latent, after[2].latent)


@torch.no_grad()
def test_context_actions_and_frames_are_both_listened_to():
    world = small_world()
    batch = small_batch(world)
    frames, actions = batch.frames[:, :3], batch.actions[:, :2]
    state = world.start(Prompt(batch_size=2, frames=frames, actions=actions), seeded(0))
    other_actions = world.start(Prompt(batch_size=2, frames=frames, actions=-actions), seeded(0))
    assert torch.equal(state.latent, other_actions.latent)
    assert not torch.equal(state.hidden, other_actions.hidden)
    without = world.start(Prompt(batch_size=2, frames=frames), seeded(0))
    mean = world.standardise.mean.expand(2, 2, -1)
    assert torch.equal(without.hidden, world.start(Prompt(batch_size=2, frames=frames, actions=mean), seeded(0)).hidden)


@torch.no_grad()
def test_observe_looks_again_and_keeps_the_memory():
    world = small_world()
    batch = small_batch(world)
    state = world.start(Prompt(batch_size=2, frames=batch.frames[:, :2], actions=batch.actions[:, :1]), seeded(0))
    seen = world.observe(state, batch.actions[:, 1], batch.frames[:, 2], seeded(0))
    whole = world.start(Prompt(batch_size=2, frames=batch.frames[:, :3], actions=batch.actions[:, :2]), seeded(0))
    for name, tensor in whole.tensors().items():
        assert torch.allclose(seen.tensors()[name], tensor, atol=1e-6), name


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        (Prompt(batch_size=1), "frames"),
        (Prompt(batch_size=1, frames=torch.rand(1, 2, 3, 32, 32)), "32, 32"),
        (Prompt(batch_size=1, frames=torch.rand(1, 3, 3, 64, 64), actions=torch.rand(1, 1, 3)), "2 actions of size 3"),
    ],
)
def test_a_prompt_that_does_not_fit_is_refused(prompt, said):
    with pytest.raises(WorldError, match=said):
        small_world().start(prompt, seeded(0))


def test_an_action_of_another_size_is_refused():
    world = small_world()
    state = world.start(Prompt(batch_size=1, frames=torch.rand(1, 1, 3, 64, 64)), seeded(0))
    with pytest.raises(WorldError, match=r"\(1, 3\), received \(1, 4\)"):
        world.step(state, torch.zeros(1, 4), seeded(0))


@pytest.mark.parametrize(
    ("preset", "phase", "trained"),
    [
        ("default", "vision", {"vision_encoder", "vision_decoder"}),
        ("default", "dream", {"vision_encoder", "vision_decoder", "memory"}),
        ("published", "vision", {"vision_encoder", "vision_decoder"}),
        ("published", "memory", {"memory"}),
    ],
)
def test_each_phase_trains_its_own_parameters(preset, phase, trained):
    world = small_world(preset)
    world.begin_phase(phase)
    world.loss(small_batch(world), seeded(0)).total.backward()
    touched = {name.split(".")[0] for name, value in world.named_parameters() if value.grad is not None and value.grad.abs().sum() > 0}
    assert touched == trained


@pytest.mark.parametrize(("preset", "phase"), [("default", "dream"), ("published", "memory")])
def test_outcomes_belong_to_the_action_that_led_there(preset, phase, monkeypatch):
    """`rewards[t]` is the outcome of `actions[t]`: the loss must hand M's state after action t the reward of row t."""
    from armillary.worlds.vmc import losses

    world = small_world(preset, other_looks=0.0)
    batch = small_batch(world)
    steps, given = batch.frames.shape[1], {}

    def spy(memory, hidden, rewards, terminated):
        given.update(hidden=hidden, rewards=rewards, terminated=terminated)
        return {}

    monkeypatch.setattr(losses, "outcome_loss", spy)
    world.begin_phase(phase)
    world.loss(batch, seeded(0))
    first = world.config.context_steps - 1 if phase == "dream" else 0
    assert torch.equal(given["rewards"], batch.rewards[:, first : steps - 1])
    assert torch.equal(given["terminated"], batch.terminated[:, first : steps - 1])
    assert given["hidden"].shape[1] == given["rewards"].shape[1]


def test_the_next_frame_after_the_last_one_is_never_asked_for():
    """The last row's action leads out of the window: changing it must not change any loss."""
    for preset, phase in (("default", "dream"), ("published", "memory")):
        world = small_world(preset)
        world.begin_phase(phase)
        batch = small_batch(world)
        before = world.loss(batch, seeded(0)).total
        batch.actions[:, -1] += 3.0
        assert torch.equal(before, world.loss(batch, seeded(0)).total)
        batch.actions[:, -2] += 3.0
        assert not torch.equal(before, world.loss(batch, seeded(0)).total)


@torch.no_grad()
def test_the_picture_shows_what_memory_knows_and_stays_a_picture():
    world = small_world()
    state = world.start(Prompt(batch_size=1, frames=torch.rand(1, 2, 3, 64, 64)), seeded(0))
    other = replace(state, hidden=state.hidden + 3.0)
    assert not torch.equal(world.render(state)["rgb"], world.render(other)["rgb"])
    world.vision_decoder.exit.bias[:12] += 40.0  # paints far brighter than white
    world.vision_decoder.exit.bias[12:16] -= 40.0  # and everywhere
    picture = world.render(state)["rgb"]
    assert picture.max() == 1.0 and picture.min() >= 0.0


def test_dreams_train_the_decoder_to_read_memory():
    world = small_world()
    world.begin_phase("dream")
    world.loss(small_batch(world), seeded(0)).total.backward()
    read = world.vision_decoder.expand.weight.grad[:, world.config.latent_size :]
    assert read.shape[1] == world.config.hidden_size and read.abs().sum() > 0
