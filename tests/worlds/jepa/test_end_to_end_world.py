"""The end-to-end JEPA keeps the World contract, its loss is what the equations say, and its indices are right."""

from dataclasses import fields

import pytest
import torch

from armillary.core import ConfigError, Prompt, WorldError, seeded
from armillary.core.check import check_world
from armillary.worlds.jepa.end_to_end_train import PRESETS
from armillary.worlds.jepa.end_to_end_world import EndToEndState, ModelConfig
from armillary.worlds.jepa.regularisers import covariance_loss, sigreg, similarity_loss, variance_loss
from tests.worlds.jepa.small_end_to_end import SIDE, small_batch, small_world

WEIGHTS = ("sigreg_weight", "variance_weight", "covariance_weight", "similarity_weight", "inverse_weight")


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_keeps_the_contract(preset):
    world = small_world(preset).eval()
    assert world.spec.sees == (SIDE, SIDE)
    check_world(world)


def naive_prediction_loss(world, batch) -> float:
    """From every frame alone, one step at a time in float64, as the docstring says; the mean over steps ahead of the mean errors."""
    world = world.double()
    frames = batch.frames.double()
    actions = world.standardise(batch.actions.double())
    latents = torch.stack([world.norm(world.encoder(frames[:, t])) for t in range(frames.shape[1])], dim=1)
    size, errors = world.config.memory_size, {ahead: [] for ahead in range(1, world.config.predict_steps + 1)}
    memory = torch.zeros(len(frames), size, dtype=torch.float64)
    for start in range(frames.shape[1] - 1):
        latent, imagined = latents[:, start], memory
        for ahead in range(1, world.config.predict_steps + 1):
            if start + ahead >= frames.shape[1]:
                break
            raw, imagined = world.predictor(latent, imagined, actions[:, start + ahead - 1])
            latent = world.norm(raw)
            errors[ahead].append((latent - latents[:, start + ahead]).square())
            if ahead == 1:
                memory_after = imagined
        memory = memory_after
    return sum(torch.stack(values).mean().item() for values in errors.values()) / len(errors)


@pytest.mark.parametrize("preset", sorted(PRESETS))
@pytest.mark.parametrize("predict_steps", [1, 3])
@torch.no_grad()
def test_prediction_loss_equals_a_naive_loop(preset, predict_steps):
    world = small_world(preset, predict_steps=predict_steps).eval()
    batch = small_batch(world)
    ours = world.loss(batch, seeded(0)).parts["prediction"].item()
    assert ours == pytest.approx(naive_prediction_loss(world, batch), rel=1e-4)


@torch.no_grad()
def test_linear_actions_move_every_prediction_by_a_linear_function_of_the_action():
    plain, moved = small_world(), small_world(linear_actions=True)
    moved.load_state_dict(plain.state_dict(), strict=False)
    latent, memory, rng = torch.randn(4, 8, generator=seeded(0)), torch.zeros(4, 0), seeded(1)
    action = torch.randn(4, 3, generator=rng)
    assert torch.equal(plain.predictor(latent, memory, action)[0], moved.predictor(latent, memory, action)[0]), "nothing at first"
    moved.predictor.direct.weight.copy_(torch.randn(8, 3, generator=rng))
    for scale in (1.0, 10.0):
        gap = moved.predictor(latent, memory, scale * action)[0] - plain.predictor(latent, memory, scale * action)[0]
        torch.testing.assert_close(gap, scale * action @ moved.predictor.direct.weight.T, atol=1e-5, rtol=1e-4)
    check_world(moved)


@torch.no_grad()
def test_the_total_is_the_weighted_sum_of_the_parts():
    weights = dict(zip(WEIGHTS, (0.09, 16.0, 8.0, 12.0, 2.0), strict=True))
    world = small_world(**weights)
    batch = small_batch(world)
    loss = world.loss(batch, seeded(0))
    latents = world.encode(batch.frames)
    flat = latents.flatten(0, 1)
    expected = loss.parts["prediction"] + 0.09 * sigreg(latents, seeded(0), num_projections=16) + 16.0 * variance_loss(flat)
    expected += 8.0 * covariance_loss(flat) + 12.0 * similarity_loss(latents)
    expected += 2.0 * world.inverse.loss(latents, world.standardise(batch.actions))
    assert loss.total.item() == pytest.approx(expected.item(), rel=1e-5)
    assert {"effective_rank", "deviation", "least_deviation"} <= loss.parts.keys()


@pytest.mark.parametrize("removed", WEIGHTS)
@torch.no_grad()
def test_a_weight_of_zero_switches_its_term_off(removed):
    weights = dict.fromkeys(WEIGHTS, 1.0)
    batch = small_batch(small_world())
    whole = small_world(**weights).loss(batch, seeded(0))
    less = small_world(**(weights | {removed: 0.0})).loss(batch, seeded(0))
    name = removed.removesuffix("_weight")
    assert whole.parts.keys() - less.parts.keys() == {name}
    assert (whole.total - less.total).item() == pytest.approx(whole.parts[name].item(), rel=1e-4, abs=1e-6)
    assert whole.parts[name] > 1e-5


def test_a_pooled_encoder_keeps_the_contract_and_learns():
    world = small_world(pooled=True).train()
    world.loss(small_batch(world), seeded(0)).total.backward()
    assert world.encoder.pooled_head.weight.grad.abs().sum() > 0
    check_world(world.eval())


@pytest.mark.parametrize("setting", [{"shift_pixels": 2}, {"latent_noise": 0.5}, {"action_noise": 0.5}])
@torch.no_grad()
def test_shift_and_noise_act_in_training_only(setting):
    """And a shift is seen by every term, noise by the prediction alone."""
    plain, changed = small_world(), small_world(**setting)
    batch = small_batch(plain)
    for world in (plain, changed):
        world.train()
    before, after = (world.loss(batch, seeded(3)).parts for world in (plain, changed))
    differs = {name for name in ("prediction", "variance", "inverse") if not torch.equal(before[name], after[name])}
    assert differs == ({"prediction", "variance", "inverse"} if "shift_pixels" in setting else {"prediction"})
    for world in (plain, changed):
        world.eval()
    assert torch.equal(plain.loss(batch, seeded(3)).total, changed.loss(batch, seeded(3)).total)


@pytest.mark.parametrize("name", ["shift_pixels", "latent_noise", "action_noise"])
def test_shift_and_noise_are_not_negative(name):
    with pytest.raises(ConfigError, match=f"model.{name} must be >= 0"):
        ModelConfig(**{name: -1 if name == "shift_pixels" else -1.0})


@pytest.mark.parametrize(
    ("preset", "changes", "untrained"),
    [("default", {}, set()), ("lewm", {}, {"inverse"}), ("default", {"linear_actions": True}, set()), ("manipulation", {}, set())],
)
def test_everything_that_is_used_learns_and_nothing_stops_a_gradient(preset, changes, untrained):
    world = small_world(preset, **changes)
    world.begin_phase("joint")
    world.loss(small_batch(world), seeded(0)).total.backward()
    silent = {name for name, p in world.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.abs().sum() > 0)}
    assert silent == set()
    assert {name.split(".")[0] for name, p in world.named_parameters() if not p.requires_grad} == untrained


def test_the_target_of_the_prediction_learns_too():
    """No stop-gradient: the loss of predicting one step from the first frame pulls on the last frame's latent."""
    world = small_world("lewm", sigreg_weight=0.0, window_steps=2, memory_size=0, context_steps=1)
    batch = small_batch(world)
    frames = batch.frames.requires_grad_()
    world.loss(batch, seeded(0)).total.backward()
    assert frames.grad[:, 1].abs().sum() > 0


@pytest.mark.parametrize("preset", sorted(PRESETS))
@torch.no_grad()
def test_the_last_action_of_a_window_is_never_used_and_the_one_before_is(preset):
    world = small_world(preset).eval()
    batch = small_batch(world)
    before = world.loss(batch, seeded(0)).total
    batch.actions[:, -1] += 3.0
    assert torch.equal(before, world.loss(batch, seeded(0)).total)
    batch.actions[:, -2] += 3.0
    assert not torch.equal(before, world.loss(batch, seeded(0)).total)


@torch.no_grad()
def test_observe_looks_again_and_remembers_as_a_start_from_all_frames_does():
    world = small_world("lewm")
    batch = small_batch(world)
    state = world.start(Prompt(batch_size=4, frames=batch.frames[:, :2], actions=batch.actions[:, :1]), seeded(0))
    seen = world.observe(state, batch.actions[:, 1], batch.frames[:, 2], seeded(0))
    whole = world.start(Prompt(batch_size=4, frames=batch.frames[:, :3], actions=batch.actions[:, :2]), seeded(0))
    assert torch.allclose(seen.latent, whole.latent, atol=1e-6) and torch.allclose(seen.memory, whole.memory, atol=1e-6)
    alone = world.start(Prompt(batch_size=4, frames=batch.frames[:, 2:3]), seeded(0))
    assert torch.allclose(seen.latent, alone.latent, atol=1e-6) and not torch.allclose(seen.memory, alone.memory)


@torch.no_grad()
def test_without_a_memory_one_picture_is_the_whole_state():
    world = small_world()
    batch = small_batch(world)
    whole = world.start(Prompt(batch_size=4, frames=batch.frames[:, :3], actions=batch.actions[:, :2]), seeded(0))
    alone = world.start(Prompt(batch_size=4, frames=batch.frames[:, 2:3]), seeded(0))
    assert torch.allclose(whole.latent, alone.latent, atol=1e-6) and whole.memory.shape == (4, 0)
    assert torch.equal(world.embed(whole), whole.latent)


@torch.no_grad()
def test_actions_are_standardised_and_cut_off():
    world = small_world()
    state = EndToEndState(latent=torch.randn(1, 8, generator=seeded(0)), memory=torch.zeros(1, 0))
    assert torch.allclose(world.standardise(torch.tensor([[1.5, 2.0, -1.0]])), torch.tensor([[1.0, 1.0, -1.0]]))
    far, farther = (world.step(state, torch.full((1, 3), size), seeded(0)).latent for size in (100.0, 1e6))
    assert torch.equal(far, farther)


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        (Prompt(batch_size=1), "frames"),
        (Prompt(batch_size=1, frames=torch.rand(1, 2, 3, 32, 32)), "16, 16"),
        (Prompt(batch_size=1, frames=torch.rand(1, 3, 3, SIDE, SIDE), actions=torch.rand(1, 1, 3)), "2 actions of size 3"),
    ],
)
def test_a_prompt_that_does_not_fit_is_refused(prompt, said):
    with pytest.raises(WorldError, match=said):
        small_world().start(prompt, seeded(0))


def test_an_action_of_another_size_is_refused():
    world = small_world()
    state = world.start(Prompt(batch_size=1, frames=torch.rand(1, 1, 3, SIDE, SIDE)), seeded(0))
    with pytest.raises(WorldError, match=r"\(1, 3\), received \(1, 4\)"):
        world.step(state, torch.zeros(1, 4), seeded(0))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"latent_size": 0}, "model.latent_size"),
        ({"covariance_weight": -1.0}, "model.covariance_weight"),
        ({"predict_steps": 12}, "model.window_steps must be greater"),
        ({"context_steps": 3}, "model.memory_size"),
        ({"learning_rate": 0.0}, "model.learning_rate"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(changes, said):
    with pytest.raises(ConfigError, match=said):
        ModelConfig(**changes)


def test_sides_that_do_not_fit_are_refused_with_the_setting_to_change():
    with pytest.raises(ConfigError, match=r"16 x 16.*data.height"):
        small_world(channels=(4, 4, 4, 4))


def test_every_weight_is_a_setting():
    assert set(WEIGHTS) <= {f.name for f in fields(ModelConfig)}


def test_weights_survive_a_safetensors_file(tmp_path):
    import safetensors.torch

    world = small_world()
    safetensors.torch.save_file(world.state_dict(), tmp_path / "weights.safetensors")  # refuses tensors that share memory
    other = small_world(latent_size=8)
    other.load_state_dict(safetensors.torch.load_file(tmp_path / "weights.safetensors"))
    assert all(torch.equal(a, b) for a, b in zip(world.state_dict().values(), other.state_dict().values(), strict=True))


@pytest.mark.parametrize("preset", sorted(PRESETS))
@torch.no_grad()
def test_a_rollout_is_step_after_step_to_the_bit(preset):
    world, rng = small_world(preset).eval(), seeded(0)
    state = world.start(Prompt(batch_size=3, frames=torch.rand(3, 1, 3, SIDE, SIDE, generator=rng)), rng)
    actions = 6.0 * torch.randn(3, 4, 3, generator=rng)  # some beyond what is cut off
    rolled = world.rollout(state, actions, rng)
    for t, found in enumerate(rolled):
        state = world.step(state, actions[:, t], rng)
        assert torch.equal(found.latent, state.latent) and torch.equal(found.memory, state.memory)
    assert len(rolled) == 4 and world.rollout(state, actions[:, :0], rng) == []
    with pytest.raises(WorldError, match="actions must be"):
        world.rollout(state, actions[:2], rng)
