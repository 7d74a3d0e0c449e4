"""Objectives, by numbers worked out by hand, and what they refuse."""

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch

from armillary.core import ConfigError, Prompt, WorldError, check_world, seeded
from armillary.planning.cem import CEM, CEMConfig
from armillary.planning.objectives import (
    ControlEffort,
    GoalEmbedding,
    GoalExamples,
    GoalImage,
    GoalPixels,
    GoalState,
    NegativeReturn,
    WeightedSum,
)
from tests.core.counting import Count, CountingWorld
from tests.planning.seeing import Colour, SeeingBase, SeeingWorld
from tests.planning.worlds import GapWorld, LinearWorld, Point

LINEAR = LinearWorld()


def points(*vectors) -> list[Point]:
    return [Point(torch.tensor(rows, dtype=torch.float32)) for rows in vectors]


NOWHERE = torch.zeros(2, 2, 2)
STATES = points([[3.0, 4.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]], [[0.0, 0.0, 2.0, 0.0], [1.0, 1.0, 1.0, 1.0]])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [7.0, 2.0]),
        ({"steps": "final"}, [2.0, 2.0]),
        ({"steps": (0.5, 2.0)}, [6.5, 4.0]),
        ({"distance": "l1"}, [7.0 / 4 + 0.5, 1.0]),
        ({"distance": "squared"}, [25.0 / 4 + 1.0, 1.0]),
    ],
)
def test_goal_distance_by_hand(options, expected):
    cost = GoalEmbedding(torch.zeros(4), **options).cost(LINEAR, STATES, NOWHERE)
    torch.testing.assert_close(cost, torch.tensor(expected))


def test_one_goal_an_episode():
    """Rows of an episode lie side by side, as State.repeat puts them."""
    goals = torch.tensor([[0.0, 0.0], [10.0, 0.0]])
    state = Point(torch.tensor([[1.0, 0.0], [9.0, 0.0]])).repeat(3)
    cost = GoalEmbedding(goals).cost(GapWorld(), [state], torch.zeros(6, 1, 2))
    torch.testing.assert_close(cost, torch.ones(6))


def test_chosen_dimensions():
    cost = GoalState(torch.tensor([2.0, 1.0]), [2, 3], steps="final").cost(LINEAR, STATES, NOWHERE)
    torch.testing.assert_close(cost, torch.tensor([1.0, 1.0]))


def test_effort_by_hand():
    """Two episodes of two rows of two steps: the mean square over steps and numbers, in units of the scale, from each one's own rest."""
    effort = ControlEffort(torch.tensor([[1.0, 0.0], [0.0, 4.0]]), torch.tensor([1.0, 2.0]))
    actions = torch.tensor([[[1.0, 0.0], [1.0, 0.0]], [[3.0, 0.0], [1.0, 4.0]], [[0.0, 0.0], [0.0, 4.0]], [[2.0, 4.0], [0.0, 4.0]]])
    torch.testing.assert_close(effort.cost(LINEAR, STATES, actions), torch.tensor([0.0, 2.0, 1.0, 1.0]))


def test_effort_of_one_rest_is_for_every_row():
    effort = ControlEffort(torch.zeros(2), torch.ones(2))
    torch.testing.assert_close(effort.cost(LINEAR, STATES, torch.full((3, 1, 2), 2.0)), torch.full((3,), 4.0))


@pytest.mark.parametrize("scale", [[1.0, 0.0], [1.0, -1.0], [1.0], [1.0, float("nan")]])
def test_effort_needs_a_scale_for_every_number(scale):
    with pytest.raises((ConfigError, WorldError), match="scale"):
        ControlEffort(torch.zeros(2), torch.tensor(scale))


@pytest.mark.parametrize("shape", [(4, 1, 3), (3, 1, 2)])
def test_effort_refuses_actions_of_another_shape(shape):
    with pytest.raises(WorldError, match="effort is about 2 episode"):
        ControlEffort(torch.zeros(2, 2), torch.ones(2)).cost(LINEAR, STATES, torch.zeros(shape))


def test_return_is_discounted_and_stops_at_the_end():
    """Adding 1, 2.5, 1: the second step ends the episode (limit 3) and still pays, the third pays nothing."""
    world = CountingWorld(limit=3.0)
    value, states = torch.zeros(2), []
    for last in ([1.0, 0.5], [2.5, 0.5], [1.0, 0.5]):
        value = value + torch.tensor(last)
        states.append(Count(value=value, last=torch.tensor(last)))
    cost = NegativeReturn(discount=0.5).cost(world, states, torch.zeros(2, 3, 1))
    torch.testing.assert_close(cost, torch.tensor([-(1.0 + 0.5 * 2.5), -(0.5 + 0.25 + 0.125)]))


def test_weighted_sum():
    goal = GoalEmbedding(torch.zeros(4))
    cost = WeightedSum([(2.0, goal), (-1.0, GoalEmbedding(torch.zeros(4), steps="final"))]).cost(LINEAR, STATES, NOWHERE)
    torch.testing.assert_close(cost, torch.tensor([12.0, 2.0]))


def test_a_goal_image_is_embedded_by_the_world():
    world = SeeingWorld()
    images = torch.rand(2, 3, 4, 6, generator=seeded(0))
    torch.testing.assert_close(GoalImage(world, images, seeded(0)).target, images.mean((2, 3)))
    torch.testing.assert_close(GoalImage(world, images[0], seeded(0)).target, images[:1].mean((2, 3)))
    examples = GoalExamples(world, images, seeded(0), distance="l1")
    torch.testing.assert_close(examples.target, images.mean((0, 2, 3))[None])
    assert examples.distance == "l1"


@pytest.mark.parametrize(
    ("distance", "expected"), [("l1", [0.2, 0.1]), ("squared", [0.2 / 3, 0.01]), ("l2", [(24 * 0.2) ** 0.5, (24 * 0.03) ** 0.5])]
)
def test_pixel_distance_by_hand(distance, expected):
    """Colours (0.4, 0.2, 0) and (0.1, 0.1, 0.1) off in every one of 4 x 6 pixels; that of a first step does not count."""
    goal = torch.full((3, 4, 6), 0.5)
    states = [Colour(0.5 + torch.tensor(off), torch.ones(2)) for off in ([[0.3] * 3] * 2, [[0.4, 0.2, 0.0], [0.1, 0.1, 0.1]])]
    cost = GoalPixels(SeeingBase(), goal, distance=distance, steps="final").cost(SeeingBase(), states, torch.zeros(2, 2, 3))
    torch.testing.assert_close(cost, torch.tensor(expected))


def test_planning_by_pixels_finds_the_way_to_a_colour():
    """The best one action is the difference of the two colours, which is within what an action can do."""
    world, difference = SeeingBase(), torch.tensor([0.05, -0.08, 0.0])
    here = torch.full((1, 1, 3, 4, 6), 0.5)
    objective = GoalPixels(world, here[0, 0] + difference[:, None, None])
    state = world.start(Prompt(frames=here), seeded(0))
    plan = CEM(CEMConfig(horizon=1, samples=200, elites=20, iterations=8)).plan(world, state, objective, seeded(0))
    torch.testing.assert_close(plan.actions[0, 0], difference, atol=3e-3, rtol=0)


def broken_image(kind: str) -> torch.Tensor:
    image = torch.full((3, 4, 6), 0.5)
    if kind == "NaN":
        image[1, 2, 3] = torch.nan
    return {"size": torch.zeros(3, 5, 6), "scale": image * 255, "channels": image[:1]}.get(kind, image)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("size", "5 x 6 pixels .* sees 4 x 6"),
        ("NaN", r"nan at \(0, 1, 2, 3\)"),
        ("scale", "from 0 to 1, received 128"),
        ("channels", r"received \(1, 1, 4, 6\)"),
    ],
)
def test_a_wrong_goal_image_is_refused_at_once(kind, message):
    with pytest.raises(WorldError, match=message):
        GoalImage(SeeingWorld(), broken_image(kind), seeded(0))
    with pytest.raises(WorldError, match=message):
        GoalPixels(SeeingBase(), broken_image(kind))


def test_a_world_that_shows_nothing_says_what_size_it_sees():
    world = SeeingWorld()
    latent = gymnasium.spaces.Box(-np.inf, np.inf, (3,), np.float32)
    world.spec = replace(world.spec, observation_space=latent, frame_size=(4, 6))
    assert GoalImage(world, torch.zeros(3, 4, 6), seeded(0)).target.shape == (1, 3)
    with pytest.raises(WorldError, match=r"6 x 4 pixels .* sees 4 x 6"):
        GoalImage(world, torch.zeros(3, 6, 4), seeded(0))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GoalEmbedding(torch.tensor([0.0, torch.nan])), "nan at"),
        (lambda: GoalEmbedding(torch.tensor([0.0, torch.inf])), "inf at"),
        (lambda: GoalEmbedding(torch.zeros(2), distance="cosine"), "received 'cosine'"),
        (lambda: GoalEmbedding(torch.zeros(2), steps="last"), "received 'last'"),
        (lambda: GoalState(torch.zeros(2), [0]), "names 1 numbers, the goal has 2"),
        (lambda: NegativeReturn(discount=1.5), "received 1.5"),
        (lambda: WeightedSum([]), "received none"),
        (lambda: WeightedSum([(float("nan"), NegativeReturn())]), "the weights"),
        (lambda: GoalImage(CountingWorld(), torch.zeros(3, 4, 6), seeded(0)), "does not start from pictures"),
    ],
)
def test_wrong_objectives_are_refused_when_made(make, message):
    with pytest.raises((ConfigError, WorldError), match=message):
        make()


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        (NegativeReturn(), "NegativeReturn needs a world with the ability Rewards, which LinearWorld lacks"),
        (GoalEmbedding(torch.zeros(3)), "3 numbers, the world embeds in 4"),
        (GoalEmbedding(torch.zeros(3, 4)), "3 goals for 2 rows"),
        (GoalState(torch.zeros(1), [4]), "an embedding that has 4"),
        (GoalEmbedding(torch.zeros(4), steps=(1.0, 2.0, 3.0)), "3 weights, the plan has 2 steps"),
    ],
)
def test_what_does_not_fit_the_world_is_refused(objective, message):
    with pytest.raises((ConfigError, WorldError), match=message):
        objective.cost(LINEAR, STATES, NOWHERE)


def test_a_world_without_embeddings_is_named():
    with pytest.raises(WorldError, match="ability Embeds, which SeeingBase lacks"):
        GoalEmbedding(torch.zeros(3)).cost(SeeingBase(), STATES, NOWHERE)
    with pytest.raises(WorldError, match="ability Embeds, which SeeingBase lacks"):
        GoalImage(SeeingBase(), torch.zeros(3, 4, 6), seeded(0))
    with pytest.raises(WorldError, match="GoalPixels needs a world with the ability Renders, which LinearWorld lacks"):
        GoalPixels(LINEAR, torch.zeros(3, 4, 6))


def test_the_seeing_world_keeps_the_contract():
    check_world(SeeingWorld())
    check_world(LINEAR, Prompt(batch_size=2, state=torch.rand(2, 4, generator=seeded(0))))
    check_world(GapWorld())
