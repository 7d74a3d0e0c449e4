"""The Genie world keeps the World contract, looks at actions only to label, and its cache is what a window says."""

import pytest
import torch

from armillary.core import Batch, ConfigError, Prompt, WorldError, seeded
from armillary.core.check import check_world
from tests.worlds.genie.small_genie import small_batch, small_config, small_world

UNLABELLED = ("tokenize", "latent-actions", "dynamics")


def start(world, batch, steps=3):
    prompt = Prompt(batch_size=len(batch), frames=batch.frames[:, :steps], actions=batch.actions[:, : steps - 1])
    return world.start(prompt, seeded(0))


@pytest.mark.parametrize(
    "changes", [{}, {"temperature": 1.0, "passes": 1}, {"bottleneck": "vq", "num_codes": 16, "latent_size": 4}, {"passes": 4, "reach": 0}]
)
def test_keeps_the_contract(changes):
    check_world(small_world(**changes))


@torch.no_grad()
def test_observing_is_starting_from_what_was_seen():
    world, batch = small_world(), small_batch()
    seen = world.observe(start(world, batch, 2), batch.actions[:, 1], batch.frames[:, 2], seeded(0))
    whole = start(world, batch, 3)
    for name, tensor in whole.tensors().items():
        assert torch.allclose(seen.tensors()[name].float(), tensor.float(), atol=1e-5), name


@torch.no_grad()
def test_a_short_prompt_is_read_as_if_nothing_were_before_it():
    """What fills the window up must not be looked at: codes are those of the short video alone."""
    world, batch = small_world(), small_batch()
    state = start(world, batch, 2)
    assert torch.equal(state.codes[:, 1:], world.tokenizer.codes(batch.frames[:, :2]))
    assert torch.equal(state.actions[:, 2:], world.infer(batch.frames[:, :2]))
    assert state.actions[:, :2].eq(world.dynamics.unknown).all() and state.count.tolist() == [2, 2]


@torch.no_grad()
def test_the_cache_is_what_a_window_says():
    """Stepping, then looking only at the window's frames anew, gives the keys and values that the steps kept, where nothing was dropped."""
    world, batch = small_world(temperature=0.0, detail=False), small_batch()
    state = start(world, batch, 1)
    for action in (1, 2):
        state = world.step_latent(state, torch.full((2,), action), seeded(0))
    z = world.tokenizer.quantiser.codes_to_z(state.codes)
    before = torch.cat([torch.zeros_like(z[:, :, :1]), z[:, :, :-1]], dim=2)
    known = world.dynamics.remember(world.dynamics.told(before, state.actions), z)
    pictures, drawn = world.tokenizer.draw(z)
    assert torch.allclose(known, state.known, atol=1e-4) and torch.allclose(drawn, state.drawn, atol=1e-4)
    assert torch.allclose(pictures[:, 1:].clamp(0, 1), state.pictures[:, 1:], atol=1e-4)


@torch.no_grad()
def test_drawing_otherwise_needs_no_other_world():
    world, batch = small_world(), small_batch()
    other = world.drawn_with(passes=1, temperature=1.0)
    pictures = {}
    for name, one in (("as it was", world), ("otherwise", other), ("as built so", small_world(passes=1, temperature=1.0))):
        pictures[name] = one.render(one.step_latent(start(one, batch), torch.tensor([1, 2]), seeded(0)))["rgb"]
    assert torch.equal(pictures["otherwise"], pictures["as built so"])
    assert not torch.equal(pictures["otherwise"], pictures["as it was"])
    with pytest.raises(ConfigError, match="only detail, passes, temperature, top_p can change in a trained world, received depth"):
        world.drawn_with(depth=2)


@torch.no_grad()
def test_a_true_action_steps_as_the_latent_one_that_it_is_mapped_to():
    world, batch = small_world(), small_batch()
    state, action = start(world, batch), batch.actions[:, 2]
    code = world.labels(world.standardise(action))
    by_key, by_code = world.step(state, action, seeded(1)), world.step_latent(state, code, seeded(1))
    assert all(torch.equal(by_key.tensors()[name], tensor) for name, tensor in by_code.tensors().items())
    others = [world.step_latent(state, (code + other) % 8, seeded(1)) for other in range(1, 8)]
    assert any(not torch.equal(other.codes, by_code.codes) for other in others), "latent actions must matter"


@pytest.mark.parametrize("stages", ["apart", "together"])
def test_only_the_labels_look_at_actions(stages):
    world, batch = small_world(stages=stages).train(), small_batch()
    other = Batch(frames=batch.frames, actions=batch.actions + 1.0)
    names = [phase.name for phase in world.phases()]
    assert names == [*(UNLABELLED if stages == "apart" else ("together",)), "labels"]
    for name in names[:-1]:
        world.begin_phase(name)
        assert torch.equal(world.loss(batch, seeded(0)).total, world.loss(other, seeded(0)).total)
        assert int(world.labels.count) == 0


@pytest.mark.parametrize(
    ("phase", "trained"),
    [
        ("tokenize", {"tokenizer"}),
        ("latent-actions", {"actor"}),
        ("dynamics", {"dynamics"}),
        ("together", {"tokenizer", "actor", "dynamics"}),
        ("labels", {"labels"}),
    ],
)
def test_each_phase_trains_its_own_parameters(phase, trained):
    world = small_world().train()
    world.begin_phase(phase)
    world.loss(small_batch(), seeded(0)).total.backward()
    touched = {name.split(".")[0] for name, value in world.named_parameters() if value.grad is not None and value.grad.abs().sum() > 0}
    assert touched == trained


def test_the_dynamics_learns_from_other_colours_what_was_done_in_their_own(monkeypatch):
    world, batch = small_world(recolour=1.0).train(), small_batch()
    world.begin_phase("dynamics")
    seen = {}
    for name, part in (("actions", world.actor), ("codes", world.tokenizer)):
        plain = part.codes
        monkeypatch.setattr(
            part, "codes", lambda frames, *rest, name=name, plain=plain: [seen.update({name: frames}), plain(frames, *rest)][1]
        )
    world.loss(batch, seeded(0))
    assert torch.equal(seen["actions"], batch.frames)
    assert not torch.isclose(seen["codes"], batch.frames, atol=0.01).all(dim=(1, 2, 3, 4)).any()


def test_no_more_steps_are_labelled_than_allowed():
    world = small_world(labelled_steps=12).train()
    world.begin_phase("labels")
    for seed in range(3):
        world.loss(small_batch(), seeded(seed))
    assert int(world.labels.count) == 12
    before = int(world.labels.count)
    world.eval().loss(small_batch(), seeded(0))
    assert int(world.labels.count) == before


def test_the_same_latent_action_for_all_is_diagnosed():
    world = small_world()
    world.labels.keep(torch.randn(6, 3), torch.full((6,), 2))
    assert "same latent action" in world.diagnose({})
    world.labels.keep(torch.randn(6, 3), torch.arange(6))
    assert world.diagnose({}) == ""


FRAMES = torch.rand(2, 2, 3, 32, 32)


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        (Prompt(batch_size=2), "frames"),
        (Prompt(batch_size=2, frames=FRAMES[..., :16]), "32, 16"),
        (Prompt(batch_size=2, frames=FRAMES, actions=torch.rand(2, 1, 4)), "1 actions of size 3"),
        (
            Prompt(batch_size=2, frames=FRAMES * torch.tensor([1.0, torch.nan]).reshape(2, 1, 1, 1, 1)),
            r"frames must be numbers.*worlds \[1\] of 2",
        ),
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
    with pytest.raises(WorldError, match=r"from 0 to 7, received \[0, 8\]"):
        world.step_latent(state, torch.tensor([0, 8]), seeded(0))
    with pytest.raises(WorldError, match=r"observations must be \(2, 3, 32, 32\), received \(2, 3, 16, 16\)"):
        world.observe(state, batch.actions[:, 0], torch.zeros(2, 3, 16, 16), seeded(0))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"bottleneck": "plain"}, "bottleneck"),
        ({"stages": "never"}, "stages"),
        ({"temperature": -1.0}, "temperature"),
        ({"heads": 5}, "24 and 5"),
        ({"passes": 0}, "passes"),
        ({"tokenize_share": 0.9}, "leave a part"),
        ({"drop_past": 1.5}, "drop_past"),
        ({"action_shrink": 3}, "action_shrink"),
        ({"num_frames": 1}, "num_frames"),
        ({"reach": -1}, "reach"),
        ({"variance_weight": float("nan")}, "variance_weight"),
        ({"guessed_share": float("nan")}, "guessed_share"),
        ({"guessed_share": 1.5}, "guessed_share"),
        ({"swapped_share": -0.1}, "swapped_share"),
        ({"happens_weight": -1.0}, "happens_weight"),
    ],
)
def test_settings_that_do_not_hold_together_are_refused(changes, said):
    with pytest.raises(ConfigError, match=said):
        small_config(**changes)


def test_pictures_that_are_no_whole_patches_are_refused():
    with pytest.raises(ConfigError, match="36 x 32"):
        small_config().model.grid(36, 32)
