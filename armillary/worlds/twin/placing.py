"""Where things start: the layout of a prompt as MuJoCo's positions."""

import difflib
import math
from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float64
from torch import Generator

from armillary.core import WorldError
from armillary.worlds.twin.extra import needs
from armillary.worlds.twin.mujoco_compile import Compiled

RANDOM = "random"


def place(compiled: Compiled, layout: Mapping[str, object], batch_size: int, rng: Generator) -> dict[int, Float64[np.ndarray, "b n"]]:
    """What `layout` (as TwinWorld documents it) writes at which address of MuJoCo's positions. WorldError for what it does not fit.

    Every joint draws its chance whether or not the layout asks for it, so that fixing one leaves the others as they were.
    """
    model, kinds = compiled.model, needs("mujoco").mjtJoint
    one_number = {int(kinds.mjJNT_HINGE), int(kinds.mjJNT_SLIDE)}
    joints = {name: number for name, number in compiled.joints.items() if int(model.jnt_type[number]) in one_number}
    noise = torch.rand(batch_size, len(joints), generator=rng, device=rng.device, dtype=torch.float64).cpu().numpy()
    chance = dict(zip(joints, noise.T, strict=True))
    found = {}
    for name, wanted in layout.items():
        if name in joints:
            number = joints[name]
            limits = tuple(model.jnt_range[number]) if model.jnt_limited[number] else (-math.inf, math.inf)
            found[int(model.jnt_qposadr[number])] = _positions(name, limits, wanted, chance[name])[:, None]
        elif name in compiled.free:
            found[int(model.jnt_qposadr[compiled.free[name]])] = _free_places(name, wanted, batch_size)
        else:
            known = [*joints, *compiled.free]
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise WorldError(f"this scene's layout has no {name!r}{hint} (it has {', '.join(known) or 'nothing'})")
    return found


def _positions(name: str, limits: tuple[float, float], wanted: object, chance: Float64[np.ndarray, " b"]) -> Float64[np.ndarray, " b"]:
    low, high = limits
    if isinstance(wanted, str) and wanted == RANDOM:
        if not math.isfinite(low):
            raise WorldError(f"layout {name!r}: a joint without limits cannot be {RANDOM!r}; give positions")
        return low + (high - low) * chance
    values = _numbers(name, wanted, f"a position, one per world or {RANDOM!r}")
    if values.ndim > 1 or (values.ndim == 1 and len(values) != len(chance)):
        raise WorldError(f"layout {name!r} needs 1 or {len(chance)} positions, received shape {values.shape}")
    if (values < low).any() or (values > high).any():
        raise WorldError(f"layout {name!r} must lie within the joint's limits {low:.4g} to {high:.4g}, received {wanted}")
    return np.broadcast_to(values, len(chance))


def _numbers(name: str, wanted: object, expected: str) -> np.ndarray:
    try:
        values = np.asarray(wanted, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise WorldError(f"layout {name!r} takes {expected}, received {wanted!r}") from error
    if not np.isfinite(values).all():
        raise WorldError(f"layout {name!r} takes finite numbers, received {wanted!r}")
    return values


def _free_places(name: str, wanted: object, batch_size: int) -> Float64[np.ndarray, "b n"]:
    values = np.atleast_2d(_numbers(name, wanted, "x y z, with or without w x y z, or one such row per world"))
    if values.ndim != 2 or values.shape[1] not in (3, 7) or len(values) not in (1, batch_size):
        raise WorldError(f"layout {name!r} needs 3 or 7 numbers, in 1 or {batch_size} rows, received shape {values.shape}")
    if values.shape[1] == 7 and not np.allclose(np.linalg.norm(values[:, 3:], axis=1), 1.0, atol=1e-4):
        raise WorldError(f"layout {name!r}: the last four numbers must be a quaternion of length 1, received {wanted!r}")
    return np.broadcast_to(values, (batch_size, values.shape[1]))
