"""Several V-M-Cs as one world."""

import pytest
import torch

from armillary.core import Prompt, seeded
from armillary.core.check import check_world
from armillary.worlds.vmc.ensemble import VmcEnsemble
from tests.worlds.vmc.small_vmc import small_batch, small_world


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_keeps_the_contract(temperature):
    check_world(small_world(members=2, temperature=temperature))


@torch.no_grad()
def test_shows_the_mean_of_what_its_members_show_alone():
    world = small_world(members=3)
    batch = small_batch(world)
    prompt = Prompt(batch_size=2, frames=batch.frames[:, :3], actions=batch.actions[:, :2])
    alone = [member.rollout(member.start(prompt, seeded(0)), batch.actions[:, 2:6], seeded(1))[-1] for member in world.members]
    together = world.rollout(world.start(prompt, seeded(0)), batch.actions[:, 2:6], seeded(1))[-1]
    pictures = torch.stack([member.render(state)["rgb"] for member, state in zip(world.members, alone, strict=True)])
    assert torch.allclose(world.render(together)["rgb"], pictures.mean(0), atol=1e-6)
    assert not torch.allclose(pictures[0], pictures[1], atol=1e-4)  # they begin with other weights
    rewards = torch.stack([member.reward(state)[0] for member, state in zip(world.members, alone, strict=True)])
    assert torch.allclose(world.reward(together)[0], rewards.mean(0), atol=1e-6)


@pytest.mark.parametrize("phase", ["vision", "memory", "dream"])
def test_every_member_learns_as_it_would_alone(phase):
    world = small_world(members=2, vision_share=0.4, memory_share=0.2)
    world.begin_phase(phase)
    world.loss(small_batch(world), seeded(3)).total.backward()
    first = {name: parameter.grad for name, parameter in world.members[0].named_parameters()}
    alone = small_world(members=1, vision_share=0.4, memory_share=0.2)
    alone.load_state_dict(world.members[0].state_dict())
    alone.begin_phase(phase)
    alone.loss(small_batch(world), seeded(3)).total.backward()  # the first member draws its noise first
    for name, parameter in alone.named_parameters():
        if parameter.grad is None:
            assert first[name] is None, name
        else:
            assert torch.allclose(parameter.grad, first[name], atol=1e-6), name
    assert any(parameter.grad is not None for parameter in world.members[1].parameters())


def test_one_member_is_a_world_of_its_own_and_none_is_refused():
    assert not isinstance(small_world(members=1), VmcEnsemble)
    with pytest.raises(ValueError, match=r"model\.members"):
        small_world(members=0)
