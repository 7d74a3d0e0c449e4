"""Tasks: never solved at the start, always at the goal, feasible, the same for the same seed; and worlds that do not draw their goal."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from armillary.core import ConfigError, Prompt, WorldError, check_world, seeded
from armillary.worlds.catalog import build_small
from armillary.worlds.small.goals import draw_tasks, task_seed
from armillary.worlds.small.pusher import AGENT_RADIUS_M
from armillary.worlds.small.record import CAMERA, FIRST_TASK_SEED, WITH_GOAL, record_episodes

SIZE = 16


def tasks_of(name: str, count: int, seed: int = 0, layout=None, **options):
    return draw_tasks(build_small(name, size=SIZE, **options), count, seeded(task_seed(seed)), layout)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6))
def test_two_rooms_starts_are_unsolved_and_goals_solved(seed):
    tasks = tasks_of("two-rooms", 8, seed, dict.fromkeys(["wall_x_m", "door_y_m", "door_width_m", "speed_m_s"], "random"))
    assert len(tasks) == 8 and not tasks.solved(tasks.start).any() and tasks.solved(tasks.goal).all()
    torch.testing.assert_close(tasks.goal.agent, tasks.start.goal)
    apart = (tasks.start.agent[:, 0] < tasks.start.wall_x_m) != (tasks.start.goal[:, 0] < tasks.start.wall_x_m)
    assert apart.all(), "start and goal lie in different rooms"


def test_pusher_starts_are_unsolved_and_goals_are_where_a_push_ends():
    tasks = tasks_of("pusher", 8, 3, {"friction": "random"})
    assert not tasks.solved(tasks.start).any() and tasks.solved(tasks.goal).all()
    torch.testing.assert_close(tasks.goal.block.position, tasks.start.goal)
    # the agent of the goal picture has just pushed: it stands near the block, not within it
    gap = (tasks.goal.agent - tasks.goal.block.position).norm(dim=-1)
    assert (gap > AGENT_RADIUS_M).all() and (gap < 0.6).all()
    still = tasks.world.step(tasks.goal, torch.zeros(8, 2), seeded(0))
    assert (still.block.position - tasks.goal.block.position).abs().max() < 1e-3, "the block is at rest"


@pytest.mark.parametrize("name", WITH_GOAL)
def test_the_generator_decides_everything(name):
    one, again, other = (tasks_of(name, 2, seed) for seed in (5, 5, 6))
    for key, value in one.start.tensors().items():
        assert torch.equal(value, again.start.tensors()[key])
    assert torch.equal(one.goal_pictures(), again.goal_pictures())
    assert not torch.equal(one.start.agent, other.start.agent)


def test_a_solved_start_is_drawn_again(monkeypatch):
    """With a goal radius that most starts are within, what is left is what is not."""
    monkeypatch.setattr("armillary.worlds.small.goals.GOAL_RADIUS_M", 0.45)
    tasks = tasks_of("two-rooms", 30)
    assert (tasks.distance_m(tasks.start) >= 0.45).all()
    drawn = tasks.world.start(Prompt(batch_size=30), seeded(task_seed(0)))
    near = (drawn.agent - drawn.goal).norm(dim=-1) < 0.45
    assert near.any() and torch.equal(tasks.start.agent[~near], drawn.agent[~near]), "others stay as they were drawn"


def test_where_every_start_is_solved_no_task_is_found(monkeypatch):
    monkeypatch.setattr("armillary.worlds.small.goals.GOAL_RADIUS_M", 2.0)
    with pytest.raises(WorldError, match="4 of 4 tasks were not found"):
        tasks_of("two-rooms", 4)


def test_solved_by_hand():
    rooms = tasks_of("two-rooms", 2)
    state = replace(rooms.start, agent=rooms.start.goal + torch.tensor([[0.079, 0.0], [0.0, 0.081]]))
    assert rooms.solved(state).tolist() == [True, False]
    table = tasks_of("pusher", 1)
    quarter, degree = torch.pi / 2, torch.pi / 180
    for moved_m, turned, solved in ((0.049, 14 * degree, True), (0.051, 0.0, False), (0.0, 16 * degree, False), (0.0, quarter, True)):
        pose = {"position": table.goal.block.position + torch.tensor([[moved_m, 0.0]]), "angle": table.goal.block.angle + turned}
        state = replace(table.goal, block=replace(table.goal.block, **pose))
        assert table.solved(state).tolist() == [solved], (moved_m, turned)


def test_a_layout_for_each_task_is_kept():
    walls = [0.4, 0.5, 0.6]
    assert tasks_of("two-rooms", 3, layout={"wall_x_m": walls}).start.wall_x_m.tolist() == pytest.approx(walls)


def test_the_expert_of_the_rooms_arrives():
    tasks, rng = tasks_of("two-rooms", 12, layout={"wall_x_m": "random", "door_y_m": "random"}), seeded(0)
    state, expert, solved = tasks.start, tasks.expert(), torch.zeros(12, dtype=torch.bool)
    for _ in range(40):
        action, _ = expert.act(tasks.world.embed(state), None, rng)
        state = tasks.world.step(state, action, rng)
        solved |= tasks.solved(state)
    assert solved.all()


def test_what_has_no_goals_says_so():
    with pytest.raises(ConfigError, match="BouncingBalls has no goals"):
        draw_tasks(build_small("bouncing-balls", size=SIZE), 2, seeded(0))
    with pytest.raises(ConfigError, match="received 0"):
        tasks_of("two-rooms", 0)
    with pytest.raises(WorldError, match="did you mean 'wall_x_m'"):
        tasks_of("two-rooms", 2, layout={"wall_x": 0.5})


@pytest.mark.parametrize("name", WITH_GOAL)
def test_without_its_goal_a_world_looks_the_same_for_every_goal(name):
    shown, hidden = build_small(name, size=32), build_small(name, size=32, show_goal=False)
    check_world(hidden)
    state = shown.start(Prompt(batch_size=4), seeded(0))
    for key, value in hidden.start(Prompt(batch_size=4), seeded(0)).tensors().items():
        assert torch.equal(value, state.tensors()[key]), "the same things happen"
    elsewhere = replace(state, goal=state.goal.flip(0))
    pictures = [world.render(one)["rgb"] for world in (shown, hidden) for one in (state, elsewhere)]
    assert (pictures[0] - pictures[1]).abs().max() > 0.05 and torch.equal(pictures[2], pictures[3])


@pytest.mark.parametrize("name", WITH_GOAL)
def test_recordings_leave_the_goal_out_and_nothing_else(name):
    shown, hidden = (record_episodes(name, num_episodes=2, num_steps=4, size=SIZE, show_goal=show)[0] for show in (True, False))
    assert (shown.actions == hidden.actions).all() and (shown.state == hidden.state).all()
    assert (shown.frames[CAMERA] != hidden.frames[CAMERA]).any()


def test_a_recording_cannot_hold_a_task():
    with pytest.raises(ConfigError, match="seed must lie in 0"):
        record_episodes("two-rooms", num_episodes=1, num_steps=2, size=SIZE, seed=FIRST_TASK_SEED)
    with pytest.raises(ConfigError, match="received -1"):
        task_seed(-1)
    with pytest.raises(ConfigError, match="platformer draws no goal"):
        record_episodes("platformer", num_episodes=1, num_steps=2, show_goal=False)
