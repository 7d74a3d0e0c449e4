"""Which bodies of a twin touch, and how hard they press on each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64


@dataclass(frozen=True, kw_only=True)
class Contacts:
    """Every pair of bodies that touch, once: in which row of a batch, the two ids (the smaller first; indices into the world's `labels`),
    and the normal force (N), summed over all the points where they touch. Rows and ids rise."""

    row: Int64[np.ndarray, " n"]
    bodies: Int64[np.ndarray, "n 2"]
    force_n: Float64[np.ndarray, " n"]


def contacts_of(model: Any, data: Any, row: int) -> Contacts:
    """Those of one row. `data`: a mujoco.MjData after mj_forward, of a model as `compile_scene` makes it.

    Its cones are elliptic, so that the first of a contact's solver forces is the one along the normal.
    """
    contact = data.contact
    acts = contact.efc_address >= 0  # others are near, but do not touch yet
    one, other = np.sort(model.geom_bodyid[contact.geom[acts]].reshape(-1, 2), axis=1).T.astype(np.int64)
    pairs, which = np.unique(one * model.nbody + other, return_inverse=True)
    bodies = np.stack(np.divmod(pairs, model.nbody), axis=-1)
    force_n = np.zeros(len(pairs))
    np.add.at(force_n, which, data.efc_force[contact.efc_address[acts]])
    return Contacts(row=np.full(len(pairs), row), bodies=bodies, force_n=force_n)


def joined(parts: Sequence[Contacts]) -> Contacts:
    """Several rows' as one."""
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in ("row", "bodies", "force_n")}
    return Contacts(**columns)
