"""Goal-conditioned behaviour cloning: its loss is what it says, it refuses what it cannot use, and it learns."""

from dataclasses import replace

import gymnasium
import pytest
import torch

from armillary.core import Batch, ConfigError, Prompt, WorldError, seeded
from armillary.policies.goal_cloning import GoalCloning, ModelConfig
from armillary.policies.goal_conditioned import GoalConditioned, HindsightConfig
from armillary.policies.hindsight import draw_pairs
from armillary.studies.runs import load_run
from armillary.train import RunFolder
from armillary.worlds.small.record import record_episodes
from armillary.worlds.small.two_rooms import GOAL_RADIUS_M, TwoRooms
from tests.policies.goal_runs import SHAPE, SIDE, action_errors, learn, rooms, tell

SMALL = ModelConfig(goal_steps=5, pairs_per_window=3, channels=(4, 8), width=16, batch_size=4)


def small_policy(**changes) -> GoalCloning:
    torch.manual_seed(0)
    return GoalCloning(replace(SMALL, **changes), SHAPE).eval()


def pictures(count: int = 2) -> torch.Tensor:
    return torch.rand(count, 3, SIDE, SIDE, generator=seeded(1))


class Clock(GoalConditioned):
    """Reads the time from the brightness of pictures, and tells always the mean action."""

    def __init__(self, config: HindsightConfig):
        super().__init__(config, replace(SHAPE, action_mean=(0.0,) * 3, action_std=(1.0,) * 3))
        self.seen = []

    def read_goal(self, goal, rng):
        return goal

    def decide(self, observation, goal, rng):
        self.seen.append(torch.stack([x.mean(dim=(1, 2, 3)) * 100 for x in (observation, goal)], dim=1).round().long())
        return torch.zeros(len(observation), 3 * self.config.chunk)


@pytest.mark.parametrize("chunk", [1, 3])
def test_the_loss_is_about_the_actions_from_frame_t_on_and_before_the_goal(chunk):
    """Frames are as bright as their time; action t of window b is (t, b, 0) / 10, so that the loss tells which were taken."""
    policy = Clock(HindsightConfig(goal_steps=6, pairs_per_window=4, chunk=chunk, loss="mse"))
    times = torch.arange(7) / 100
    frames = times[None, :, None, None, None].expand(2, 7, 3, SIDE, SIDE).contiguous()
    actions = torch.stack([torch.arange(7.0).expand(2, 7), torch.arange(2.0)[:, None].expand(2, 7), torch.zeros(2, 7)], dim=-1) / 10
    found = policy.loss(Batch(frames=frames, actions=actions), seeded(3)).total.item()
    starts, steps = draw_pairs(2, 7, 4, goal_steps=6, discount=1.0, rng=seeded(3))
    assert policy.seen[0].tolist() == torch.stack([starts, starts + steps], dim=-1).flatten(0, 1).tolist()
    wanted = []
    for row in range(2):
        for start, step in zip(starts[row].tolist(), steps[row].tolist(), strict=True):
            wanted += [(((start + i) / 10) ** 2 + (row / 10) ** 2) / 3 for i in range(min(chunk, step))]
    assert found == pytest.approx(sum(wanted) / len(wanted), rel=1e-5)


def test_everything_learns():
    policy = small_policy(chunk=2)
    policy.begin_phase("imitate")
    batch = Batch(frames=torch.rand(4, 6, 3, SIDE, SIDE, generator=seeded(0)), actions=torch.randn(4, 6, 3, generator=seeded(1)))
    policy.loss(batch, seeded(0)).total.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in policy.parameters())


def test_a_chunk_is_carried_out_before_it_looks_again():
    policy = small_policy(chunk=3, execute=2)
    towards, (first, second) = policy.with_goal(pictures(1)[0]), (pictures(), pictures().flip(0))
    memory = towards.start(2)
    done = []
    for seen in (first, second, second):
        action, memory = towards.act(seen, memory, seeded(0))
        done.append(action)
    with torch.no_grad():
        goal = pictures(1).expand(2, -1, -1, -1)
        chunks = [policy.head.act(policy.decide(seen, goal, seeded(0)).unflatten(1, (3, 3))) for seen in (first, second)]
    torch.testing.assert_close(torch.stack(done), torch.stack([chunks[0][:, 0], chunks[0][:, 1], chunks[1][:, 0]]))


def test_pairs_and_a_known_goal_are_one_policy():
    policy, goals = small_policy(), pictures().flip(1)
    pairs = torch.stack([pictures(), goals], dim=1)
    action, memory = policy.act(pairs, policy.start(2), seeded(0))
    assert torch.equal(action, tell(policy, pictures(), goals)) and memory.executed == 1
    assert not torch.equal(action, tell(policy, pictures(), pictures()))
    alone = tell(policy, pictures()[1:], goals[1:])
    torch.testing.assert_close(alone, action[1:])


@pytest.mark.parametrize(
    ("goal", "said"),
    [
        (torch.zeros(3, 16, 16), "the goal is 16 x 16 .*, the policy sees 32 x 32; resize"),
        (torch.zeros(1, 4, SIDE, SIDE), "must be pictures"),
        (torch.zeros(3, SIDE, SIDE, dtype=torch.uint8), "torch.uint8"),
        (torch.full((3, SIDE, SIDE), 255.0), "from 0 to 1, received 255"),
        (torch.zeros(3, SIDE, SIDE).index_fill_(2, torch.tensor([5]), float("nan")), "the goal holds nan"),
    ],
)
def test_goals_that_cannot_be_used_are_refused_at_once(goal, said):
    policy = small_policy()
    with pytest.raises(WorldError, match=said):
        policy.with_goal(goal)
    if goal.ndim == 3:
        with pytest.raises(WorldError, match=said):
            policy.act(torch.stack([goal, goal])[None], policy.start(1), seeded(0))


def test_observations_and_batches_that_do_not_fit_are_refused():
    policy = small_policy()
    towards = policy.with_goal(pictures(2))
    with pytest.raises(WorldError, match="2 goals for 3 episodes"):
        towards.start(3)
    with pytest.raises(WorldError, match="started for 2 episodes and sees 3"):
        towards.act(pictures(3), towards.start(2), seeded(0))
    with pytest.raises(WorldError, match="the observation is 16 x 16"):
        towards.act(torch.zeros(2, 3, 16, 16), towards.start(2), seeded(0))
    with pytest.raises(WorldError, match="with_goal"):
        policy.act(pictures(2), policy.start(2), seeded(0))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"goal_steps": 0}, "goal_steps must be >= 1"),
        ({"goal_discount": 1.2}, "goal_discount .* received 1.2"),
        ({"execute": 2}, "received 2, 1 and 5"),
        ({"chunk": 9}, "received 1, 9 and 5"),
        ({"loss": "l3"}, "huber, l1, mse; received 'l3'"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"width": 0}, "model.width must be >= 1"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, said):
    with pytest.raises(ConfigError, match=said):
        replace(SMALL, **changes)


def test_discrete_actions_are_chosen(tmp_path):
    episodes = record_episodes("platformer", num_episodes=4, num_steps=20, size=SIDE, seed=0)
    small = {"goal_steps": 5, "pairs_per_window": 3, "channels": (4, 8), "width": 16, "batch_size": 4}
    policy = learn(tmp_path / "run", "goal-cloning", episodes, steps=3, **small)
    assert policy.spec.action_space == gymnasium.spaces.Discrete(episodes[0].actions.shape[1])
    action = tell(policy, pictures(), pictures().flip(0))
    assert action.dtype == torch.long and action.shape == (2,)
    assert {"loss", "accuracy"} <= RunFolder.open(tmp_path / "run").metrics()[-1].keys()


def test_two_rooms_are_walked_from_pictures(tmp_path):
    """The error of its actions is far below the mean action's and its own with another goal; it reaches most goals, and loads back."""
    policy = learn(tmp_path / "run", "goal-cloning", rooms(64, 0), steps=300, goal_steps=20, width=128, channels=(16, 32))
    held_out = rooms(10, 1)
    for steps in (3, 10):
        errors = action_errors(policy, held_out, steps)
        assert errors["right"] < 0.82 * errors["mean"] and errors["right"] < 0.7 * errors["shuffled"], (steps, errors)
    loaded = load_run(tmp_path / "run")
    seen = pictures(3)
    assert loaded.family == "goal-cloning" and torch.equal(tell(loaded.world, seen, seen.flip(0)), tell(policy, seen, seen.flip(0)))
    assert success(policy, 40) > 0.5


@torch.no_grad()
def success(policy: GoalCloning, episodes: int) -> float:
    """How many reach a goal picture in the room where they are, of those that are not there already."""
    world, rng = TwoRooms(size=SIDE), seeded(9)
    state = world.start(Prompt(batch_size=episodes), rng)
    there = replace(state, agent=state.agent + (0.5 - state.agent) * torch.tensor([0.0, 1.6]))
    return walk(world, policy, state, there, rng)


def walk(world: TwoRooms, policy: GoalCloning, state, there, rng) -> float:
    far = (state.agent - there.agent).norm(dim=-1) > GOAL_RADIUS_M
    towards = policy.with_goal(world.render(there)["rgb"])
    memory, arrived = towards.start(len(far)), torch.zeros_like(far)
    for _ in range(30):
        action, memory = towards.act(world.render(state)["rgb"], memory, rng)
        state = world.step(state, action, rng)
        arrived |= (state.agent - there.agent).norm(dim=-1) < GOAL_RADIUS_M
    return (arrived & far).sum().item() / far.sum().item()


def test_the_same_seed_is_the_same_run(tmp_path):
    small = {"goal_steps": 5, "pairs_per_window": 3, "channels": (4, 8), "width": 16, "batch_size": 4}
    runs = [learn(tmp_path / name, "goal-cloning", rooms(4, 0), steps=3, **small).state_dict() for name in "ab"]
    assert all(torch.equal(tensor, runs[1][name]) for name, tensor in runs[0].items())
