"""The plan of a moment ago, as the beginning of the next one."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from armillary.core import Plan, WorldError
from armillary.planning.action_bounds import to_blocks


@dataclass(frozen=True)
class ElitePlan(Plan):
    """A plan and the `k` best candidates of its last iteration, best first."""

    elites: Float[Tensor, "b k t a"]


def shifted(plan: Plan, executed: int) -> Plan | None:
    """The rest of a plan whose first `executed` actions are done; nothing if that was all of it."""
    if not 0 <= executed <= plan.actions.shape[1]:
        raise ValueError(f"executed must lie in 0..{plan.actions.shape[1]}, the length of the plan; received {executed}")
    if executed == plan.actions.shape[1]:
        return None
    if isinstance(plan, ElitePlan):
        plan = replace(plan, elites=plan.elites[:, :, executed:])
    return replace(plan, actions=plan.actions[:, executed:])


def warm_blocks(plan: Plan, *, batch_size: int, action_shape: tuple[int, ...], block: int, horizon: int) -> Shaped[Tensor, "b h *a"]:
    """A warm start's actions as blocks of this search. Raises WorldError if it is for other episodes or other actions."""
    found = tuple(plan.actions.shape)
    if len(found) < 2 or found[0] != batch_size or found[2:] != action_shape or found[1] < 1:
        expected = ", ".join(map(str, (batch_size, "t", *action_shape)))
        raise WorldError(f"the warm start must hold actions ({expected}) with t at least 1, received {found}; drop it to plan afresh")
    if not bool(torch.isfinite(plan.actions).all()):
        raise WorldError("the warm start holds actions that are not finite; drop it to plan afresh")
    return to_blocks(plan.actions, block, horizon)
