"""The autoregressive world keeps the World contract, refuses what does not fit, and its phases train what they say."""

import pytest
import torch

from armillary.core import Batch, ConfigError, Prompt, WorldError, seeded
from armillary.core.check import check_world
from tests.worlds.autoregressive.small_autoregressive import small_batch, small_config, small_world


def start(world, batch, steps=3):
    prompt = Prompt(batch_size=len(batch), frames=batch.frames[:, :steps], actions=batch.actions[:, : steps - 1])
    return world.start(prompt, seeded(0))


@pytest.mark.parametrize("passes", [0, 3])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_keeps_the_contract(temperature, passes):
    check_world(small_world(temperature=temperature, passes=passes))


def test_keeps_the_contract_with_learned_codes():
    check_world(small_world(bottleneck="vq", num_codes=16, latent_channels=4))


@torch.no_grad()
def test_a_branch_is_the_same_as_going_straight():
    world, batch = small_world(), small_batch()
    kept = world.step(start(world, batch), batch.actions[:, 2], seeded(1))
    straight = world.step(kept, batch.actions[:, 3], seeded(2))
    world.step(kept, -batch.actions[:, 3], seeded(3))
    restored = kept.with_tensors({name: tensor.clone() for name, tensor in kept.tensors().items()})
    branched = world.step(restored.repeat(2).rows([0, 2]), batch.actions[:, 3], seeded(2))
    for name, tensor in straight.tensors().items():
        assert torch.equal(branched.tensors()[name], tensor), name


@torch.no_grad()
def test_observing_is_starting_from_what_was_seen():
    world, batch = small_world(), small_batch()
    seen = world.observe(start(world, batch, 2), batch.actions[:, 1], batch.frames[:, 2], seeded(0))
    whole = start(world, batch, 3)
    for name, tensor in whole.tensors().items():
        assert torch.allclose(seen.tensors()[name].float(), tensor.float(), atol=1e-5), name


@torch.no_grad()
def test_a_long_prompt_is_its_last_frames():
    world, batch = small_world(), small_batch()
    long = start(world, batch, 5)
    assert torch.equal(long.codes, world.tokenizer.codes(batch.frames[:, 2:]))
    assert bool(long.acted.all())
    assert torch.equal(long.actions, world.standardise(batch.actions[:, 1:4]))
    short = start(world, batch, 3)
    assert short.acted.tolist() == [[False, True, True]] * 2


@torch.no_grad()
def test_actions_that_nobody_gave_are_unknown():
    """The mean action would be a claim: a robot held elsewhere is then taken to have been there."""
    world, batch = small_world(), small_batch()
    blind = world.start(Prompt(batch_size=2, frames=batch.frames[:, :3]), seeded(0))
    assert not bool(blind.acted.any()) and not bool(blind.has_origin.any())
    told = start(world, batch)
    assert torch.equal(blind.codes, told.codes) and not torch.equal(blind.memory, told.memory)


@torch.no_grad()
def test_a_start_shows_the_last_frame_better_than_its_codes():
    """An untrained repair already gives back what the codes of the context lose."""
    world, batch = small_world(), small_batch()
    state = start(world, batch)
    drawn = world.tokenizer.decode_codes(state.codes[:, -1:])[:, 0]
    shown = world.render(state)["rgb"]
    assert (shown - batch.frames[:, 2]).square().mean() < 0.2 * (drawn - batch.frames[:, 2]).square().mean()


FRAMES = torch.rand(2, 2, 3, 32, 32)


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        (Prompt(batch_size=2), "frames"),
        (Prompt(batch_size=2, frames=FRAMES[..., :16]), "32, 16"),
        (Prompt(batch_size=2, frames=FRAMES[:, :0]), "0, 3, 32, 32"),
        (Prompt(batch_size=2, frames=FRAMES, actions=torch.rand(2, 1, 4)), "1 actions of size 3"),
        (Prompt(batch_size=2, frames=FRAMES, actions=torch.rand(2, 2, 3)), "1 actions of size 3"),
        (
            Prompt(batch_size=2, frames=FRAMES * torch.tensor([1.0, torch.nan]).reshape(2, 1, 1, 1, 1)),
            r"frames must be numbers.*worlds \[1\] of 2",
        ),
        (Prompt(batch_size=2, frames=FRAMES, actions=torch.full((2, 1, 3), torch.nan)), r"actions must be numbers.*worlds \[0, 1\] of 2"),
    ],
)
def test_a_prompt_that_does_not_fit_is_refused(prompt, said):
    with pytest.raises(WorldError, match=said):
        small_world().start(prompt, seeded(0))


def test_a_step_that_does_not_fit_is_refused():
    world, batch = small_world(), small_batch()
    state = start(world, batch)
    with pytest.raises(WorldError, match=r"\(2, 3\), received \(2, 4\)"):
        world.step(state, torch.zeros(2, 4), seeded(0))
    with pytest.raises(WorldError, match=r"actions must be numbers.*\[0, 1\]"):
        world.step(state, torch.full((2, 3), torch.nan), seeded(0))
    with pytest.raises(WorldError, match=r"observations must be \(2, 3, 32, 32\), received \(2, 3, 16, 16\)"):
        world.observe(state, batch.actions[:, 0], torch.zeros(2, 3, 16, 16), seeded(0))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"bottleneck": "plain"}, "one code for each cell"),
        ({"rate": "4x8x8"}, "one code for each cell"),
        ({"temperature": -1.0}, "temperature"),
        ({"heads": 5}, "24 and 5"),
        ({"tokenize_share": 1.0}, "tokenize_share"),
        ({"own_codes": 1.5}, "own_codes"),
        ({"context_steps": 0}, "context_steps"),
        ({"passes": -1}, "passes"),
    ],
)
def test_settings_that_do_not_hold_together_are_refused(changes, said):
    with pytest.raises(ConfigError, match=said):
        small_config(**changes)


@pytest.mark.parametrize(("phase", "trained"), [("tokenize", {"tokenizer", "detail"}), ("predict", {"predictor"})])
def test_each_phase_trains_its_own_parameters(phase, trained):
    world = small_world().train()
    world.begin_phase(phase)
    world.loss(small_batch(), seeded(0)).total.backward()
    touched = {name.split(".")[0] for name, value in world.named_parameters() if value.grad is not None and value.grad.abs().sum() > 0}
    assert touched == trained


def test_only_frames_after_the_last_real_one_are_learned(monkeypatch):
    """A loss on a frame that its tokens are told of as the last real one would teach nothing."""
    from armillary.worlds.autoregressive import learning

    world, batch, counted = small_world(), small_batch(rows=64), []
    real = world.tokenizer.codes(batch.frames)
    loss = learning.next_code_loss
    monkeypatch.setattr(learning, "next_code_loss", lambda logits, codes: (counted.append(codes), loss(logits, codes))[1])
    batch = Batch(frames=batch.frames[:1].expand(64, -1, -1, -1, -1), actions=batch.actions)
    real = world.tokenizer.codes(batch.frames[:1])[0].flatten(1)
    world.begin_phase("predict")
    world.loss(batch, seeded(0))
    frames = counted[0].unflatten(0, (-1, real.shape[1]))
    assert all(any(torch.equal(frame, later) for later in real[3:]) for frame in frames)
    assert {tuple(frame.tolist()) for frame in frames} == {tuple(later.tolist()) for later in real[3:]}


def test_in_evaluation_the_loss_is_of_true_codes_alone():
    world, batch = small_world(own_codes=1.0, hidden_share=0.5), small_batch()
    world.begin_phase("predict")
    plain = small_world(own_codes=0.0, hidden_share=0.0)
    plain.begin_phase("predict")
    assert torch.equal(world.loss(batch, seeded(0)).total, plain.loss(batch, seeded(0)).total)
    assert not torch.equal(world.train().loss(batch, seeded(0)).total, plain.train().loss(batch, seeded(0)).total)
