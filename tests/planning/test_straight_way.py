"""A straight way's commands, by hand, and the world that follows them."""

from dataclasses import dataclass, replace

import gymnasium
import numpy as np
import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from armillary.core import ConfigError, Embeds, Prompt, State, World, WorldError, WorldSpec, seeded
from armillary.planning.straight_way import StraightWay, joined


@dataclass(frozen=True)
class Sum(State):
    of: Float[Tensor, "b 2"]


class Silent(World[Sum]):
    """Two commands of two numbers in each action, which are added up."""

    def __init__(self):
        low, high = np.array([-4, -3, -2, -5]), np.array([4, 5, 6, 3])
        box = gymnasium.spaces.Box(low.astype(np.float32), high.astype(np.float32))
        self.spec = WorldSpec(observation_space=box, action_space=box, seconds_per_step=0.1)

    def start(self, prompt, rng):
        return Sum(torch.zeros(prompt.batch_size, 2))

    def step(self, state, action, rng):
        return replace(state, of=state.of + action[:, :2] + action[:, 2:])


class Summing(Silent, Embeds):
    """And says the sum."""

    def embed(self, state):
        return state.of


def test_commands_are_evenly_spaced_and_the_world_is_given_all_of_them():
    world, rng = Summing(), seeded(0)
    way = StraightWay(world, 4, 2)
    last, arrive = torch.tensor([[0.0, 1.0], [2.0, 0.0]]), torch.tensor([[4.0, 1.0], [2.0, 1.0]])
    torch.testing.assert_close(way.commands(last, arrive)[0], torch.tensor([[1.0, 1.0], [2.0, 1.0], [3.0, 1.0], [4.0, 1.0]]))
    state = way.step(way.state(world.start(Prompt(batch_size=2), rng), last), arrive, rng)
    torch.testing.assert_close(way.embed(state), torch.tensor([[10.0, 4.0], [8.0, 2.5]]))
    torch.testing.assert_close(state.last, arrive)
    torch.testing.assert_close(way.commands(state.last, arrive), arrive[:, None].expand(-1, 4, -1))  # there already


def test_a_way_keeps_to_what_every_place_in_an_action_allows():
    space = StraightWay(Summing(), 4, 2).spec
    assert space.action_space.low.tolist() == [-2.0, -3.0] and space.action_space.high.tolist() == [4.0, 3.0]
    assert space.seconds_per_step == pytest.approx(0.2)


def test_commands_join_in_order():
    commands = torch.arange(8.0).view(1, 4, 2)
    assert joined(commands, Summing()).tolist() == [[[0.0, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0]]]


@pytest.mark.parametrize(("count", "size"), [(3, 2), (0, 2), (4, 3), (4, 0)])
def test_ways_that_are_no_whole_actions_are_refused(count, size):
    with pytest.raises(ConfigError, match="no whole number of actions of Summing, which have 4"):
        StraightWay(Summing(), count, size)


def test_a_way_has_no_start_of_its_own():
    with pytest.raises(WorldError, match="begins at a last command"):
        StraightWay(Summing(), 2, 2).start(Prompt(), seeded(0))


def test_a_world_that_does_not_embed_is_named():
    world = Silent()
    way = StraightWay(world, 2, 2)
    with pytest.raises(WorldError, match="Silent does not embed"):
        way.embed(way.state(world.start(Prompt(), seeded(0)), torch.zeros(1, 2)))
