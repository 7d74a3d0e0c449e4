"""Closed loop: same tasks for all, frozen when solved, judged by hand-checked numbers; planning with the truth is the ceiling."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from armillary.core import ConfigError, Policy, WorldError, seeded
from armillary.evaluate.closed_loop import (
    ClosedLoopProtocol,
    Subject,
    expert_subject,
    from_vector,
    random_subject,
    run_closed_loop,
    to_vector,
)
from armillary.evaluate.closed_loop_film import make_film
from armillary.evaluate.closed_loop_result import success_over_seeds, wilson
from armillary.planning.icem import ICEM, ICEMConfig
from armillary.planning.objectives import NegativeReturn
from armillary.policies.planner import PlannerPolicy, PlannerPolicyConfig
from armillary.worlds.catalog import build_small
from armillary.worlds.small.record import FIRST_TASK_SEED

ROOMS = build_small("two-rooms", size=16, show_goal=False)


@dataclass
class Told(Policy[int]):
    """Always the same action; it writes down what it saw."""

    action: tuple[float, float]
    seen: list

    def start(self, batch_size: int) -> int:
        return 0

    def act(self, observation, memory, rng):
        self.seen.append(observation)
        return torch.tensor(self.action).expand(len(observation), 2).clone(), memory + 1


def told(name: str = "told", action=(0.0, 0.0), seen=None, sees: str = "picture") -> Subject:
    seen = [] if seen is None else seen
    return Subject(name, lambda tasks, goals: Told(action, seen), sees)


def simulator() -> Subject:
    def make(tasks, goals):
        planner = ICEM(ICEMConfig(horizon=8, block=3, samples=64, elites=8, iterations=3))
        where = {"state_of": lambda seen: from_vector(tasks.start, seen)}
        return PlannerPolicy(tasks.world, planner, NegativeReturn(0.95), PlannerPolicyConfig(execute=8), **where)

    return Subject("simulator", make, "state")


def test_planning_with_the_truth_solves_what_chance_does_not():
    protocol = ClosedLoopProtocol(episodes=10, max_steps=40)
    result = run_closed_loop(protocol.tasks(ROOMS), [simulator(), random_subject(), expert_subject()], protocol)
    assert result.success("simulator").value >= 0.9
    assert result.success("expert").value == 1.0
    assert result.success("random").high < result.success("simulator").low
    rows = result.rows()
    assert all(set(row) == {"metric", "subject", "value", "low", "high", "n"} for row in rows)
    assert all(row["low"] <= row["value"] <= row["high"] for row in rows)
    seconds = {row["subject"]: row["value"] for row in rows if row["metric"] == "seconds_an_action"}
    assert seconds["simulator"] > 3 * seconds["random"]


def test_a_solved_episode_stays_where_it_was_solved():
    """The expert is at its goal after some actions; whoever goes on stepping walks it away again."""
    protocol = ClosedLoopProtocol(episodes=6, max_steps=50)
    tasks = protocol.tasks(ROOMS)

    class Restless(Policy[object]):
        def start(self, batch_size):
            return tasks.expert().start(batch_size), torch.zeros(batch_size, dtype=torch.bool)

        def act(self, observation, memory, rng):
            inner, arrived = memory
            action, inner = tasks.expert().act(observation, inner, rng)
            arrived = arrived | ((observation[:, :2] - observation[:, 4:6]).norm(dim=-1) < 0.08)
            return torch.where(arrived[:, None], torch.ones_like(action), action), (inner, arrived)

    outcome = run_closed_loop(tasks, [Subject("restless", lambda tasks, goals: Restless(), "embedding")], protocol).outcomes["restless"]
    assert outcome.solved.all()
    assert (outcome.final_distance_m < 0.08).all()


def test_every_subject_gets_the_same_tasks_and_draws_nothing_of_anothers():
    protocol = ClosedLoopProtocol(episodes=3, max_steps=2)
    first, second = [], []
    both = run_closed_loop(protocol.tasks(ROOMS), [random_subject(), told("a", seen=first), told("b", seen=second)], protocol)
    assert torch.equal(first[0], second[0]) and first[0].shape == (3, 3, 16, 16)
    alone = run_closed_loop(protocol.tasks(ROOMS), [random_subject()], protocol)
    np.testing.assert_array_equal(both.outcomes["random"].final_distance_m, alone.outcomes["random"].final_distance_m)
    other = ClosedLoopProtocol(episodes=3, max_steps=2, seed=1)
    assert not torch.equal(other.tasks(ROOMS).start.agent, protocol.tasks(ROOMS).start.agent)


def test_tasks_come_from_seeds_that_no_recording_has():
    drawn = ClosedLoopProtocol(episodes=4, seed=7).tasks(ROOMS).start.agent
    from armillary.worlds.small.goals import draw_tasks

    assert torch.equal(drawn, draw_tasks(ROOMS, 4, seeded(FIRST_TASK_SEED + 7)).start.agent)


def test_success_counts_at_any_time_and_the_episode_ends_there():
    """Straight ahead through the goal: solved when within 8 cm, and left standing there though the policy drives on."""
    protocol = ClosedLoopProtocol(episodes=1, max_steps=30)
    tasks = protocol.tasks(ROOMS)
    agent, goal = torch.tensor([[0.7, 0.3]]), torch.tensor([[0.7, 0.6]])
    start = tasks.start.with_tensors(tasks.start.tensors() | {"agent": agent, "goal": goal})
    tasks = type(tasks)(ROOMS, start, start.with_tensors(start.tensors() | {"agent": goal}))
    outcome = run_closed_loop(tasks, [told(action=(0.0, 1.0))], protocol).outcomes["told"]
    assert outcome.solved_at.tolist() == [4], "0.3 m less 0.08 m at 0.06 m a step"
    assert outcome.final_distance_m[0] == pytest.approx(0.06, abs=1e-4)
    late = run_closed_loop(tasks, [told(action=(0.0, 1.0))], ClosedLoopProtocol(episodes=1, max_steps=3)).outcomes["told"]
    assert late.solved_at.tolist() == [0] and not late.solved.any()


def test_a_goal_picture_alone_judges_only_how_far_pictures_are():
    protocol = ClosedLoopProtocol(episodes=2, max_steps=3)
    tasks = protocol.tasks(ROOMS)
    picture = ROOMS.render(tasks.start)["rgb"]
    options = {"goal_pictures": picture, "closeness": lambda now, goal: (now - goal).abs().mean(dim=(1, 2, 3))}
    result = run_closed_loop(tasks, [told(action=(1.0, 1.0))], protocol, **options)
    start, end = result.outcomes["told"].closeness
    assert (start == 0).all() and (end > 0).all()
    assert not {"success", "final_distance_m"} & {row["metric"] for row in result.rows()}
    with pytest.raises(ValueError, match="not known"):
        result.success("told")


@pytest.mark.parametrize("name", ["two-rooms", "pusher"])
def test_a_state_survives_as_a_vector(name):
    world = build_small(name, size=16)
    state = ClosedLoopProtocol(episodes=2).tasks(world).start if name == "two-rooms" else world.start(_prompt(), seeded(0))
    back = from_vector(state, to_vector(state))
    for key, tensor in state.tensors().items():
        assert torch.equal(back.tensors()[key], tensor) and back.tensors()[key].dtype == tensor.dtype
    with pytest.raises(WorldError, match="numbers, received 3"):
        from_vector(state, torch.zeros(2, 3))


def _prompt():
    from armillary.core import Prompt

    return Prompt(batch_size=2, layout={"theme": "random"})


def test_the_film_shows_every_step_and_marks_what_was_solved():
    protocol = ClosedLoopProtocol(episodes=4, max_steps=30)
    result = run_closed_loop(protocol.tasks(ROOMS), [expert_subject()], protocol, film=4)
    last = int(result.outcomes["expert"].solved_at.max())
    assert result.film.shape == (last + 1, 4, 16, 16, 3) and result.goals.shape == (4, 16, 16, 3)
    film = make_film(result, "the expert")
    assert film.shape[0] > last + 1 and film.shape[1] % 2 == film.shape[2] % 2 == 0
    green = (film == np.array([88, 196, 120], np.uint8)).all(axis=-1).any(axis=(1, 2))
    assert not green[0] and green[-1]
    with pytest.raises(ConfigError, match="film=6"):
        make_film(run_closed_loop(protocol.tasks(ROOMS), [told()], ClosedLoopProtocol(episodes=4, max_steps=1)), "none")


def test_wilson_by_its_own_equation():
    """The bounds are where the share lies 1.96 standard errors away, the error taken at the bound itself (Wilson 1927)."""
    for successes, trials in ((0, 10), (3, 10), (50, 50), (180, 200)):
        found = wilson(successes, trials)
        for bound in {found.low, found.high} - {0.0, 1.0}:
            away = (found.value - bound) ** 2
            assert away == pytest.approx(1.959963984540054**2 * bound * (1 - bound) / trials, rel=1e-9)
        assert found.low <= found.value <= found.high and found.n == trials
    with pytest.raises(ValueError, match="received 3 of 2"):
        wilson(3, 2)


def test_seeds_that_differ_widen_the_interval():
    same = success_over_seeds([np.arange(100) < 80] * 3)
    apart = success_over_seeds([np.arange(100) < count for count in (60, 80, 100)])
    assert same.value == pytest.approx(apart.value) == pytest.approx(0.8)
    assert apart.high - apart.low > 2 * (same.high - same.low) and same.n == 300
    perfect = success_over_seeds([np.ones(20, dtype=bool)] * 3)
    assert perfect.low < 0.97 and perfect.high == 1.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: run([told("a"), told("a")]), "a name of its own"),
        (lambda: run([]), "received none"),
        (lambda: run([told(action=(float("nan"), 0.0))]), "'told' gave an action that is not finite, at step 1"),
        (lambda: run([told()], goal_pictures=torch.zeros(1, 3, 16, 16)), "2 tasks and 1 goal pictures"),
        (lambda: told(sees="all"), "received 'all'"),
        (lambda: ClosedLoopProtocol(episodes=0), "received 0"),
        (lambda: ClosedLoopProtocol(max_steps=-1), "received -1"),
    ],
)
def test_what_cannot_be_judged_says_why(make, message):
    with pytest.raises((ConfigError, WorldError), match=message):
        make()


def run(subjects, **options):
    protocol = ClosedLoopProtocol(episodes=2, max_steps=1)
    return run_closed_loop(protocol.tasks(ROOMS), subjects, protocol, **options)
