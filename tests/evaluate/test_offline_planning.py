"""Planning offline: random actions are as large as the true ones, a true model knows what was done, and one that is deaf does not."""

from dataclasses import dataclass, replace

import gymnasium
import numpy as np
import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from armillary.core import ConfigError, DataError, Embeds, State, World, WorldSpec, seeded
from armillary.evaluate.offline_planning import Moments, command_error, planned_commands, random_changes, share_dearer
from armillary.planning.cem import CEM, CEMConfig
from armillary.planning.objectives import GoalEmbedding

STD = torch.tensor([1.0, 2.0, 0.5])


@dataclass(frozen=True)
class Place(State):
    at: Float[Tensor, "b 3"]


class Arm(World[Place], Embeds):
    """Goes a share of the way to the command; a deaf one does not listen."""

    def __init__(self, listens: float = 0.5):
        self.listens = listens
        box = gymnasium.spaces.Box(-10.0, 10.0, (3,), np.float32)
        self.spec = WorldSpec(observation_space=box, action_space=box, seconds_per_step=0.1, prompt=())

    def start(self, prompt, rng):
        return Place(torch.zeros(prompt.batch_size, 3))

    def step(self, state, action, rng):
        return replace(state, at=state.at + self.listens * (action - state.at))

    def embed(self, state):
        return state.at


def moments(world: Arm, count: int = 8) -> tuple[Moments, GoalEmbedding]:
    rng = seeded(1)
    state, last = Place(torch.randn(count, 3, generator=rng)), torch.randn(count, 3, generator=rng)
    change = torch.linspace(0.2, 1.0, 5)[:, None] * torch.randn(count, 1, 3, generator=rng)
    commands = last[:, None] + change
    after = Arm().rollout(state, commands, rng)[-1]
    return Moments(state, commands, last), GoalEmbedding(after.at, distance="l1", steps="final")


def test_random_changes_are_as_large_and_go_elsewhere():
    given, _ = moments(Arm())
    others = random_changes(given.commands, given.last, STD, 50, seeded(0))
    size = ((others - given.last[:, None, None]) / STD).norm(dim=-1)
    true = ((given.commands - given.last[:, None]) / STD).norm(dim=-1)
    torch.testing.assert_close(size, true[:, None].expand_as(size))
    change = (others - given.last[:, None, None]) / STD
    cosine = torch.nn.functional.cosine_similarity(change[:, :, 0], change[:, :, -1], dim=-1)
    torch.testing.assert_close(cosine, torch.ones_like(cosine))  # one direction for all steps
    assert change[:, :, -1].mean().abs() < 0.1  # and as often the one as the other


def test_a_true_model_finds_the_true_action_cheapest_and_a_deaf_one_does_not_know():
    given, energy = moments(Arm())
    others = random_changes(given.commands, given.last, STD, 50, seeded(0))
    assert share_dearer(Arm(), given, energy, others, seeded(0)).min() == 1.0
    assert share_dearer(Arm(listens=0.0), given, energy, others, seeded(0)).tolist() == [0.5] * 8


def plan(world: Arm, given: Moments, goal: GoalEmbedding, effort: float, **options) -> Tensor:
    search = {"samples": 128, "elites": 16, "iterations": 8, "initial_std": 0.1, "answer": "mean"} | options
    return planned_commands(world, given, goal, CEM(CEMConfig(horizon=1, **search)), seeded(0), effort=effort, std=STD)


def still(given: Moments) -> Tensor:
    return given.last[:, None].expand_as(given.commands)


def test_a_true_model_plans_nearer_to_what_was_done_than_to_change_nothing():
    given, energy = moments(Arm())
    planned = command_error(plan(Arm(), given, energy, 0.0), given, STD)
    assert planned.mean() < 0.2 * command_error(still(given), given, STD).mean()
    torch.testing.assert_close(command_error(given.commands, given, STD), torch.zeros(8))


def test_effort_keeps_a_deaf_model_at_the_last_command():
    given, energy = moments(Arm())
    rough, calm = (plan(Arm(listens=0.0), given, energy, effort) for effort in (0.0, 1.0))
    assert (rough - still(given)).abs().mean() > 10 * (calm - still(given)).abs().mean()


def test_what_does_not_pair_up_is_refused():
    given, energy = moments(Arm())
    with pytest.raises(DataError, match="2 moments need as many"):
        Moments(given.state.rows([0, 1]), given.commands, given.last)
    with pytest.raises(ConfigError, match="at least one other way"):
        share_dearer(Arm(), given, energy, torch.zeros(8, 0, 5, 3), seeded(0))


def test_planning_begins_with_the_last_command():
    given, energy = moments(Arm())
    narrow = plan(Arm(), given, energy, 0.0, samples=2, elites=1, iterations=1, initial_std=1e-6, answer="best")
    torch.testing.assert_close(narrow, still(given), atol=1e-3, rtol=0.0)
