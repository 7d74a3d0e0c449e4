"""Tasks to be judged on: where an episode begins, what it looks like when it is done, and whether it is done. Two rooms and pusher.

A task is a pair of states. The picture of `goal` is the goal picture, and it can be reached from `start`: in the two rooms the agent
stands at the goal; at the table a scripted expert has pushed the block there from that very start, and where it came to rest is the goal.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Generator, Tensor

from armillary.core import Action, ConfigError, Policy, Prompt, State, WorldError
from armillary.worlds.small.exact import ExactState, SmallWorld
from armillary.worlds.small.policies import Aim, push_to_goal, through_door
from armillary.worlds.small.pusher import GOAL_ANGLE, GOAL_DISTANCE_M, Pusher, PusherState, angle_error
from armillary.worlds.small.record import FIRST_TASK_SEED
from armillary.worlds.small.two_rooms import GOAL_RADIUS_M, TwoRooms, TwoRoomsState

EXPERT_STEPS = 60  # an expert that has not brought the block to its goal by then had a bad start, which is drawn again
SETTLE_STEPS = 15  # within 1.5 s every block has stopped sliding
EXPERT_NOISE = 0.2
MOST_DRAWS = 50


@dataclass(frozen=True)
class Tasks:
    """Pairs of start and goal in a world. `start` already holds the true goal; the methods take states that came of it."""

    world: SmallWorld
    start: ExactState
    goal: ExactState

    def __len__(self) -> int:
        return self.start.batch_size

    @property
    def max_steps(self) -> int:
        """How many steps an episode lasts at most, if nobody says otherwise."""
        return kind_of(self.world).max_steps

    def rows(self, index: Int[Tensor, " n"] | Sequence[int] | slice) -> "Tasks":
        """The chosen tasks."""
        return Tasks(self.world, self.start.rows(index), self.goal.rows(index))

    def solved(self, state: ExactState) -> Bool[Tensor, " b"]:
        """Two rooms: the agent within 8 cm of the goal. Pusher: the block within 5 cm and 15 degrees of the goal pose."""
        return kind_of(self.world).solved(state)

    def distance_m(self, state: ExactState) -> Float[Tensor, " b"]:
        """Metres from the agent (two rooms) or the block (pusher) to the goal, as the crow flies."""
        return kind_of(self.world).distance_m(state)

    def goal_pictures(self) -> Float[Tensor, "b 3 h w"]:
        """What each task looks like when it is done."""
        return self.world.render(self.goal)["rgb"]

    def expert(self) -> "Expert":
        """The scripted policy of this world."""
        return Expert(kind_of(self.world).aim)


class Expert(Policy[None]):
    """Follows an aim of policies.py, with the noise that it is recorded with: exactly followed, push_to_place stops where its ways meet.

    It sees the exact state, as the world embeds it.
    """

    def __init__(self, aim: Aim):
        self.aim = aim

    def start(self, batch_size: int) -> None:
        """It remembers nothing."""
        return None

    def act(self, observation: Float[Tensor, "b d"], memory: None, rng: Generator) -> tuple[Action, None]:
        """A velocity in [-1, 1] for each world."""
        noise = EXPERT_NOISE * torch.randn(len(observation), 2, generator=rng, device=rng.device)
        return (self.aim(observation, torch.zeros_like(noise)) + noise).clamp(-1.0, 1.0), None


def task_seed(seed: int) -> int:
    """The seed of tasks: never one that a recording (record.py) may have. ConfigError for a negative one."""
    if seed < 0:
        raise ConfigError(f"the tasks' seed must be at least 0, received {seed}")
    return FIRST_TASK_SEED + seed


@torch.no_grad()
def draw_tasks(world: SmallWorld, count: int, rng: Generator, layout: Mapping[str, object] | None = None) -> Tasks:
    """`count` tasks in a layout, none of them solved at its start, the same for the same generator.

    What is solved already or cannot be done by the expert is drawn again. ConfigError for a world without goals, WorldError for a
    layout that the world does not have or in which no task is found.
    """
    kind = kind_of(world)
    if count < 1:
        raise ConfigError(f"at least 1 task is needed, received {count}")
    start = goal = None
    missing = torch.ones(count, dtype=torch.bool, device=rng.device)
    for _ in range(MOST_DRAWS):
        drawn = world.start(Prompt(batch_size=count, layout=layout), rng)
        found_start, found_goal, sound = kind.find_goal(world, drawn.rows(missing.nonzero()[:, 0]), rng)
        start, goal = (_fill(kept, drawn, found, missing) for kept, found in ((start, found_start), (goal, found_goal)))
        missing[missing.clone()] = ~sound
        if not missing.any():
            return Tasks(world, start, goal)
    raise WorldError(f"{int(missing.sum())} of {count} tasks were not found in {MOST_DRAWS} draws of the layout {dict(layout or {})}")


def _fill(kept: ExactState | None, drawn: ExactState, found: ExactState, missing: Bool[Tensor, " b"]) -> ExactState:
    """`kept` (at first `drawn`) with its missing rows replaced by what was found."""
    tensors, rows = {}, found.tensors()
    for name, tensor in (kept or drawn).tensors().items():
        tensors[name] = tensor.clone()
        tensors[name][missing] = rows[name]
    return drawn.with_tensors(tensors)


@dataclass(frozen=True)
class _Kind:
    """What differs between the worlds with goals. `find_goal` gives (start, goal, which of them are tasks)."""

    find_goal: Callable[[SmallWorld, State, Generator], tuple[State, State, Tensor]]
    solved: Callable[[State], Tensor]
    distance_m: Callable[[State], Tensor]
    aim: Aim
    max_steps: int  # of an episode; in the two rooms the expert needs 25 at most, at the table 60


def kind_of(world: SmallWorld) -> _Kind:
    """ConfigError for a world without goals."""
    for world_class, kind in _KINDS.items():
        if isinstance(world, world_class):
            return kind
    names = ", ".join(world_class.__name__ for world_class in _KINDS)
    raise ConfigError(f"{type(world).__name__} has no goals to be judged on; worlds that have: {names}")


def _rooms_distance(state: TwoRoomsState) -> Float[Tensor, " b"]:
    return (state.agent - state.goal).norm(dim=-1)


def _rooms_solved(state: TwoRoomsState) -> Bool[Tensor, " b"]:
    return _rooms_distance(state) < GOAL_RADIUS_M


def _rooms_goal(world: TwoRooms, start: TwoRoomsState, rng: Generator) -> tuple[TwoRoomsState, TwoRoomsState, Bool[Tensor, " b"]]:
    goal = replace(start, agent=start.goal, going=torch.zeros_like(start.going))
    return start, goal, ~_rooms_solved(start)


def _block_distance(state: PusherState) -> Float[Tensor, " b"]:
    return (state.block.position - state.goal).norm(dim=-1)


def _block_solved(state: PusherState) -> Bool[Tensor, " b"]:
    return (_block_distance(state) < GOAL_DISTANCE_M) & (angle_error(state.block.angle, state.goal_angle) < GOAL_ANGLE)


def _pushed_goal(world: Pusher, start: PusherState, rng: Generator) -> tuple[PusherState, PusherState, Bool[Tensor, " b"]]:
    """The expert pushes until the block is near the place drawn, then stands still; where the block comes to rest is the goal."""
    expert, state = Expert(push_to_goal), start
    near, rested = _block_distance(start) < GOAL_DISTANCE_M, torch.zeros_like(start.going)
    for _ in range(EXPERT_STEPS + SETTLE_STEPS):
        action, _ = expert.act(world.embed(state), None, rng)
        moving = rested < SETTLE_STEPS
        after = world.step(state, torch.where(near[:, None], 0.0, action), rng)
        state = choose_rows(moving, after, state)
        rested = rested + near.float()
        near = near | (_block_distance(state) < GOAL_DISTANCE_M)
        if bool((rested >= SETTLE_STEPS).all()):
            break
    truth = {"goal": state.block.position, "goal_angle": state.block.angle}
    start, goal = replace(start, **truth), replace(state, **truth, going=torch.zeros_like(state.going))
    still = state.block.velocity.norm(dim=-1) < 1e-3
    return start, goal, near & (rested >= SETTLE_STEPS) & still & ~_block_solved(start)


def choose_rows(first: Bool[Tensor, " b"], one: State, other: State) -> State:
    """Row by row `one` where `first`, else `other`, two states of one structure."""
    others = other.tensors()
    return one.with_tensors(
        {name: torch.where(first.view(-1, *[1] * (tensor.ndim - 1)), tensor, others[name]) for name, tensor in one.tensors().items()}
    )


_KINDS: Mapping[type[SmallWorld], _Kind] = {
    TwoRooms: _Kind(_rooms_goal, _rooms_solved, _rooms_distance, lambda seen, place: through_door(seen, seen[:, 4:6]), 50),
    Pusher: _Kind(_pushed_goal, _block_solved, _block_distance, push_to_goal, 100),
}
