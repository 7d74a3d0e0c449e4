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


Points = tuple[Int64[np.ndarray, "_ 2"], Float64[np.ndarray, " _"]]  # where surfaces touch: the ids of the two geoms, the normal force (N)


def points_of(data: Any) -> Points:
    """Those of one row. `data`: a mujoco.MjData after mj_forward, of a model as `compile_scene` makes it.

    Its cones are elliptic, so that the first of a contact's solver forces is the one along the normal.
    """
    contact = data.contact
    address = contact.efc_address
    acts = address >= 0  # others are near, but do not touch yet
    return contact.geom[acts].reshape(-1, 2).astype(np.int64), data.efc_force[address[acts]]


def contacts_of(model: Any, rows: Sequence[Points]) -> Contacts:
    """The points of every row of a batch, summed by pairs of bodies."""
    row = np.repeat(np.arange(len(rows)), [len(force) for _, force in rows])
    one, other = np.sort(model.geom_bodyid[np.concatenate([geoms for geoms, _ in rows])], axis=1).T.astype(np.int64)
    found, which = np.unique((row * model.nbody + one) * model.nbody + other, return_inverse=True)
    force_n = np.zeros(len(found))
    np.add.at(force_n, which, np.concatenate([force for _, force in rows]))
    row, bodies = np.divmod(found, model.nbody**2)
    return Contacts(row=row, bodies=np.stack(np.divmod(bodies, model.nbody), axis=-1), force_n=force_n)
