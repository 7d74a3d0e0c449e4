"""Model-predictive control: on pictures with a world that learned to see, and with the truth in the two rooms."""

import pytest
import torch

from armillary.core import ConfigError, Plan, Planner, Prompt, WorldError, seeded
from armillary.planning.icem import ICEM, ICEMConfig
from armillary.planning.objectives import GoalImage, GoalState, NegativeReturn
from armillary.policies.planner import PlannerPolicy, PlannerPolicyConfig
from armillary.worlds.small.two_rooms import GOAL_RADIUS_M, TwoRooms
from tests.planning.seeing import SeeingWorld


class Counted(Planner):
    """Plans 0.01, 0.02, ... and remembers what it was asked."""

    def __init__(self, steps: int = 6):
        self.asked = []
        self.steps = steps

    def plan(self, world, state, objective, rng, warm_start=None) -> Plan:
        self.asked.append((state, warm_start))
        actions = 0.01 * torch.arange(1, self.steps + 1)[None, :, None].expand(state.batch_size, -1, 3)
        return Plan(actions, torch.zeros(state.batch_size))


def grey(level: float, batch: int = 2) -> torch.Tensor:
    return torch.full((batch, 3, 4, 6), level)


def goal() -> GoalImage:
    return GoalImage(SeeingWorld(), grey(0.9, 1), seeded(0))


@pytest.mark.parametrize("warm", [True, False])
def test_plans_are_carried_out_and_handed_on(warm):
    planner = Counted()
    policy = PlannerPolicy(SeeingWorld(), planner, goal(), PlannerPolicyConfig(execute=2, warm_start=warm))
    memory, done = policy.start(2), []
    for level in (0.1, 0.2, 0.3, 0.4, 0.5):
        action, memory = policy.act(grey(level), memory, seeded(0))
        done.append(round(float(action[0, 0]), 2))
    assert done == [0.01, 0.02, 0.01, 0.02, 0.01]
    assert [round(float(state.colour[0, 0]), 2) for state, _ in planner.asked] == [0.1, 0.3, 0.5]
    assert [float(state.looks[0]) for state, _ in planner.asked] == [1, 3, 5], "every picture corrects the belief, planned from or not"
    assert planner.asked[0][1] is None
    assert [left is None for _, left in planner.asked[1:]] == [not warm] * 2
    if warm:
        torch.testing.assert_close(planner.asked[1][1].actions[0, :, 0], torch.tensor([0.03, 0.04, 0.05, 0.06]))


def test_memory_is_never_written_to():
    policy = PlannerPolicy(SeeingWorld(), Counted(), goal())
    first = policy.start(2)
    _, second = policy.act(grey(0.1), first, seeded(0))
    action, _ = policy.act(grey(0.2), second, seeded(0))
    again, _ = policy.act(grey(0.2), second, seeded(0))
    assert torch.equal(action, again) and first.plan is None and second.executed == 1


def test_a_goal_image_is_reached():
    """Two episodes with goals of their own, four steps or fewer away."""
    world, rng = SeeingWorld(), seeded(0)
    goals = torch.rand(2, 3, 1, 1, generator=rng).expand(-1, -1, 4, 6)
    start = (goals + torch.tensor([0.3, -0.25])[:, None, None, None]).clamp(0.0, 1.0)
    planner = ICEM(ICEMConfig(horizon=4, samples=64, elites=8, iterations=4))
    policy = PlannerPolicy(world, planner, GoalImage(world, goals, rng), PlannerPolicyConfig(execute=2))
    state, memory = world.start(Prompt(batch_size=2, frames=start[:, None]), rng), policy.start(2)
    for _ in range(6):
        action, memory = policy.act(world.render(state)["rgb"], memory, rng)
        state = world.step(state, action, rng)
    assert (state.colour - goals[:, :, 0, 0]).abs().max() < 0.03


@pytest.mark.parametrize("kind", ["return", "goal state"])
def test_planning_with_the_truth_reaches_every_goal(kind):
    """Two rooms: the simulator is the world. For its reward with random walls and doors; for the bare distance with a wide door."""
    world, rng, episodes = TwoRooms(size=16), seeded(3), 5
    random = {"wall_x_m": "random", "door_y_m": "random"}
    state = world.start(Prompt(batch_size=episodes, layout=random if kind == "return" else {"door_width_m": 0.36}), rng)
    objective = NegativeReturn(0.95) if kind == "return" else GoalState(state.goal, [0, 1], steps="sum")
    where = {}
    planner = ICEM(ICEMConfig(horizon=8, block=4 if kind == "goal state" else 3, samples=96, elites=10, iterations=3, decay=1.1))
    policy = PlannerPolicy(world, planner, objective, PlannerPolicyConfig(execute=8), state_of=lambda observation: where["state"])
    memory, arrived = policy.start(episodes), torch.zeros(episodes, dtype=torch.bool)
    assert ((state.agent - state.goal).norm(dim=-1) > GOAL_RADIUS_M).all(), "no start may be solved already"
    for _ in range(40):
        where["state"] = state
        action, memory = policy.act(world.embed(state), memory, rng)
        state = world.step(state, action, rng)
        arrived |= (state.agent - state.goal).norm(dim=-1) < GOAL_RADIUS_M
    assert arrived.all(), f"{int(arrived.sum())} of {episodes}"


def test_what_cannot_be_located_is_refused():
    with pytest.raises(WorldError, match="TwoRooms does not start from pictures: give state_of"):
        PlannerPolicy(TwoRooms(size=16), Counted(), NegativeReturn())


@pytest.mark.parametrize(
    ("observation", "message"),
    [
        (grey(0.5, 3), "started for 2 episodes and sees 3"),
        (torch.zeros(2, 3, 8, 8), "the observation is 8 x 8 pixels .* sees 4 x 6"),
        (torch.full((2, 3, 4, 6), torch.nan), "the observation holds nan"),
        (torch.zeros(2, 7), "must be pictures"),
    ],
)
def test_wrong_observations_are_refused(observation, message):
    policy = PlannerPolicy(SeeingWorld(), Counted(), goal())
    with pytest.raises(WorldError, match=message):
        policy.act(observation, policy.start(2), seeded(0))


def test_a_plan_too_short_to_carry_out_is_refused():
    policy = PlannerPolicy(SeeingWorld(), Counted(steps=3), goal(), PlannerPolicyConfig(execute=4))
    with pytest.raises(ConfigError, match=r"policy\.execute is 4, but a plan has only 3 steps"):
        policy.act(grey(0.5), policy.start(2), seeded(0))
    with pytest.raises(ConfigError, match="received 0"):
        PlannerPolicyConfig(execute=0)
