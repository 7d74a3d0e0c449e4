"""Surprise rises where the world breaks its own rules, at that frame, in that video, and nowhere else."""

from dataclasses import dataclass

import gymnasium
import numpy as np
import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from armillary.core import Embeds, Prompt, State, World, WorldError, WorldSpec, require, seeded
from armillary.worlds.jepa.surprise import UsualErrors, prediction_errors, surprise, usual_errors
from tests.worlds.jepa.small_end_to_end import small_batch, small_world


@dataclass(frozen=True)
class Brightness(State):
    """How bright the picture is."""

    value: Float[Tensor, "b 1"]


class BrightWorld(World[Brightness], Embeds):
    """Each action adds to the picture's brightness: a world that can be known exactly."""

    spec = WorldSpec(
        observation_space=gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float32),
        action_space=gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32),
        seconds_per_step=0.1,
        prompt=("frames",),
    )

    def start(self, prompt, rng):
        require(prompt, "frames")
        return Brightness(value=prompt.frames[:, -1].mean((1, 2, 3))[:, None])

    def step(self, state, action, rng):
        return Brightness(value=state.value + action)

    def embed(self, state):
        return state.value


def brightening(rows: int = 3, steps: int = 8) -> tuple[Tensor, Tensor]:
    actions = 0.1 * torch.rand(rows, steps, 1, generator=seeded(0))
    before = torch.cat([torch.zeros(rows, 1), actions[:, :-1, 0].cumsum(1)], dim=1)
    return before[:, :, None, None, None].expand(rows, steps, 3, 4, 4).clone(), actions


def test_a_possible_video_surprises_nowhere_and_an_impossible_one_where_it_breaks():
    frames, actions = brightening()
    assert surprise(BrightWorld(), frames, actions, seeded(0)).max() < 1e-10
    frames[1, 5:] += 0.3
    found = surprise(BrightWorld(), frames, actions, seeded(0))
    assert found.shape == (3, 8)
    assert found[1, 5].item() == pytest.approx(0.09, rel=1e-3)
    found[1, 5] = 0.0
    assert found.max() < 1e-10


def test_the_actions_matter_and_the_last_may_be_left_off():
    frames, actions = brightening()
    assert torch.equal(surprise(BrightWorld(), frames, actions, seeded(0)), surprise(BrightWorld(), frames, actions[:, :-1], seeded(0)))
    assert surprise(BrightWorld(), frames, actions.roll(1, 1), seeded(0))[:, 1:].mean() > 1e-4


def test_given_frames_are_not_judged():
    frames, actions = brightening()
    frames[:, 1] += 0.5
    found = surprise(BrightWorld(), frames, actions, seeded(0), context_steps=3)
    assert found[:, :3].max() == 0.0 and found[:, 3:].max() < 1e-10


def test_of_a_learned_world_it_is_the_one_step_error_of_its_latents():
    world = small_world("lewm")
    batch = small_batch(world)
    found = surprise(world, batch.frames, batch.actions, seeded(0), context_steps=2)
    with torch.no_grad():
        state = world.start(Prompt(batch_size=4, frames=batch.frames[:, :4], actions=batch.actions[:, :3]), seeded(0))
        expected = world.step(state, batch.actions[:, 3], seeded(0)).latent
        error = (expected - world.encode(batch.frames[:, 4:5])[:, 0]).square().mean(-1)
    assert torch.allclose(found[:, 4], error, atol=1e-5)
    assert not found.requires_grad


@pytest.mark.parametrize(("length", "context", "said"), [(6, 1, "7 or 8"), (9, 1, "7 or 8"), (8, 0, "from 1 to 7"), (8, 8, "from 1 to 7")])
def test_lengths_that_do_not_fit_are_refused(length, context, said):
    frames, _ = brightening()
    with pytest.raises(WorldError, match=said):
        surprise(BrightWorld(), frames, torch.zeros(3, length, 1), seeded(0), context_steps=context)


def test_a_world_that_cannot_embed_is_refused():
    blind = type("Blind", (World,), {"start": BrightWorld.start, "step": BrightWorld.step, "spec": BrightWorld.spec})()
    frames, actions = brightening()
    with pytest.raises(WorldError, match="Blind does not"):
        surprise(blind, frames, actions, seeded(0))


def test_errors_are_predicted_minus_seen():
    frames, actions = brightening()
    frames[1, 5:] += 0.3
    found = prediction_errors(BrightWorld(), frames, actions, seeded(0), context_steps=2)
    assert found.shape == (3, 6, 1)
    assert found[1, 3].item() == pytest.approx(-0.3, rel=1e-3)


def test_usual_errors_are_measured_in_their_own_spread():
    """Squared distance after whitening, a dimension: the closed form, and 1 on average over what is usual."""
    spread = torch.tensor([[2.0, 0.0, 0.0], [1.0, 0.5, 0.0], [0.0, 0.3, 0.1]])
    errors = torch.randn(50, 80, 3, generator=seeded(0)) @ spread.T + torch.tensor([0.5, 0.0, -1.0])
    usual = usual_errors(errors, shrinkage=0.0)
    assert usual.surprise(errors).mean().item() == pytest.approx(1.0, abs=1e-3)
    assert usual.surprise(errors.mean((0, 1))).item() == pytest.approx(0.0, abs=1e-6)
    off = torch.tensor([1.0, -2.0, 0.5])
    expected = off @ torch.linalg.inv(torch.cov(errors.flatten(0, 1).T)) @ off / 3
    torch.testing.assert_close(usual.surprise(usual.mean + off), expected, rtol=1e-3, atol=0)
    # an error along the direction that is usually foreseen well counts more than one as large along the other
    assert usual.surprise(usual.mean + torch.tensor([0.0, 0.0, 0.5])) > 5 * usual.surprise(usual.mean + torch.tensor([0.5, 0.0, 0.0]))


def test_a_direction_in_which_nothing_ever_varied_does_not_count_without_limit():
    errors = torch.randn(100, 2, generator=seeded(0)) * torch.tensor([1.0, 0.0])
    usual = usual_errors(errors, shrinkage=0.01)
    assert usual.surprise(torch.tensor([0.0, 1.0])).item() == pytest.approx(0.5 / (0.01 * 0.5 * errors[:, 0].var().item()), rel=0.02)
    with pytest.raises(WorldError, match="at least 2 samples, received 1"):
        usual_errors(errors[:1])


def test_surprise_against_usual_errors_keeps_its_place_in_time():
    frames, actions = brightening()
    usual = UsualErrors(mean=torch.zeros(1), precision=torch.full((1, 1), 100.0))
    frames[1, 5:] += 0.3
    found = surprise(BrightWorld(), frames, actions, seeded(0), context_steps=2, usual=usual)
    assert found.shape == (3, 8) and found[:, :2].max() == 0.0
    assert found[1, 5].item() == pytest.approx(9.0, rel=1e-3)
    found[1, 5] = 0.0
    assert found.max() < 1e-8
