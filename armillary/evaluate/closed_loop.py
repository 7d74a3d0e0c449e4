"""Closed loop: policies act in a world and are judged by what they bring about. The protocol, fixed for every table:

* **Tasks** are pairs of start and goal that nobody trained on (`worlds/small/goals.py`). Recordings are drawn from seeds below 10^9, the
  tasks of seed s from 10^9 + s, so no task is a recorded episode. A start that is solved already is drawn again. Every subject gets the
  same tasks, in the same order.
* **Budget**: `max_steps` actions an episode (two rooms 50, pusher 100; the step is 0.1 s).
* **Success**: the task is solved after any action within the budget, not only at its end. The episode ends there: it is not stepped on.
* **Beside every policy** stand `random` (uniform actions), `expert` (the scripted policy, which sees the exact state), and `simulator`: the
  planner under test, with the true world as its model and the true goal. Whoever has a rival hands it in as one more subject.
* **What is seen**: pictures, `b 3 h w` in [0, 1], now and of the goal. Only `random`, `expert` and `simulator` see something else.
* **Intervals**: 95 %; of success over episodes Wilson's, over seeds and episodes `success_over_seeds`, of distances the bootstrap.
* **Time**: `seconds_an_action` is measured with one episode alone, which is what a robot waits; `seconds_an_action_in_batch` is the
  time of all episodes at once, divided by their number. Both are wall time, the median over blocks of six actions, each block's mean: a
  plan that is carried out for several actions counts for all of them.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from armillary.core import Action, ConfigError, Policy, State, WorldError, seeded, to_disk
from armillary.evaluate.closed_loop_result import ClosedLoopResult, Outcome
from armillary.worlds.small.exact import SmallWorld
from armillary.worlds.small.goals import Tasks, choose_rows, draw_tasks, task_seed
from armillary.worlds.small.policies import Uniform

SEES = ("picture", "embedding", "state")
ACTIONS_A_BLOCK, BLOCKS_ALONE = 6, 2

Pictures = Float[Tensor, "b 3 h w"]


@dataclass(frozen=True, kw_only=True)
class ClosedLoopProtocol:
    """How many tasks, how many actions each at most (0: the world's own budget), and which: a seed of tasks, not of recordings."""

    episodes: int = 50
    max_steps: int = 0
    seed: int = 0

    def __post_init__(self):
        if self.episodes < 1:
            raise ConfigError(f"episodes must be at least 1, received {self.episodes}")
        if self.max_steps < 0:
            raise ConfigError(f"max_steps must be at least 1 (or 0 for the world's own budget), received {self.max_steps}")

    def tasks(self, world: SmallWorld, layout: Mapping[str, object] | None = None) -> Tasks:
        """The protocol's tasks in a world; errors are those of `draw_tasks`."""
        return draw_tasks(world, self.episodes, seeded(task_seed(self.seed)), layout)


@dataclass(frozen=True)
class Subject:
    """Who is judged. `make` gets the tasks and the goal pictures and gives a policy for all of them at once.

    `sees`: "picture" (what a robot would see), "embedding" (the exact state as the world embeds it, for scripted policies) or
    "state" (all of the exact state, `from_vector` of it: for planning with the true world).
    """

    name: str
    make: Callable[[Tasks, Pictures], Policy]
    sees: str = "picture"

    def __post_init__(self):
        if self.sees not in SEES:
            raise ConfigError(f"{self.name}: sees must be one of {', '.join(SEES)}, received {self.sees!r}")


def random_subject() -> Subject:
    """Uniform actions."""
    return Subject("random", lambda tasks, goals: Uniform(tasks.world.spec.action_space), "embedding")


def expert_subject() -> Subject:
    """The world's scripted policy. At the table it takes care of the block's place only, not of its angle."""
    return Subject("expert", lambda tasks, goals: tasks.expert(), "embedding")


@torch.no_grad()
def run_closed_loop(
    tasks: Tasks,
    subjects: Sequence[Subject],
    protocol: ClosedLoopProtocol,
    *,
    goal_pictures: Pictures | None = None,
    closeness: Callable[[Pictures, Pictures], Float[Tensor, " b"]] | None = None,
    film: int = 0,
    on_step: Callable[[str, int, int], None] | None = None,
) -> ClosedLoopResult:
    """Let every subject do every task, all episodes side by side.

    With `goal_pictures` these are aimed at and nothing but `closeness` (of pictures now to goal pictures, at the start and at the end) can
    be judged: whether a task is solved is known only of the tasks' own goals. `film` episodes of the first subject are kept as
    pictures. `on_step(name, done, total)` is called after each step. Raises WorldError for an action that is not finite.
    """
    names = [subject.name for subject in subjects]
    if len(set(names)) != len(names) or not names:
        raise ConfigError(f"every subject needs a name of its own, received {', '.join(names) or 'none'}")
    judged = goal_pictures is None
    goals = tasks.goal_pictures() if judged else goal_pictures
    if len(goals) != len(tasks):
        raise ConfigError(f"there are {len(tasks)} tasks and {len(goals)} goal pictures; give one for each")
    steps = protocol.max_steps or tasks.max_steps
    outcomes: dict[str, Outcome] = {}
    shown = None
    for subject in subjects:
        run = _Run(tasks, subject, goals, protocol.seed)
        kept: list[np.ndarray] | None = [] if film and subject is subjects[0] else None
        solved_at, times = run.act(steps, stop=judged, kept=kept, film=film, on_step=on_step)
        alone = _Run(tasks.rows([0]), subject, goals[:1], protocol.seed).act(min(steps, ACTIONS_A_BLOCK * BLOCKS_ALONE), stop=False)[1]
        ends = [tasks.world.render(state)["rgb"] for state in (tasks.start, run.state)] if closeness else []
        outcomes[subject.name] = Outcome(
            solved_at=solved_at if judged else None,
            final_distance_m=tasks.distance_m(run.state).double().numpy() if judged else None,
            closeness=tuple(closeness(pictures, goals).double().numpy() for pictures in ends) if closeness else None,
            seconds_alone=_blocks(alone),
            seconds_in_batch=_blocks(times) / len(tasks),
        )
        shown = np.stack(kept) if kept is not None else shown
    return ClosedLoopResult(
        protocol_steps=steps,
        seconds_per_step=tasks.world.spec.seconds_per_step,
        seed=protocol.seed,
        outcomes=outcomes,
        film=shown,
        goals=to_disk(goals[:film]) if film else None,
    )


class _Run:
    """One subject in its episodes."""

    def __init__(self, tasks: Tasks, subject: Subject, goals: Pictures, seed: int):
        self.tasks, self.subject, self.world = tasks, subject, tasks.world
        self.policy, self.state, self.rng = subject.make(tasks, goals), tasks.start, seeded(seed)

    def act(
        self,
        steps: int,
        *,
        stop: bool,
        kept: list[np.ndarray] | None = None,
        film: int = 0,
        on_step: Callable[[str, int, int], None] | None = None,
    ) -> tuple[np.ndarray, list[float]]:
        """(after how many actions each task was solved, 0 for never; seconds of every action). `stop`: solved episodes stay as they are."""
        memory, solved_at, times = self.policy.start(len(self.tasks)), torch.zeros(len(self.tasks), dtype=torch.long), []
        for step in range(1, steps + 1):
            self._keep(kept, film)
            seen = self._observation()
            begin = time.perf_counter()
            action, memory = self.policy.act(seen, memory, self.rng)
            times.append(time.perf_counter() - begin)
            self._check(action, step)
            after = self.world.step(self.state, action, self.rng)
            self.state = choose_rows(solved_at == 0, after, self.state) if stop else after
            solved_at = torch.where((solved_at == 0) & self.tasks.solved(self.state), step, solved_at)
            if on_step is not None:
                on_step(self.subject.name, step, steps)
            if stop and bool((solved_at > 0).all()):
                break
        self._keep(kept, film)
        return solved_at.numpy(), times

    def _observation(self) -> Tensor:
        if self.subject.sees == "picture":
            return self.world.render(self.state)["rgb"]
        return self.world.embed(self.state) if self.subject.sees == "embedding" else to_vector(self.state)

    def _keep(self, kept: list[np.ndarray] | None, film: int) -> None:
        if kept is not None:
            kept.append(to_disk(self.world.render(self.state.rows(slice(0, film)))["rgb"]))

    def _check(self, action: Action, step: int) -> None:
        wrong = (~torch.isfinite(action)).flatten(1).any(dim=1).nonzero()[:, 0].tolist() if action.is_floating_point() else []
        if wrong:
            raise WorldError(f"the policy {self.subject.name!r} gave an action that is not finite, at step {step} in episode {wrong[0]}")


def to_vector(state: State) -> Float[Tensor, "b s"]:
    """Every number of a state in one row, in double precision, so that none is lost."""
    return torch.cat(
        [tensor.flatten(1) if tensor.ndim > 1 else tensor[:, None] for tensor in map(torch.Tensor.double, state.tensors().values())], 1
    )


def from_vector(like: State, vector: Float[Tensor, "b s"]) -> State:
    """The state that `to_vector` wrote, of the structure of `like`. WorldError for a vector of another length."""
    parts = like.tensors()
    sizes = [tensor[0].numel() for tensor in parts.values()]
    if vector.shape[1] != sum(sizes):
        raise WorldError(f"a {type(like).__name__} has {sum(sizes)} numbers, received {vector.shape[1]}")
    columns = vector.split(sizes, dim=1)
    pairs = zip(parts.items(), columns, strict=True)
    return like.with_tensors({name: column.reshape(len(vector), *tensor.shape[1:]).to(tensor.dtype) for (name, tensor), column in pairs})


def _blocks(times: Sequence[float]) -> Float[np.ndarray, " n"]:
    """The mean of every whole block of actions; of all of them where there is no whole block."""
    whole = len(times) // ACTIONS_A_BLOCK * ACTIONS_A_BLOCK
    return np.array(times[:whole]).reshape(-1, ACTIONS_A_BLOCK).mean(axis=1) if whole else np.array([np.mean(times)])
