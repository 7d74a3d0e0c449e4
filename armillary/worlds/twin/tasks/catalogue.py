"""The catalogue of tasks: what there is to do, how a task is drawn, and who can do it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from armillary.core import ConfigError, Policy
from armillary.worlds.twin.tasks.drawer import draw_drawer, plan_drawer
from armillary.worlds.twin.tasks.go_to import draw_go_to
from armillary.worlds.twin.tasks.go_to_expert import DriveExpert
from armillary.worlds.twin.tasks.grasp import draw_grasp, plan_grasp
from armillary.worlds.twin.tasks.moves import HandExpert
from armillary.worlds.twin.tasks.pick_place import draw_pick_place
from armillary.worlds.twin.tasks.pick_place_expert import plan_pick_place
from armillary.worlds.twin.tasks.push import draw_push, plan_push
from armillary.worlds.twin.tasks.reach import draw_reach, plan_reach
from armillary.worlds.twin.tasks.task import Task, TaskWorld


@dataclass(frozen=True, kw_only=True)
class Kind:
    """The scene of the catalogue that a task is done in, how one is drawn, and its expert: a policy that sees `TwinState.physics`."""

    scene: str
    draw: Callable[[np.random.Generator], Task]
    expert: Callable[[TaskWorld], Policy]


def _by_hand(plan) -> Callable[[TaskWorld], Policy]:
    """The expert whose moves a function of a task plans."""
    return lambda world: HandExpert(world, partial(plan, world.task))


TASKS: dict[str, Kind] = {
    "reach": Kind(scene="tabletop", draw=draw_reach, expert=_by_hand(plan_reach)),
    "grasp": Kind(scene="tabletop", draw=draw_grasp, expert=_by_hand(plan_grasp)),
    "pick_place": Kind(scene="tabletop", draw=draw_pick_place, expert=_by_hand(plan_pick_place)),
    "push": Kind(scene="tabletop", draw=draw_push, expert=_by_hand(plan_push)),
    "drawer": Kind(scene="kitchen", draw=draw_drawer, expert=_by_hand(plan_drawer)),
    "go_to": Kind(scene="rooms", draw=draw_go_to, expert=DriveExpert),
}


def kind_of(name: str) -> Kind:
    """The task of this name. ConfigError for an unknown one."""
    if name not in TASKS:
        raise ConfigError(f"there is no task {name!r}; tasks: {', '.join(TASKS)}")
    return TASKS[name]


def draw(name: str, seed: int) -> Task:
    """The task of this name that a seed (>= 0) gives. ConfigError for an unknown name.

    >>> draw("reach", 0).words
    'Bring the fingertips to the red mark.'
    """
    return kind_of(name).draw(np.random.default_rng(seed))
