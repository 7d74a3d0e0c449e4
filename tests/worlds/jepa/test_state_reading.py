"""Latents that tell the robot's state: the loss against a loop, what is read, and what cannot be."""

from dataclasses import replace

import pytest
import torch

from armillary.core import ConfigError, Prompt, WorldError, seeded
from armillary.core.check import check_world
from armillary.worlds.jepa.end_to_end_train import build
from armillary.worlds.jepa.end_to_end_world import EndToEndWorld
from armillary.worlds.jepa.state_reading import LEAST_DEVIATION
from tests.worlds.jepa.small_end_to_end import SHAPE, small_batch, small_config, small_world

TOLD = replace(SHAPE, state_size=2, state_mean=(1.0, -2.0), state_std=(0.5, 0.001))  # the second hardly ever moves


def telling(**changes) -> EndToEndWorld:
    torch.manual_seed(0)
    return build(small_config(state_weight=2.0, **changes), TOLD)


def told_batch(world: EndToEndWorld):
    batch = small_batch(world)
    return replace(batch, state=torch.randn(*batch.frames.shape[:2], 2, generator=seeded(4)))


@torch.no_grad()
def test_the_loss_is_that_of_a_loop_over_what_is_seen_and_foreseen():
    world = telling().eval()
    batch = told_batch(world)
    loss = world.loss(batch, seeded(0))
    weight, bias = world.state_reading.linear.weight.double(), world.state_reading.linear.bias.double()
    deviations = torch.tensor([0.5, LEAST_DEVIATION * 0.5]).double()
    wanted = (batch.state.double() - torch.tensor([1.0, -2.0]).double()) / deviations
    actions = world.standardise(batch.actions)

    def errors(latents, ahead):
        return torch.stack([(weight @ latents[b].double() + bias - wanted[b, ahead]).square() for b in range(len(latents))])

    latents, steps = world.encode(batch.frames), batch.frames.shape[1]
    expected = torch.stack([errors(latents[:, t], t) for t in range(steps)]).mean()
    by_distance = []
    for ahead in range(1, world.config.predict_steps + 1):
        found = []
        for start in range(steps - ahead):
            latent, memory = latents[:, start], latents.new_zeros(len(latents), 0)
            for k in range(ahead):
                latent, memory = world.predict(latent, memory, actions[:, start + k])
            found.append(errors(latent, start + ahead))
        by_distance.append(torch.stack(found).mean())
    expected = expected + torch.stack(by_distance).mean()
    assert loss.parts["state"].item() == pytest.approx(expected.item(), rel=1e-4)
    others = small_world().eval().loss(batch, seeded(0)).total
    assert (loss.total - others).item() == pytest.approx(2.0 * expected.item(), rel=1e-3)


def test_encoder_predictor_and_reading_learn_from_it():
    world = telling(variance_weight=0.0, covariance_weight=0.0, similarity_weight=0.0, inverse_weight=0.0, linear_actions=True)
    world.loss(told_batch(world), seeded(0)).total.backward()
    without = telling(variance_weight=0.0, covariance_weight=0.0, similarity_weight=0.0, inverse_weight=0.0, linear_actions=True)
    without.state_reading.loss = lambda latents, states: latents.new_zeros(())
    without.loss(told_batch(without), seeded(0)).total.backward()
    changed = {
        name.split(".")[0]
        for (name, one), other in zip(world.named_parameters(), without.parameters(), strict=True)
        if one.grad is not None and (other.grad is None or not torch.equal(one.grad, other.grad))
    }
    assert changed == {"encoder", "norm", "predictor", "state_reading"}


@torch.no_grad()
def test_what_is_foreseen_is_told_in_the_datas_units():
    world = telling().eval()
    check_world(world)
    world.state_reading.linear.weight.zero_()
    world.state_reading.linear.bias.copy_(torch.tensor([1.0, -3.0]))
    state = world.start(Prompt(batch_size=2, frames=torch.rand(2, 1, 3, 16, 16, generator=seeded(1))), seeded(0))
    torch.testing.assert_close(world.foreseen_state(state), torch.tensor([[1.5, -2.15]]).expand(2, 2))


def test_worlds_data_and_batches_without_states_are_refused():
    world = small_world().eval()
    state = world.start(Prompt(batch_size=1, frames=torch.zeros(1, 1, 3, 16, 16)), seeded(0))
    with pytest.raises(WorldError, match=r"trained with model.state_weight 0"):
        world.foreseen_state(state)
    with pytest.raises(ConfigError, match=r"needs recordings of a robot's state.*set model.state_weight 0"):
        build(small_config(state_weight=1.0), SHAPE)
    with pytest.raises(WorldError, match="in every batch; this one holds none"):
        telling().loss(small_batch(world), seeded(0))
    with pytest.raises(ConfigError, match="state_weight must be >= 0"):
        small_config(state_weight=-1.0)
