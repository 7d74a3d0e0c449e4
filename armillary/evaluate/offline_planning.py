"""Planning offline: would what was really done have been chosen? Recordings with actions judge a world without a robot.

At a moment of a recording, the goal is the picture some steps later. The world's energy of actions is the distance between what it foresees
after them and what it embeds the goal in (V-JEPA 2-AC, arXiv:2506.09985, eq. 5). Two questions, fixed here:

* **Is the true way cheap?** The share of random actions whose energy is above that of the actions that were done. The random ones change
  the robot's last command as much at every step as the true ones did (in deviations of the data), but into a direction of their own.
* **Is the planned way true?** A planner looks for one command, held until the goal, with the last command to begin with. Its error is the
  distance to the mean of the commands really given, in deviations of the data. Beside it: to change nothing ("zero action": the last
  command goes on), and to answer the data's mean command.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from armillary.core import ConfigError, DataError, Objective, Plan, Planner, State, World
from armillary.planning.rollout import Rollouts

ROWS_AT_ONCE = 1024


@dataclass(frozen=True)
class Moments:
    """Where the world is at each of `b` moments, the actions done from there until the goal, and the command before them."""

    state: State
    actions: Float[Tensor, "b t a"]
    last: Float[Tensor, "b a"]

    def __post_init__(self):
        wanted = (self.state.batch_size, self.actions.shape[2])
        if tuple(self.last.shape) != wanted or len(self.actions) != wanted[0]:
            raise DataError(
                f"{wanted[0]} moments need as many action sequences and last commands, received {tuple(self.actions.shape)} and "
                f"{tuple(self.last.shape)}"
            )


def random_changes(
    actions: Float[Tensor, "b t a"], last: Float[Tensor, "b a"], std: Float[Tensor, " a"], count: int, rng: Generator
) -> Float[Tensor, "b {count} t a"]:
    """Other actions of the same size: as far from the last command at every step, in units of `std`, in one random direction each."""
    size = ((actions - last[:, None]) / std).norm(dim=-1)
    drawn = torch.randn(len(actions), count, actions.shape[2], generator=rng, device=rng.device)
    direction = drawn / drawn.norm(dim=-1, keepdim=True)
    return last[:, None, None] + std * size[:, None, :, None] * direction[:, :, None]


def share_dearer(
    world: World, moments: Moments, objective: Objective, others: Float[Tensor, "b n t a"], rng: Generator
) -> Float[Tensor, " b"]:
    """The share of `others` whose energy is above that of what was done; an equal one counts half. ConfigError for no others."""
    if not others.shape[1]:
        raise ConfigError("at least one other action is needed to compare the true one with; received none")
    candidates = torch.cat([moments.actions[:, None], others], dim=1)
    energy = Rollouts(max_rows=ROWS_AT_ONCE).costs(world, moments.state, objective, candidates, rng)
    true, other = energy[:, :1], energy[:, 1:]
    return ((other > true).double() + 0.5 * (other == true).double()).mean(dim=1)


@torch.no_grad()
def planned_command(world: World, moments: Moments, objective: Objective, planner: Planner, rng: Generator) -> Float[Tensor, "b a"]:
    """The mean over time of what `planner` would do from the last command on."""
    steps = moments.actions.shape[1]
    begin = Plan(moments.last[:, None].expand(-1, steps, -1), moments.last.new_zeros(len(moments.last)))
    return planner.plan(world, moments.state, objective, rng, begin).actions.mean(dim=1)


def command_error(command: Float[Tensor, "b a"], moments: Moments, std: Float[Tensor, " a"]) -> Float[Tensor, " b"]:
    """Root mean squared error against the mean of the commands given, in deviations of the data."""
    return ((command - moments.actions.mean(dim=1)) / std).square().mean(dim=-1).sqrt()
