"""Planning offline: would what was really done have been chosen? Recordings with actions judge a world without a robot.

At a moment of a recording, the goal is the picture some steps later. The world's energy of actions is the distance between what it foresees
after them and what it embeds the goal in (V-JEPA 2-AC, arXiv:2506.09985, eq. 5). Two questions, fixed here:

* **Is the true way cheap?** The share of random commands whose energy is above that of the commands that were given. The random ones
  are at every moment as far from the last command before as the true ones were (in deviations of the data), but in a direction of their
  own, the same all the time.
* **Is the planned way true?** A planner looks for a straight way from the last command to another, in the time until the goal. Its error
  is the distance to the commands really given, in deviations of the data. The energy it makes small is the goal's distance plus
  `effort` times the mean square of the change: without this a flat energy leads anywhere. Beside it: to change nothing ("zero action":
  the last command goes on), and to give the data's mean command.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from armillary.core import ConfigError, DataError, Objective, Plan, Planner, State, World
from armillary.planning.objectives import ControlEffort, WeightedSum
from armillary.planning.rollout import Rollouts
from armillary.planning.straight_way import StraightWay, joined

ROWS_AT_ONCE = 1024


@dataclass(frozen=True)
class Moments:
    """Where the world is at each of `b` moments, the commands given from there until the goal, and the one before them.

    A step of the world may take several commands, one after the other in its action.
    """

    state: State
    commands: Float[Tensor, "b n c"]
    last: Float[Tensor, "b c"]

    def __post_init__(self):
        wanted = (self.state.batch_size, self.commands.shape[2])
        if tuple(self.last.shape) != wanted or len(self.commands) != wanted[0]:
            raise DataError(
                f"{wanted[0]} moments need as many command sequences and last commands, received {tuple(self.commands.shape)} and "
                f"{tuple(self.last.shape)}"
            )


def random_changes(
    commands: Float[Tensor, "b n c"], last: Float[Tensor, "b c"], std: Float[Tensor, " c"], count: int, rng: Generator
) -> Float[Tensor, "b {count} n c"]:
    """Other commands of the same size: as far from the last one at every time, in units of `std`, in one random direction each."""
    size = ((commands - last[:, None]) / std).norm(dim=-1)
    drawn = torch.randn(len(commands), count, commands.shape[2], generator=rng, device=rng.device)
    direction = drawn / drawn.norm(dim=-1, keepdim=True)
    return last[:, None, None] + std * size[:, None, :, None] * direction[:, :, None]


def share_dearer(
    world: World, moments: Moments, objective: Objective, others: Float[Tensor, "b m n c"], rng: Generator
) -> Float[Tensor, " b"]:
    """The share of `others` whose energy is above that of what was done; an equal one counts half. ConfigError for no others."""
    if not others.shape[1]:
        raise ConfigError("at least one other way is needed to compare the true one with; received none")
    candidates = joined(torch.cat([moments.commands[:, None], others], dim=1), world)
    energy = Rollouts(max_rows=ROWS_AT_ONCE).costs(world, moments.state, objective, candidates, rng)
    true, other = energy[:, :1], energy[:, 1:]
    return ((other > true).double() + 0.5 * (other == true).double()).mean(dim=1)


@torch.no_grad()
def planned_commands(
    world: World,
    moments: Moments,
    goal: Objective,
    planner: Planner,
    rng: Generator,
    *,
    effort: float,
    std: Float[Tensor, " c"],
) -> Float[Tensor, "b n c"]:
    """What `planner` would command from the last command on: a straight way (its plans have one step)."""
    way = StraightWay(world, *moments.commands.shape[1:])
    begin = Plan(moments.last[:, None], moments.last.new_zeros(len(moments.last)))
    energy = WeightedSum([(1.0, goal), (effort, ControlEffort(moments.last, std))])
    plan = planner.plan(way, way.state(moments.state, moments.last), energy, rng, begin)
    return way.commands(moments.last, plan.actions[:, 0])


def command_error(commands: Float[Tensor, "b n c"], moments: Moments, std: Float[Tensor, " c"]) -> Float[Tensor, " b"]:
    """Root mean squared error against the commands given, in deviations of the data."""
    return ((commands - moments.commands) / std).square().mean(dim=(1, 2)).sqrt()
